/* SPDX-License-Identifier: MIT */
#include "reconciler/run.h"
#include "reconciler/verb.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        RunChange change = { .verb = "apply", .policy = PLAN_POLICY_DEFAULT };
        int r;

        r = options_parse(c,
                        OPTION_NAMES | OPTION_YES | OPTION_ALLOW_REMOVE | OPTION_FORCE_BUSY |
                                        OPTION_LOCK_TIMEOUT | OPTION_PLAN,
                        argc, argv, &o);
        if (r != 0)
                return r;
        change.policy.names = o.names;
        change.policy.allow_remove = o.allow_remove;
        change.policy.force_busy = o.force_busy;
        change.ask = !o.yes && !o.plan && !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        return run_change(c, &change, &o);
}

const Verb verb_fleet_apply = {
        .group = "fleet",
        .name = "apply",
        .task = TASK_CONVERGE,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Make this machine match the roster, now",
        .words = "@agent",
        .help = "On a terminal the plan is shown and you are asked; what is done is what was\n"
                "shown. An agent whose spec did not change keeps its process. With names, only\n"
                "these agents are looked at, and nothing is removed.\n"
                "\n"
                "Options:\n"
                "  -y, --yes               Do not ask\n"
                "      --allow-remove N    Remove exactly N running agents that left the roster;\n"
                "                          without it at most a quarter of them, or one\n"
                "      --force-busy NAME   Restart this agent though somebody is attached\n"
                "      --plan FILE         Do what 'plan --out FILE' showed, or nothing\n"
                "      --lock-timeout T    Wait this long for another writer (30s)\n"
                "      --json              Print the result as JSON; does not ask\n"
                "      --color WHEN        auto, always or never\n"
                "\n"
                "Exit status: 0 done and verified, 3 a person is needed, 4 not converged, 5 what\n"
                "would be done is not what was shown, 6 cannot tell, 7 locked, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet apply\n"
                "  mosaic fleet apply --yes --allow-remove 3\n"
                "  mosaic fleet plan --out p.json && mosaic fleet apply --plan p.json\n",
        .run = run,
};
