/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        ExitCode code;
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        r = run_look(c, &policy, /* details= */ true, &p);
        if (r != 0)
                return r;
        code = plan_exit_code(p.plan);
        if (c->json) {
                r = output_status_json(c, &p, code);
                return r < 0 ? r : (int)code;
        }
        output_status(c, &p);
        output_plan_summary(c, &p);
        return (int)code;
}

const Verb verb_fleet_status = {
        .group = "fleet",
        .name = "status",
        .synopsis = "[OPTION...]",
        .summary = "Show every agent and the condition it is in",
        .help = "A star behind the pane says that somebody is attached. RST is how often systemd\n"
                "restarted the agent since its last start by hand.\n"
                "\n"
                "Options:\n"
                "      --json        Print the table as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Exit status: as 'plan'.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet status\n"
                "  mosaic fleet status --json\n",
        .run = run,
};
