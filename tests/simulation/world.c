/* SPDX-License-Identifier: MIT */
#include "tests/simulation/world.h"

#include <assert.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/strv.h"

static void must(bool ok) {
        if (!ok)
                abort();
}

const char *world_call_to_string(WorldCallKind k) {
        static const char *const names[_CALL_KIND_MAX] = {
                [CALL_LOOK] = "look",
                [CALL_ACCEPT] = "accept",
                [CALL_DROPINS] = "write_dropins",
                [CALL_RELOAD] = "reload",
                [CALL_RESET_FAILED] = "reset_failed",
                [CALL_REMOVE_FILES] = "remove_files",
                [CALL_ANNOUNCE] = "announce_stops",
                [CALL_START_HOLDER] = "start_holder",
                [CALL_STOP_HOLDER] = "stop_holder",
                [CALL_REPAIR_HOLDER] = "repair_holder",
                [CALL_SESSIONS] = "sessions",
                [CALL_SUBMIT] = "submit",
                [CALL_WAIT] = "wait",
                [CALL_KEEP] = "keep",
                [CALL_ROSTER] = "accept_roster",
        };

        assert(k < _CALL_KIND_MAX);
        return names[k];
}

void world_init(World *w) {
        memset(w, 0, offsetof(World, agents));
        w->next_pid = 100;
        w->next_session = 1;
        w->now_usec = w->mono_usec = 10000000;
        w->holder_since_usec = 500;
}

void world_copy(World *to, const World *from) {
        size_t state = offsetof(World, hook);

        memcpy(to, from, state);
        to->n_agents = from->n_agents;
        memcpy(to->agents, from->agents, from->n_agents * sizeof(WorldAgent));
}

WorldAgent *world_agent(World *w, const char *name) {
        WorldAgent *a;

        for (size_t i = 0; i < w->n_agents; i++)
                if (strcmp(w->agents[i].name, name) == 0)
                        return w->agents + i;
        must(w->n_agents < WORLD_AGENTS_MAX);
        a = w->agents + w->n_agents++;
        *a = (WorldAgent){ 0 };
        (void)snprintf(a->name, sizeof(a->name), "%s", name);
        return a;
}

static char *copy(const char *s) {
        char *c = strdup(s);

        must(c);
        return c;
}

/* --- fingerprints ----------------------------------------------------------------------------- */

static char fingerprints[200][FINGERPRINT_SIZE];
static size_t n_fingerprints;

uint8_t world_number(const char *fingerprint) {
        size_t i = 0;

        if (*fingerprint == '\0')
                return 0;
        while (i < n_fingerprints && strcmp(fingerprints[i], fingerprint) != 0)
                i++;
        if (i == n_fingerprints) {
                must(n_fingerprints < ELEMENTSOF(fingerprints));
                (void)snprintf(fingerprints[n_fingerprints++], FINGERPRINT_SIZE, "%s", fingerprint);
        }
        return (uint8_t)(i + 1);
}

const char *world_fingerprint(uint8_t number) {
        assert(number <= n_fingerprints);
        return number == 0 ? "" : fingerprints[number - 1];
}

static void put_fingerprint(char *to, uint8_t number) {
        memcpy(to, number == 0 ? (char[FINGERPRINT_SIZE]){ 0 } : fingerprints[number - 1],
                        FINGERPRINT_SIZE);
}

AgentSpec *world_spec(const char *name, unsigned restart_version, unsigned live_version) {
        AgentSpec *s = calloc(1, sizeof(AgentSpec));

        must(s);
        s->name = copy(name);
        s->line = 7;
        s->runtime = copy("shell");
        s->workdir = copy("/tmp");
        must(strv_push(&s->argv, "sh") == 0);
        (void)snprintf(s->restart_fingerprint, FINGERPRINT_SIZE, "%032u%032u", restart_version, 1u);
        (void)snprintf(s->live_fingerprint, FINGERPRINT_SIZE, "%032u%032u", live_version, 2u);
        (void)snprintf(s->resolved, FINGERPRINT_SIZE, "%032u%032u", restart_version, 3u);
        return s;
}

Desired *world_desired(const char *const *names, size_t n) {
        Desired *d = calloc(1, sizeof(Desired));

        must(d);
        d->supervisor = _SUPERVISOR_INVALID;
        d->agents = calloc(n + 1, sizeof(AgentSpec *));
        must(d->agents);
        for (size_t i = 0; i < n; i++)
                d->agents[d->n_agents++] = world_spec(names[i], 1, 1);
        return d;
}

/* --- observe ---------------------------------------------------------------------------------- */

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
        if (a->unit != UNIT_NOT_LOADED && w->manager == SOURCE_PRESENT) {
                ObservedUnit *u = observed_add_unit(o);

                must(u);
                u->agent = copy(a->name);
                u->state = a->unit;
                u->main_pid = a->pid;
        }
        if (a->unit == UNIT_ACTIVE && w->runs != SOURCE_UNKNOWN) {
                ObservedRun *run = observed_add_run(o);

                must(run);
                run->agent = copy(a->name);
                run->alive = true;
                run->pid = a->pid;
                run->started_usec = a->started_usec;
                run->monotonic_usec = w->old_launchers ? 0 : a->started_mono_usec;
                put_fingerprint(run->restart_fingerprint, a->running);
                put_fingerprint(run->resolved, a->running_resolved);
        }
        if ((a->stopped_well || a->stopped_once) && w->files != SOURCE_UNKNOWN) {
                ObservedStop *s = observed_add_stop(o);

                must(s);
                s->agent = copy(a->name);
                s->this_boot = a->stopped_well;
                s->result = copy("success");
                s->ours = a->announced != 0 && a->announced == a->last_pid;
                s->at_usec = a->stopped_usec;
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

static Observed *show(const World *w, const Desired *desired) {
        Observed *o;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
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
        o->holder_since_usec = w->holder_since_usec;
        for (size_t i = 0; i < w->n_agents; i++)
                observe_agent(w, w->agents + i, desired, o);
        for (size_t i = 0; i < w->n_agents && o->tmux.state == SOURCE_PRESENT; i++)
                observe_session(w->agents + i, o);
        observe_ledger(w, &o->pacing);
        observed_sort(o);
        return o;
}

static int world_observe(
                void *world, const Desired *desired, bool details _unused_, Observed **ret) {
        WorldCall call = { .kind = CALL_LOOK };
        World *w = world;
        const World *seen;

        w->stale = NULL;
        /* A caller that has crashed may look; it cannot do anything. */
        switch (w->hook && !w->dead ? w->hook(w, &call, w->userdata) : FAULT_NONE) {
        case FAULT_CRASH_BEFORE:
        case FAULT_CRASH_AFTER:
                w->dead = true;
                return -EIO;
        case FAULT_ERROR:
        case FAULT_ERROR_WITH_EFFECT:
        case FAULT_LATE:
        case FAULT_PARTIAL:
                return -EIO;
        case FAULT_NONE:
        case _FAULT_MAX:
                break;
        }
        seen = w->stale ? w->stale : w;
        *ret = show(seen, desired);
        (*ret)->now_usec = w->now_usec;
        (*ret)->monotonic_usec = w->mono_usec;
        w->n_looks++;
        if (w->told && !w->dead)
                world_copy(w->told, seen);
        /* What the hook hid was hidden from one look. */
        if (w->hook)
                w->tmux = w->manager = w->runs = w->files = SOURCE_PRESENT;
        return 0;
}

static int world_capture(void *world,
                const Observed *observed _unused_,
                char *const *agents,
                DriverScreen *screens) {
        World *w = world;

        for (size_t i = 0; agents[i]; i++) {
                screens[i].known = true;
                screens[i].screen.text = copy("a screen\n");
                screens[i].screen.title = copy("a title");
                screens[i].other_foreground = world_agent(w, agents[i])->at_work;
        }
        return 0;
}

/* --- what calls do ---------------------------------------------------------------------------- */

void world_lose_server(World *w, UnitState state) {
        w->server = w->hidden = false;
        for (size_t i = 0; i < w->n_agents; i++) {
                WorldAgent *a = w->agents + i;

                a->session = a->misnamed = a->namesake = false;
                a->attached = 0;
                if (a->unit == UNIT_ACTIVE) {
                        a->unit = state;
                        a->pid = 0;
                        a->stopped_well = state == UNIT_NOT_LOADED;
                        a->stopped_usec = w->now_usec;
                }
        }
}

static void stop_agent(World *w, WorldAgent *a) {
        if (a->unit == UNIT_ACTIVE) {
                w->n_destroyed++;
                a->n_stops++;
                a->stopped_well = !a->dies_hard;
                a->stopped_usec = w->now_usec;
                a->attached = 0;
                a->unit = a->dies_hard ? UNIT_FAILED : UNIT_NOT_LOADED;
        } else if (a->unit == UNIT_RESTARTING)
                a->unit = UNIT_NOT_LOADED;
        a->pid = 0;
}

/* A unit that failed wants its failure cleared first, as one beyond its start limit does. */
static int start_agent(World *w, WorldAgent *a) {
        if (a->unit == UNIT_ACTIVE)
                return 0;
        if (a->unit == UNIT_FAILED)
                return -EBUSY;
        if (!w->server || w->hidden || !a->spec || a->refuses_start ||
                        (!a->session && a->namesake)) {
                a->unit = UNIT_FAILED;
                return -EIO;
        }
        if (!a->session) { /* the launcher makes up for it */
                a->session = true;
                a->misnamed = false;
                a->session_number = w->next_session++;
        }
        if (a->unit == UNIT_NOT_LOADED)
                a->loaded = a->dropin;
        a->unit = UNIT_ACTIVE;
        a->pid = a->last_pid = w->next_pid++;
        a->n_starts++;
        a->started_usec = w->now_usec;
        a->started_mono_usec = w->mono_usec;
        a->stopped_well = a->stopped_once = false;
        a->announced = 0;
        a->running = a->restart;
        a->running_resolved = a->resolved;
        return 0;
}

void world_restart_due(World *w) {
        for (size_t i = 0; i < w->n_agents; i++)
                if (w->agents[i].unit == UNIT_RESTARTING) {
                        /* The unit requires the holder's. */
                        if (!w->server) {
                                w->server = true;
                                w->holder_since_usec = w->now_usec;
                        }
                        (void)start_agent(w, w->agents + i);
                }
}

void world_reboot(World *w) {
        world_lose_server(w, UNIT_FAILED);
        for (size_t i = 0; i < w->n_agents; i++) {
                WorldAgent *a = w->agents + i;

                a->unit = UNIT_NOT_LOADED;
                a->loaded = 0;
                a->at_work = false;
                a->stopped_once = a->stopped_once || a->stopped_well;
                a->stopped_well = false;
                a->announced = a->last_pid = 0;
                a->running = a->running_resolved = 0;
                a->started_usec = a->started_mono_usec = 0;
                a->has_entry = false;
                a->entry = (PaceEntry){ 0 };
        }
        w->ledger = (Pacing){ 0 };
        w->n_late = 0;
        w->dead = false;
        w->mono_usec = 5000000;
        w->now_usec += 30000000;
}

static int do_session(World *w, WorldAgent *a, const WorldItem *item) {
        bool same = a->session && a->session_number == item->session;

        if (!w->server || w->hidden)
                return -ECONNREFUSED;
        switch ((DriverJobKind)item->job) {
        case DRIVER_SESSION:
                if (a->session)
                        return 0;
                if (a->namesake)
                        return -EEXIST;
                a->session = true;
                a->misnamed = false;
                a->session_number = w->next_session++;
                return 0;
        case DRIVER_RENAME:
                if (same && !a->namesake)
                        a->misnamed = false;
                return 0;
        case DRIVER_KILL_SESSION:
                if (same) {
                        a->session = a->misnamed = false;
                        a->attached = 0;
                        w->n_destroyed++;
                }
                return 0;
        case DRIVER_START:
        case DRIVER_STOP:
                break;
        }
        return -EINVAL;
}

static int do_item(World *w, WorldCallKind kind, bool reload, WorldItem *item) {
        WorldAgent *a = w->agents + item->agent;

        switch (kind) {
        case CALL_ACCEPT:
                a->spec = true;
                a->restart = item->restart;
                a->live = item->live;
                a->resolved = item->resolved;
                return 0;
        case CALL_DROPINS:
                a->dropin = item->live;
                w->reload_pending = w->reload_pending || reload;
                return 0;
        case CALL_RESET_FAILED:
                if (a->unit == UNIT_FAILED)
                        a->unit = UNIT_NOT_LOADED;
                return 0;
        case CALL_REMOVE_FILES:
                a->spec = a->stopped_well = a->stopped_once = a->hold = false;
                a->restart = a->live = a->resolved = a->dropin = 0;
                w->n_destroyed++;
                return 0;
        case CALL_ANNOUNCE:
                a->announced = a->last_pid;
                return 0;
        case CALL_SESSIONS:
                return do_session(w, a, item);
        case CALL_SUBMIT:
                if (item->job == DRIVER_STOP)
                        stop_agent(w, a);
                else
                        return start_agent(w, a);
                return 0;
        case CALL_LOOK:
        case CALL_RELOAD:
        case CALL_START_HOLDER:
        case CALL_STOP_HOLDER:
        case CALL_REPAIR_HOLDER:
        case CALL_WAIT:
        case CALL_KEEP:
        case CALL_ROSTER:
        case _CALL_KIND_MAX:
                break;
        }
        return -EINVAL;
}

static void keep(World *w, const Pacing *ledger) {
        for (size_t i = 0; i < w->n_agents; i++) {
                const PaceEntry *e = pacing_find(ledger, w->agents[i].name);

                w->agents[i].has_entry = e != NULL;
                w->agents[i].entry = e ? *e : (PaceEntry){ 0 };
        }
        w->ledger = *ledger;
        w->ledger.items = NULL;
        w->ledger.n_items = 0;
}

int world_do(World *w, WorldCall *call) {
        for (size_t i = 0; i < call->n_items; i++)
                call->items[i].error = do_item(w, call->kind, call->reload, call->items + i);
        switch (call->kind) {
        case CALL_RELOAD:
                w->n_reloads++;
                w->reload_pending = false;
                for (size_t i = 0; i < w->n_agents; i++)
                        w->agents[i].loaded = w->agents[i].dropin;
                break;
        case CALL_START_HOLDER: /* of a unit that is active: nothing */
                if (!w->server) {
                        w->server = true;
                        w->holder_since_usec = w->now_usec;
                }
                break;
        case CALL_STOP_HOLDER:
                world_lose_server(w, UNIT_NOT_LOADED);
                break;
        case CALL_REPAIR_HOLDER:
                w->hidden = false;
                break;
        case CALL_KEEP:
                keep(w, call->ledger);
                break;
        case CALL_ROSTER:
                w->accepted = w->roster;
                break;
        case CALL_LOOK:
        case CALL_ACCEPT:
        case CALL_DROPINS:
        case CALL_RESET_FAILED:
        case CALL_REMOVE_FILES:
        case CALL_ANNOUNCE:
        case CALL_SESSIONS:
        case CALL_SUBMIT:
        case CALL_WAIT:
        case _CALL_KIND_MAX:
                break;
        }
        return 0;
}

void world_settle(World *w) {
        for (size_t i = 0; i < w->n_late; i++)
                (void)world_do(w, w->late + i);
        w->n_late = 0;
}

/* A disk is full, a server goes away: the rest was not done. Of one agent's files the spec goes
 * last. */
static void do_half(World *w, WorldCall *call) {
        if (call->kind == CALL_REMOVE_FILES)
                for (size_t i = 0; i < call->n_items; i++) {
                        WorldAgent *a = w->agents + call->items[i].agent;

                        a->dropin = 0;
                        a->stopped_well = a->stopped_once = a->hold = false;
                }
        else
                for (size_t i = 0; i < call->n_items / 2; i++)
                        (void)do_item(w, call->kind, call->reload, call->items + i);
        /* It was noted before the first of them was written. */
        if (call->kind == CALL_DROPINS)
                w->reload_pending = w->reload_pending || call->reload;
}

/* One call of the code under test. */
static int run_call(World *w, WorldCall *call) {
        WorldFault fault = FAULT_NONE;
        int r;

        if (w->dead)
                return -EIO;
        w->n_calls++;
        if (w->crash_at != 0 && w->n_calls == w->crash_at)
                fault = w->crash_after ? FAULT_CRASH_AFTER : FAULT_CRASH_BEFORE;
        else if (w->hook)
                fault = w->hook(w, call, w->userdata);
        if (fault == FAULT_CRASH_BEFORE)
                w->dead = true;
        if (fault == FAULT_LATE && w->n_late < ELEMENTSOF(w->late) && call->kind != CALL_KEEP)
                w->late[w->n_late++] = *call;
        if (fault == FAULT_CRASH_BEFORE || fault == FAULT_ERROR || fault == FAULT_LATE)
                return -EIO;
        if (fault == FAULT_PARTIAL) {
                do_half(w, call);
                return -EIO;
        }
        r = world_do(w, call);
        if (fault == FAULT_CRASH_AFTER)
                w->dead = true;
        return fault == FAULT_NONE ? r : -EIO;
}

/* --- the driver ------------------------------------------------------------------------------- */

static WorldItem *add_item(World *w, WorldCall *call, const char *agent) {
        WorldItem *item = call->items + call->n_items++;

        must(call->n_items <= WORLD_AGENTS_MAX);
        item->agent = (uint8_t)(world_agent(w, agent) - w->agents);
        return item;
}

static int with_specs(World *w, WorldCall *call, AgentSpec *const *specs, size_t n) {
        for (size_t i = 0; i < n; i++) {
                WorldItem *item = add_item(w, call, specs[i]->name);

                item->restart = world_number(specs[i]->restart_fingerprint);
                item->live = world_number(specs[i]->live_fingerprint);
                item->resolved = world_number(specs[i]->resolved);
        }
        return run_call(w, call);
}

static int world_accept(
                void *world, const Desired *desired _unused_, AgentSpec *const *specs, size_t n) {
        return with_specs(world, &(WorldCall){ .kind = CALL_ACCEPT }, specs, n);
}

static int world_write_dropins(void *world, AgentSpec *const *specs, size_t n, bool reload) {
        return with_specs(world, &(WorldCall){ .kind = CALL_DROPINS, .reload = reload }, specs, n);
}

static int with_agents(World *w, WorldCallKind kind, char *const *agents) {
        WorldCall call = { .kind = kind };

        for (; *agents; agents++)
                (void)add_item(w, &call, *agents);
        return run_call(w, &call);
}

static int world_reset_failed(void *world, char *const *agents) {
        return with_agents(world, CALL_RESET_FAILED, agents);
}

static int world_announce_stops(
                void *world, const Observed *observed _unused_, char *const *agents) {
        return with_agents(world, CALL_ANNOUNCE, agents);
}

static int world_remove_files(void *world, const char *agent) {
        char *agents[] = { (char *)(uintptr_t)agent, NULL };

        return with_agents(world, CALL_REMOVE_FILES, agents);
}

static int world_reload(void *world) {
        return run_call(world, &(WorldCall){ .kind = CALL_RELOAD });
}

static int world_start_holder(void *world, char **ret_message _unused_) {
        return run_call(world, &(WorldCall){ .kind = CALL_START_HOLDER });
}

static int world_stop_holder(void *world, char **ret_message _unused_) {
        return run_call(world, &(WorldCall){ .kind = CALL_STOP_HOLDER });
}

static int world_repair_holder(
                void *world, const Observed *observed _unused_, char **ret_message _unused_) {
        return run_call(world, &(WorldCall){ .kind = CALL_REPAIR_HOLDER });
}

int world_keep(World *w, const Pacing *ledger) {
        return run_call(w, &(WorldCall){ .kind = CALL_KEEP, .ledger = ledger });
}

int world_accept_roster(World *w) {
        return run_call(w, &(WorldCall){ .kind = CALL_ROSTER });
}

static int with_jobs(World *w, WorldCallKind kind, DriverJob *jobs, size_t n) {
        WorldCall call = { .kind = kind };
        int r;

        for (size_t i = 0; i < n; i++) {
                WorldItem *item = add_item(w, &call, jobs[i].agent);

                item->job = (uint8_t)jobs[i].kind;
                if (jobs[i].session_id)
                        (void)sscanf(jobs[i].session_id, "$%u", &item->session);
        }
        r = run_call(w, &call);
        for (size_t i = 0; i < n && r == 0; i++) {
                jobs[i].finished = true;
                jobs[i].error = call.items[i].error;
        }
        return r;
}

static int world_sessions(void *world, DriverJob *jobs, size_t n) {
        return with_jobs(world, CALL_SESSIONS, jobs, n);
}

/* The manager does what it was told, whatever becomes of the caller; wait() only tells. */
static int world_submit(void *world, DriverJob *jobs, size_t n) {
        World *w = world;

        for (size_t i = 0; i < n; i++) {
                int r = with_jobs(w, CALL_SUBMIT, jobs + i, 1);

                if (r < 0)
                        return r;
                must(w->n_pending < ELEMENTSOF(w->pending));
                w->pending[w->n_pending++] = jobs + i;
        }
        return 0;
}

static int world_wait(void *world, DriverJobDone done, void *userdata) {
        World *w = world;
        size_t n = w->n_pending;
        int r = n == 0 ? 0 : run_call(w, &(WorldCall){ .kind = CALL_WAIT });

        w->n_pending = 0;
        if (r < 0)
                for (size_t i = 0; i < n; i++)
                        w->pending[i]->finished = false;
        for (size_t i = 0; i < n && r == 0; i++)
                if (done)
                        done(w->pending[i], userdata);
        return r;
}

Driver world_driver(World *w) {
        return (Driver){
                .world = w,
                .observe = world_observe,
                .capture = world_capture,
                .accept = world_accept,
                .write_dropins = world_write_dropins,
                .reload = world_reload,
                .reset_failed = world_reset_failed,
                .remove_files = world_remove_files,
                .announce_stops = world_announce_stops,
                .start_holder = world_start_holder,
                .stop_holder = world_stop_holder,
                .repair_holder = world_repair_holder,
                .sessions = world_sessions,
                .submit = world_submit,
                .wait = world_wait,
        };
}
