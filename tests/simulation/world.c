/* SPDX-License-Identifier: MIT */
#include "tests/simulation/world.h"

#include <assert.h>
#include <string.h>

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
                [CALL_CAPTURE] = "capture",
                [CALL_LAUNCH] = "launch",
                [CALL_KEEP] = "keep",
                [CALL_ROSTER] = "accept_roster",
        };

        assert(k < _CALL_KIND_MAX);
        return names[k];
}

void world_init(World *w) {
        memset(w, 0, offsetof(World, agents));
        w->next_invocation = 100;
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

/* A free one, soon again: agents and whatever else runs have had it before. */
pid_t world_new_pid(World *w) {
        for (;;) {
                pid_t pid = 100 + (pid_t)(w->next_pid++ % (2 * w->n_agents + 3));
                bool used = false;

                for (size_t i = 0; i < w->n_agents && !used; i++)
                        used = w->agents[i].pid == pid ||
                               (w->agents[i].launching && w->agents[i].launcher_pid == pid);
                if (!used)
                        return pid;
        }
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

AgentSpec *world_spec(const char *name, unsigned restart_version, unsigned live_version) {
        AgentSpec *s = calloc(1, sizeof(AgentSpec));

        must(s);
        s->name = copy(name);
        s->line = 7;
        s->runtime = copy("shell");
        s->workdir = copy("/tmp");
        must(strv_push(&s->argv, "sh") == 0);
        /* Heeded by the supervisor `direct` only: the manager has its own. */
        s->restart_delay_usec = 1000000;
        s->restart_attempts = 5;
        s->restart_window_usec = 600000000;
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

/* --- looks ---------------------------------------------------------------------------------------
 */

/* What a call that is made to fail fails with. */
static int failure(const World *w) {
        return w->error != 0 && !w->dead ? -w->error : -EIO;
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
                return failure(w);
        case FAULT_NONE:
        case _FAULT_MAX:
                break;
        }
        seen = w->stale ? w->stale : w;
        *ret = world_show(seen, desired);
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

static int run_call(World *w, WorldCall *call);

static int world_capture(void *world,
                const Observed *observed _unused_,
                char *const *agents,
                DriverScreen *screens) {
        World *w = world;

        if (w->stepwise) {
                int r = run_call(w, &(WorldCall){ .kind = CALL_CAPTURE });

                /* What cannot be told counts as being at work. */
                for (size_t i = 0; agents[i] && w->told && r < 0; i++)
                        world_agent(w->told, agents[i])->at_work = true;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; agents[i]; i++) {
                screens[i].known = true;
                screens[i].screen.text = copy("a screen\n");
                screens[i].screen.title = copy("a title");
                screens[i].other_foreground = world_agent(w, agents[i])->at_work;
                if (w->stepwise && w->told && !w->dead) /* seen now, not when the look began */
                        world_agent(w->told, agents[i])->at_work = screens[i].other_foreground;
        }
        return 0;
}

/* --- what calls do ---------------------------------------------------------------------------- */

void world_end_agent(World *w, WorldAgent *a, UnitState state, bool well) {
        a->attached = 0;
        a->pid = 0;
        a->unit = w->direct ? UNIT_NOT_LOADED : state;
        a->stopped_usec = w->now_usec;
        a->stopped_mono_usec = w->mono_usec;
        if (!w->stepwise) {
                a->stopped_well = well;
                return;
        }
        a->launching = false;
        /* Without a keeper nobody is left who would write it down. */
        if (!a->orphan && !a->unwatched) {
                a->stopped_well = well;
                a->stopped_badly = !well;
                a->stopped_once = false;
                a->stopped_invocation = a->invocation;
        }
        a->orphan = a->unwatched = false;
}

void world_end_session(World *w, WorldAgent *a) {
        a->session = a->misnamed = a->no_keeper = false;
        a->attached = 0;
        if (a->launching)
                launching_hang_up(w, a);
        else if (w->direct && a->unit == UNIT_ACTIVE && !a->orphan)
                world_end_agent(w, a, UNIT_NOT_LOADED, /* well= */ true);
}

void world_lose_server(World *w, UnitState state) {
        w->server = w->hidden = false;
        for (size_t i = 0; i < w->n_agents; i++) {
                WorldAgent *a = w->agents + i;
                bool had_session = a->session;

                a->namesake = false;
                if (had_session)
                        world_end_session(w, a);
                /* Whoever stops the holder stops what requires it. */
                if (a->unit == UNIT_ACTIVE || (a->launching && state == UNIT_NOT_LOADED))
                        if (!a->orphan)
                                world_end_agent(w, a, state, state == UNIT_NOT_LOADED);
        }
}

static void stop_agent(World *w, WorldAgent *a) {
        if (a->unit == UNIT_ACTIVE || a->launching) {
                w->n_destroyed++;
                a->n_stops++;
                world_end_agent(w, a, a->dies_hard ? UNIT_FAILED : UNIT_NOT_LOADED, !a->dies_hard);
        } else if (a->unit == UNIT_RESTARTING)
                a->unit = UNIT_NOT_LOADED;
        a->pid = 0;
}

/* A unit that failed wants its failure cleared first, as one beyond its start limit does. */
static int start_agent(World *w, WorldAgent *a) {
        if (a->unit == UNIT_ACTIVE || a->launching)
                return 0;
        if (a->unit == UNIT_FAILED)
                return -EBUSY;
        if (w->stepwise && w->server) {
                launching_begin(w, a);
                return 0;
        }
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
        a->pid = world_new_pid(w);
        a->invocation = w->next_invocation++;
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
                                w->holder_since_usec = w->mono_usec;
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
                a->stopped_once = a->stopped_once || a->stopped_well || a->stopped_badly;
                a->stopped_well = a->stopped_badly = false;
                a->launching = a->orphan = a->unwatched = a->run_file = false;
                a->n_tries = 0;
                a->announced = a->invocation = 0;
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
                launching_new_session(w, a);
                return 0;
        case DRIVER_RENAME:
                if (same && !a->namesake)
                        a->misnamed = false;
                return 0;
        case DRIVER_KILL_SESSION:
                if (same) {
                        world_end_session(w, a);
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
                a->n_tries = 0;
                return 0;
        case CALL_REMOVE_FILES:
                a->spec = a->stopped_well = a->stopped_once = a->hold = false;
                a->stopped_badly = a->run_file = false;
                a->restart = a->live = a->resolved = a->dropin = 0;
                w->n_destroyed++;
                return 0;
        case CALL_ANNOUNCE: /* the run that the look has seen */
                if (!w->stepwise)
                        a->announced = a->invocation;
                else if (item->run != 0)
                        a->announced = item->run;
                return 0;
        case CALL_SESSIONS:
                return do_session(w, a, item);
        case CALL_SUBMIT:
                if (w->direct) /* keepers are asked by wait() */
                        return 0;
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
        case CALL_CAPTURE:
        case CALL_LAUNCH:
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
                        w->holder_since_usec = w->mono_usec;
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
        case CALL_CAPTURE:
        case CALL_LAUNCH:
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
        w->did = fault == FAULT_NONE || fault == FAULT_ERROR_WITH_EFFECT;
        if (fault == FAULT_CRASH_BEFORE || fault == FAULT_ERROR || fault == FAULT_LATE)
                return failure(w);
        if (fault == FAULT_PARTIAL) {
                do_half(w, call);
                return failure(w);
        }
        r = world_do(w, call);
        if (fault == FAULT_CRASH_AFTER)
                w->dead = true;
        return fault == FAULT_NONE ? r : failure(w);
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

static int world_announce_stops(void *world, const Observed *observed, char *const *agents) {
        WorldCall call = { .kind = CALL_ANNOUNCE };
        World *w = world;

        for (; *agents; agents++) {
                const char *invocation = observed_invocation(observed, *agents);

                (void)sscanf(invocation ? invocation : "0", "%x",
                                &add_item(w, &call, *agents)->run);
        }
        return run_call(w, &call);
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
                jobs[i].finished = false; /* before wait() says so */
                must(w->n_pending < ELEMENTSOF(w->pending));
                w->pending[w->n_pending++] = jobs + i;
        }
        return 0;
}

/* What was submitted comes to its end: a launch, and under `direct` what a keeper is asked for. */
static void end_job(World *w, DriverJob *job) {
        WorldAgent *a = world_agent(w, job->agent);

        if (job->error == 0 && w->direct)
                job->error = launching_serve(w, a, job->kind);
        else if (job->error == 0 && job->kind == DRIVER_START)
                job->error = launching_wait(w, a);
}

/* How many of those that are pending, the first ones, have ended when a wait returns: all; in a
 * world of steps each is told of as it ends, in any order. */
static size_t end_some(World *w) {
        size_t other = w->n_calls % w->n_pending;
        DriverJob *job = w->pending[other];

        if (!w->stepwise)
                return w->n_pending;
        w->pending[other] = w->pending[0];
        w->pending[0] = job;
        return 1;
}

static int world_wait(void *world, DriverJobDone done, void *userdata) {
        World *w = world;
        size_t n;
        int r;

        if (w->n_pending == 0)
                return 0;
        r = run_call(w, &(WorldCall){ .kind = CALL_WAIT });
        n = end_some(w);
        if (w->stepwise && w->did) {
                end_job(w, w->pending[0]);
                r = w->dead ? -EIO : r;
        }
        if (r < 0) { /* nobody will hear of the others */
                w->n_pending = 0;
                return r;
        }
        for (size_t i = 0; i < n; i++)
                w->pending[i]->finished = true;
        for (size_t i = 0; i < n && done; i++)
                done(w->pending[i], userdata);
        w->n_pending -= n;
        memmove(w->pending, w->pending + n, w->n_pending * sizeof(DriverJob *));
        return 0;
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
