/* SPDX-License-Identifier: MIT */
#include "drivers/store/store.h"
#include "model/base/strv.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static int release(Context *c, const char *agent) {
        int r = store_release(c->paths, agent);

        return r < 0 ? r : store_forget_stop(c->paths, agent);
}

/* Holds of the named agents go; a hold of the whole fleet stays for the others, as holds of their
 * own. */
static int prepare(Context *c, const Options *o, const Pass *p) {
        _cleanup_(observed_freep) Observed *held = NULL;
        bool all = strv_length(o->names) == 0;
        const ObservedHold *fleet;
        int r;

        if (o->keep_holds)
                return 0;
        r = observed_new(c->record->supervisor, &held);
        if (r < 0)
                return r;
        r = store_observe(c->paths, held);
        if (r < 0)
                return r;
        observed_sort(held);
        fleet = held->n_holds > 0 && !held->holds[0].agent ? held->holds : NULL;
        for (size_t i = 0; i < p->desired->n_agents; i++) {
                const char *name = p->desired->agents[i]->name;

                if (all || strv_find(o->names, name))
                        r = release(c, name);
                else if (fleet && observed_hold(held, name) == fleet)
                        r = store_hold(c->paths, name, fleet->by, fleet->reason);
                if (r < 0)
                        return r;
        }
        return fleet ? store_release(c->paths, NULL) : 0;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        RunChange change = {
                .verb = "start",
                .policy = PLAN_POLICY_DEFAULT,
                .prepare = prepare,
        };
        int r;

        r = options_parse(
                        c, OPTION_NAMES | OPTION_LOCK_TIMEOUT | OPTION_KEEP_HOLDS, argc, argv, &o);
        if (r != 0)
                return r;
        change.policy.mode = PLAN_START;
        change.policy.names = o.names;
        return run_change(c, &change, &o);
}

const Verb verb_fleet_start = {
        .group = "fleet",
        .name = "start",
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Start agents that do not run, and clear their holds",
        .help = "Accepts the roster as it is now, clears the holds of the named agents (of all\n"
                "without names) and starts what should run and does not. Restarts and removes\n"
                "nothing; 'apply' does.\n"
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
