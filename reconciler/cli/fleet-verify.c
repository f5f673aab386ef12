/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_checks_ Checks checks = CHECKS_NULL;
        _cleanup_pass_ Pass p = PASS_NULL;
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        CheckSubject subject;
        ExitCode code;
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        r = run_look(c, &policy, /* details= */ false, &p);
        if (r != 0)
                return r;
        subject = (CheckSubject){ c->paths, c->record, p.desired, p.observed };
        r = machine_checks(CHECK_BY_VERIFY, &subject, &checks);
        if (r < 0)
                return r;
        code = plan_exit_code(p.plan);
        if (code == EXIT_OK)
                code = output_checks_code(&checks);
        if (c->json) {
                r = output_verify_json(c, &p, &checks, code);
                return r < 0 ? r : (int)code;
        }
        output_plan(c, &p);
        output_checks(c, &checks);
        output_verify_summary(c, &p, &checks, code);
        return (int)code;
}

const Verb verb_fleet_verify = {
        .group = "fleet",
        .name = "verify",
        .task = TASK_CONVERGE,
        .synopsis = "[OPTION...]",
        .summary = "Check that this machine is as the roster says",
        .help = "The plan, plus checks: installed files, the tmux server and its cgroup, linger,\n"
                "limits, and that the default tmux server is not involved. Touches nothing and\n"
                "connects to no other server.\n"
                "\n"
                "Options:\n"
                "      --json        Print plan and checks as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: that of 'plan'; 3 if the plan is empty and a check failed.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet verify || mosaic fleet plan\n",
        .run = run,
};
