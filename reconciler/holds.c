/* SPDX-License-Identifier: MIT */
#include "reconciler/holds.h"

#include "drivers/store/store.h"
#include "model/base/strv.h"

static int release(Context *c, const char *agent) {
        int r = store_release(c->paths, agent);

        return r < 0 ? r : store_forget_stop(c->paths, agent);
}

int holds_release(Context *c, const Desired *desired, char *const *names) {
        _cleanup_(observed_freep) Observed *held = NULL;
        bool all = strv_length(names) == 0;
        const ObservedHold *fleet;
        int r;

        r = observed_new(c->record->supervisor, &held);
        if (r < 0)
                return r;
        r = store_observe_holds(c->paths, held);
        if (r < 0)
                return r;
        observed_sort(held);
        fleet = held->n_holds > 0 && !held->holds[0].agent ? held->holds : NULL;
        for (size_t i = 0; i < desired->n_agents; i++) {
                const char *name = desired->agents[i]->name;

                if (all || strv_find(names, name))
                        r = release(c, name);
                else if (fleet && observed_hold(held, name) == fleet)
                        r = store_hold(c->paths, name, fleet->by, fleet->reason);
                if (r < 0)
                        return r;
        }
        return fleet ? store_release(c->paths, NULL) : 0;
}
