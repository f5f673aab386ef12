/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/saved-plan.h"
#include "reconciler/verb.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        ExitCode code;
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_ALLOW_REMOVE | OPTION_FORCE_BUSY | OPTION_OUT,
                        argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        policy.names = o.names;
        policy.allow_remove = o.allow_remove;
        policy.force_busy = o.force_busy;
        r = run_look(c, &policy, /* details= */ false, &p);
        if (r != 0)
                return r;
        code = plan_exit_code(p.plan);
        if (o.out) {
                r = saved_plan_write(c, &p, o.out);
                if (r < 0)
                        return run_refuse(c, "plan", EXIT_INTERNAL, "cannot write %s: %s", o.out,
                                        r == -ELOOP     ? "it is a symbolic link"
                                        : r == -ENOTSUP ? "it is not a plain file"
                                                        : strerror(-r));
        }
        if (c->json) {
                r = output_pass_json(c, "plan", &p, code);
                return r < 0 ? r : (int)code;
        }
        output_plan(c, &p);
        /* What only waits is not helped by another apply. */
        if (code == EXIT_PENDING && p.plan->n_actions > 0)
                printf("Next: mosaic fleet apply%s%s\n", o.out ? " --plan " : "",
                                o.out ? o.out : "");
        output_plan_summary(c, &p);
        return (int)code;
}

const Verb verb_fleet_plan = {
        .group = "fleet",
        .name = "plan",
        .task = TASK_CONVERGE,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Show what 'apply' would do; touches nothing",
        .words = "@agent",
        .help = "With names, only these agents are looked at, and nothing is removed.\n"
                "\n"
                "Options:\n"
                "      --allow-remove N   Plan exactly N removals of running agents\n"
                "      --force-busy NAME  Restart this agent though somebody is attached\n"
                "      --out FILE         Also save the plan, for 'apply --plan FILE'\n"
                "      --json             Print the plan as JSON\n"
                "      --color WHEN       auto, always or never\n"
                "      --no-pager         Do not page what does not fit the screen\n"
                "\n"
                "Signs: + create, ^ start again, ~ change live, -/+ restart, - stop or remove,\n"
                "H held, * pending, ! blocked or foreign, ? unknown.\n"
                "\n"
                "Exit status: 0 in sync, 2 changes pending, 3 a person is needed, 6 cannot tell,\n"
                "65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet plan\n"
                "  mosaic fleet plan web --json\n",
        .run = run,
};
