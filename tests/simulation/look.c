/* SPDX-License-Identifier: MIT */

/* What a look at a world in memory shows. */

#include <string.h>

#include "model/base/array.h"
#include "tests/simulation/world.h"

static void must(bool ok) {
        if (!ok)
                abort();
}

static char *copy(const char *s) {
        char *c = strdup(s);

        must(c);
        return c;
}

static void put_fingerprint(char *to, uint8_t number) {
        if (number == 0)
                memset(to, 0, FINGERPRINT_SIZE);
        else
                memcpy(to, world_fingerprint(number), FINGERPRINT_SIZE);
}

bool world_end_was_ours(const World *w, const WorldAgent *a) {
        return a->announced != 0 &&
               a->announced == (w->stepwise ? a->stopped_invocation : a->invocation);
}

bool world_is_alive(const World *w, const WorldAgent *a) {
        return w->stepwise ? a->run_file && a->pid != 0 && a->run_pid == a->pid &&
                                               a->run_invocation == a->born
                           : a->unit == UNIT_ACTIVE;
}

static char *invocation_text(unsigned invocation) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%x", invocation);
        return copy(text);
}

/* In a world of steps it is there from before the exec until the next one: alive or not. */
static void observe_run(const World *w, const WorldAgent *a, Observed *o) {
        bool steps = w->stepwise;
        ObservedRun *run;

        if (steps ? !a->run_file : a->unit != UNIT_ACTIVE)
                return;
        run = observed_add_run(o);
        must(run);
        run->agent = copy(a->name);
        run->alive = world_is_alive(w, a);
        run->pid = steps ? a->run_pid : a->pid;
        run->invocation = steps ? invocation_text(a->run_invocation) : NULL;
        run->started_usec = a->started_usec;
        run->monotonic_usec = w->old_launchers ? 0 : a->started_mono_usec;
        put_fingerprint(run->restart_fingerprint, steps ? a->run_restart : a->running);
        put_fingerprint(run->resolved, steps ? a->run_resolved : a->running_resolved);
}

static void observe_agent(
                const World *w, const WorldAgent *a, const Desired *desired, Observed *o) {
        if ((a->spec || a->dropin != 0) && w->files != SOURCE_UNKNOWN) {
                ObservedFiles *f = observed_add_files(o);
                const AgentSpec *s = desired_find(desired, a->name);

                must(f);
                f->agent = copy(a->name);
                f->spec = a->spec;
                put_fingerprint(f->restart_fingerprint, a->restart);
                put_fingerprint(f->live_fingerprint, a->live);
                put_fingerprint(f->resolved, a->resolved);
                f->dropin = a->dropin != 0;
                f->dropin_current = f->dropin && s &&
                                    strcmp(world_fingerprint(a->dropin), s->live_fingerprint) == 0;
        }
        if (a->unit != UNIT_NOT_LOADED && w->manager == SOURCE_PRESENT && !w->direct) {
                ObservedUnit *u = observed_add_unit(o);

                must(u);
                u->agent = copy(a->name);
                u->state = a->unit;
                u->main_pid = a->pid;
                if (w->stepwise && a->unit != UNIT_ACTIVE)
                        u->invocation = invocation_text(a->invocation);
        }
        if (w->runs != SOURCE_UNKNOWN)
                observe_run(w, a, o);
        /* That of the last end is asked only of who does not run. */
        if ((a->stopped_well || a->stopped_badly || a->stopped_once) && !world_is_alive(w, a) &&
                        w->files != SOURCE_UNKNOWN) {
                ObservedStop *s = observed_add_stop(o);

                must(s);
                s->agent = copy(a->name);
                s->this_boot = !a->stopped_once;
                s->result = copy(a->stopped_badly ? "exit-code" : "success");
                s->code = copy("exited");
                s->status = copy(a->stopped_badly ? "1" : "0");
                observed_stop_classify(s);
                s->ours = world_end_was_ours(w, a);
                s->at_usec = a->stopped_usec;
                s->monotonic_usec = a->stopped_mono_usec;
        }
        if (a->hold && w->files != SOURCE_UNKNOWN) {
                ObservedHold *h = observed_add_hold(o);

                must(h);
                h->agent = copy(a->name);
                h->by = copy("stop");
        }
}

static void observe_session(const WorldAgent *a, Observed *o) {
        ObservedSession *s;
        char id[16];

        if (a->session) {
                s = observed_add_session(o);
                must(s);
                (void)snprintf(id, sizeof(id), "$%u", a->session_number);
                s->id = copy(id);
                s->name = copy(a->misnamed ? "other-name" : a->name);
                s->pane_id = copy("%1");
                s->owner = SESSION_AGENT;
                s->agent = copy(a->name);
                s->attached = a->attached;
        }
        if (a->namesake) {
                s = observed_add_session(o);
                must(s);
                s->id = copy("$9999");
                s->name = copy(a->name);
                s->pane_id = copy("%99");
        }
}

/* The ledger as it was kept, sorted by agent. */
static void observe_ledger(const World *w, Pacing *p) {
        const WorldAgent *in_order[WORLD_AGENTS_MAX];
        size_t n = 0;

        *p = w->ledger;
        for (size_t i = 0; i < w->n_agents; i++) {
                size_t at = n;

                if (!w->agents[i].has_entry)
                        continue;
                while (at > 0 && strcmp(in_order[at - 1]->name, w->agents[i].name) > 0)
                        at--;
                memmove(in_order + at + 1, in_order + at, (n - at) * sizeof(*in_order));
                in_order[at] = w->agents + i;
                n++;
        }
        for (size_t i = 0; i < n; i++) {
                must(array_grow(&p->items, p->n_items, sizeof(PaceEntry)));
                p->items[p->n_items++] = in_order[i]->entry;
        }
}

Observed *world_show(const World *w, const Desired *desired) {
        Observed *o;

        must(observed_new(w->direct ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD, &o) == 0);
        o->runs.state = w->runs;
        o->files.state = w->files;
        o->manager.state = w->manager;
        o->tmux.state = w->tmux != SOURCE_PRESENT ? w->tmux
                        : w->server               ? SOURCE_PRESENT
                                                  : SOURCE_ABSENT;
        if (w->hidden) {
                o->hidden_server_pid = 77;
                o->tmux.state = SOURCE_UNKNOWN;
        }
        o->reload_pending = w->reload_pending;
        o->units_installed = true;
        o->holder = w->server ? UNIT_ACTIVE : UNIT_NOT_LOADED;
        o->holder_since_usec = w->direct ? 0 : w->holder_since_usec;
        for (size_t i = 0; i < w->n_agents; i++)
                observe_agent(w, w->agents + i, desired, o);
        for (size_t i = 0; i < w->n_agents && o->tmux.state == SOURCE_PRESENT; i++)
                observe_session(w->agents + i, o);
        observe_ledger(w, &o->pacing);
        observed_sort(o);
        if (w->direct) {
                launching_observe(w, o);
                observed_sort(o);
        }
        return o;
}
