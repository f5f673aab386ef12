/* SPDX-License-Identifier: MIT */
#include "model/base/strv.h"
#include "reconciler/holds.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

/* Who names an agent wants it to run. */
static int prepare(Context *c, const Options *o, const Pass *p) {
        return strv_length(o->names) == 0 ? 0 : holds_release(c, p->desired, o->names);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        RunChange change = {
                .verb = "restart",
                .policy = PLAN_POLICY_DEFAULT,
                .prepare = prepare,
        };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_LOCK_TIMEOUT, argc, argv, &o);
        if (r != 0)
                return r;
        change.policy.mode = PLAN_RESTART;
        change.policy.names = o.names;
        change.policy.respect_stops = strv_length(o.names) == 0;
        return run_change(c, &change, &o);
}

const Verb verb_fleet_restart = {
        .group = "fleet",
        .name = "restart",
        .task = TASK_OPERATE,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Replace the processes of agents; their panes stay",
        .words = "@agent",
        .help = "Accepts the roster as it is now. What does not run is started, except held\n"
                "agents that are not named. Removes nothing.\n"
                "\n"
                "Options:\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the result as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 done and verified, 3 a person is needed, 4 not converged,\n"
                "6 cannot tell, 7 locked, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet restart web\n",
        .run = run,
};
