/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/base/strv.h"
#include "reconciler/complain.h"
#include "reconciler/holds.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"
#include "reconciler/watch-stop.h"

static int prepare(Context *c, const Options *o, const Pass *p) {
        return o->keep_holds ? 0 : holds_release(c, p->desired, o->names);
}

/* After a `stop` of everything the controller comes back as well. */
static int conclude(Context *c, const Options *o, Pass *p _unused_, ExitCode *code) {
        _cleanup_free_ char *message = NULL;
        bool started;
        int r;

        if (strv_length(o->names) > 0 || o->keep_holds)
                return 0;
        r = watch_start_again(c, &started, &message);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                complain("the controller did not start: %s", message ? message : strerror(-r));
                if (*code == EXIT_OK)
                        *code = EXIT_NOT_CONVERGED;
        } else if (started && !c->json)
                printf("The controller is started again\n");
        return 0;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        RunChange change = {
                .verb = "start",
                .policy = PLAN_POLICY_DEFAULT,
                .prepare = prepare,
                .conclude = conclude,
        };
        int r;

        r = options_parse(
                        c, OPTION_NAMES | OPTION_LOCK_TIMEOUT | OPTION_KEEP_HOLDS, argc, argv, &o);
        if (r != 0)
                return r;
        change.policy.mode = PLAN_START;
        change.policy.names = o.names;
        change.policy.respect_stops = o.keep_holds;
        return run_change(c, &change, &o);
}

const Verb verb_fleet_start = {
        .group = "fleet",
        .name = "start",
        .task = TASK_OPERATE,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Start agents that do not run, and clear their holds",
        .words = "@agent",
        .help = "Accepts the roster as it is now, clears the holds of the named agents (of all\n"
                "without names) and starts what should run and does not; without names also the\n"
                "controller, if 'stop' ended it. Restarts and removes nothing; 'apply' does.\n"
                "\n"
                "Options:\n"
                "      --keep-holds      Leave held agents alone (as at boot)\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the result as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 done and verified, 3 a person is needed, 4 not converged,\n"
                "6 cannot tell, 7 locked, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet start\n"
                "  mosaic fleet start web docs\n",
        .run = run,
};
