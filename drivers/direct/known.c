/* SPDX-License-Identifier: MIT */
#include "drivers/direct/known.h"

#include <errno.h>
#include <string.h>

bool known_needs_query(const Observed *o, size_t i) {
        const ObservedSession *s = o->sessions + i, *before = i > 0 ? s - 1 : NULL;
        const ObservedRun *run;

        if (s->owner != SESSION_AGENT || s->pane_dead ||
                        (before && before->agent && strcmp(before->agent, s->agent) == 0))
                return false;
        run = observed_run(o, s->agent);
        return !run || !run->alive;
}

/* That it could not be asked says nothing of the keeper. */
static bool is_no_answer(int error) {
        return error == -ETIMEDOUT || error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
               error == -ENOMEM;
}

static UnitState unit_state_of(const KeeperCall *c) {
        if (is_no_answer(c->error))
                return UNIT_OTHER;
        if (c->error < 0)
                return UNIT_NOT_LOADED;
        switch (c->state) {
        case KEEPER_HAS_STARTING:
                return UNIT_ACTIVATING;
        case KEEPER_HAS_RUNNING:
                return UNIT_ACTIVE;
        case KEEPER_HAS_STOPPING:
                return UNIT_DEACTIVATING;
        case KEEPER_HAS_NONE:
                break;
        }
        return UNIT_NOT_LOADED;
}

int known_add_unit(Observed *o, const KeeperCall *c) {
        UnitState state = unit_state_of(c);
        ObservedUnit *u;

        if (state == UNIT_NOT_LOADED)
                return 0;
        u = observed_add_unit(o);
        if (!u)
                return -ENOMEM;
        u->agent = strdup(c->name);
        if (!u->agent)
                return -ENOMEM;
        u->state = state;
        u->main_pid = c->pid;
        u->memory = u->cpu_usec = UINT64_MAX;
        return 0;
}

bool known_is_absent(int error) {
        return error == -ENOENT || error == -ECONNREFUSED;
}

bool known_nothing_was_stopped(DriverJobKind kind, const KeeperCall *c) {
        return kind == DRIVER_STOP &&
               (known_is_absent(c->error) || c->error == -ECONNRESET ||
                               (c->error == 0 && strcmp(c->code, "none") == 0));
}
