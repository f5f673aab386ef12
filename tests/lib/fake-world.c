/* SPDX-License-Identifier: MIT */
#include "tests/lib/fake-world.h"

#include <assert.h>
#include <string.h>

#include "model/base/strv.h"

static void must(bool ok) {
        if (!ok)
                abort();
}

void fake_world_init(FakeWorld *w) {
        *w = (FakeWorld){ .next_pid = 100, .next_session = 1 };
}

FakeAgent *fake_agent(FakeWorld *w, const char *name) {
        FakeAgent *a;

        for (size_t i = 0; i < w->n_agents; i++)
                if (strcmp(w->agents[i].name, name) == 0)
                        return w->agents + i;
        must(w->n_agents < FAKE_AGENTS_MAX);
        a = w->agents + w->n_agents++;
        (void)snprintf(a->name, sizeof(a->name), "%s", name);
        return a;
}

static char *copy(const char *s) {
        char *c = strdup(s);

        must(c);
        return c;
}

AgentSpec *fake_spec(const char *name, unsigned restart_version, unsigned live_version) {
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

Desired *fake_desired(const char *const *names, size_t n) {
        Desired *d = calloc(1, sizeof(Desired));

        must(d);
        d->supervisor = _SUPERVISOR_INVALID;
        d->agents = calloc(n + 1, sizeof(AgentSpec *));
        must(d->agents);
        for (size_t i = 0; i < n; i++)
                d->agents[d->n_agents++] = fake_spec(names[i], 1, 1);
        return d;
}

/* Counts a call; true if the crash has come before it could do anything. */
static bool crashed(FakeWorld *w, bool *ret_after) {
        w->n_calls++;
        *ret_after = w->crash_at != 0 && w->crash_after && w->n_calls == w->crash_at;
        return w->crash_at != 0 &&
               (w->n_calls > w->crash_at || (w->n_calls == w->crash_at && !w->crash_after));
}

/* Without the server nothing has a terminal: everything that ran ends. */
static void server_gone(FakeWorld *w) {
        w->server = false;
        for (size_t i = 0; i < w->n_agents; i++)
                w->agents[i].session = false;
}

/* --- observe -----------------------------------------------------------------------------------
 */

static void observe_agent(const FakeAgent *a, Observed *o) {
        if (a->spec) {
                ObservedFiles *f = observed_add_files(o);

                must(f);
                f->agent = copy(a->name);
                f->spec = true;
                (void)snprintf(f->restart_fingerprint, FINGERPRINT_SIZE, "%s",
                                a->restart_fingerprint);
                (void)snprintf(f->live_fingerprint, FINGERPRINT_SIZE, "%s", a->live_fingerprint);
                (void)snprintf(f->resolved, FINGERPRINT_SIZE, "%s", a->resolved);
                f->dropin = *a->dropin != '\0';
        }
        if (a->unit != UNIT_NOT_LOADED) {
                ObservedUnit *u = observed_add_unit(o);

                must(u);
                u->agent = copy(a->name);
                u->state = a->unit;
                u->main_pid = a->pid;
        }
        if (a->unit == UNIT_ACTIVE) {
                ObservedRun *run = observed_add_run(o);

                must(run);
                run->agent = copy(a->name);
                run->alive = true;
                run->pid = a->pid;
                (void)snprintf(run->restart_fingerprint, FINGERPRINT_SIZE, "%s", a->running);
                (void)snprintf(run->resolved, FINGERPRINT_SIZE, "%s", a->running_resolved);
        }
        if (a->stopped_well) {
                ObservedStop *s = observed_add_stop(o);

                must(s);
                s->agent = copy(a->name);
                s->this_boot = true;
                s->result = copy("success");
                s->ours = a->announced != 0 && a->announced == a->last_pid;
                s->at_usec = 1000;
        }
}

static void observe_sessions(const FakeWorld *w, Observed *o) {
        for (size_t i = 0; i < w->n_agents; i++) {
                const FakeAgent *a = w->agents + i;
                ObservedSession *s;
                char id[16];

                if (!a->session)
                        continue;
                s = observed_add_session(o);
                must(s);
                (void)snprintf(id, sizeof(id), "$%u", a->session_number);
                s->id = copy(id);
                s->name = copy(*a->session_name ? a->session_name : a->name);
                s->pane_id = copy("%1");
                s->owner = SESSION_AGENT;
                s->agent = copy(a->name);
                s->attached = a->attached;
        }
        if (w->foreign_session) {
                ObservedSession *s = observed_add_session(o);

                must(s);
                s->id = copy("$99");
                s->name = copy(w->agents[0].name);
                s->pane_id = copy("%99");
        }
}

static int fake_observe(
                void *world, const Desired *desired, bool details _unused_, Observed **ret) {
        FakeWorld *w = world;
        Observed *o;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
        o->runs.state = o->files.state = SOURCE_PRESENT;
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
        o->holder_since_usec = 500;
        o->now_usec = 10000000;
        for (size_t i = 0; i < w->n_agents; i++)
                observe_agent(w->agents + i, o);
        if (o->tmux.state == SOURCE_PRESENT)
                observe_sessions(w, o);
        for (size_t i = 0; i < o->n_file; i++) {
                const AgentSpec *s = desired_find(desired, o->file[i].agent);

                o->file[i].dropin_current = s && strcmp(fake_agent(w, o->file[i].agent)->dropin,
                                                                 s->live_fingerprint) == 0;
        }
        observed_sort(o);
        *ret = o;
        return 0;
}

static int fake_capture(void *world,
                const Observed *observed _unused_,
                char *const *agents,
                DriverScreen *screens) {
        FakeWorld *w = world;

        for (size_t i = 0; agents[i]; i++) {
                screens[i].known = true;
                screens[i].screen.text = copy("a screen\n");
                screens[i].screen.title = copy("a title");
                screens[i].other_foreground = fake_agent(w, agents[i])->at_work;
        }
        return 0;
}

/* --- change ------------------------------------------------------------------------------------
 */

static int fake_accept(
                void *world, const Desired *desired _unused_, AgentSpec *const *specs, size_t n) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        for (size_t i = 0; i < n; i++) {
                FakeAgent *a = fake_agent(w, specs[i]->name);

                a->spec = true;
                memcpy(a->restart_fingerprint, specs[i]->restart_fingerprint, FINGERPRINT_SIZE);
                memcpy(a->live_fingerprint, specs[i]->live_fingerprint, FINGERPRINT_SIZE);
                memcpy(a->resolved, specs[i]->resolved, FINGERPRINT_SIZE);
        }
        return after ? -EIO : 0;
}

static int fake_write_dropins(void *world, AgentSpec *const *specs, size_t n, bool reload) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        for (size_t i = 0; i < n; i++)
                w->reload_pending = w->reload_pending || reload;
        for (size_t i = 0; i < n; i++)
                memcpy(fake_agent(w, specs[i]->name)->dropin, specs[i]->live_fingerprint,
                                FINGERPRINT_SIZE);
        return after ? -EIO : 0;
}

static int fake_reload(void *world) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        w->n_reloads++;
        w->reload_pending = false;
        for (size_t i = 0; i < w->n_agents; i++)
                memcpy(w->agents[i].loaded, w->agents[i].dropin, FINGERPRINT_SIZE);
        return after ? -EIO : 0;
}

static int fake_reset_failed(void *world, char *const *agents) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        for (; *agents; agents++)
                if (fake_agent(w, *agents)->unit == UNIT_FAILED)
                        fake_agent(w, *agents)->unit = UNIT_NOT_LOADED;
        return after ? -EIO : 0;
}

static int fake_remove_files(void *world, const char *agent) {
        FakeWorld *w = world;
        FakeAgent *a;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        a = fake_agent(w, agent);
        a->spec = a->stopped_well = false;
        *a->dropin = '\0';
        w->n_destroyed++;
        return after ? -EIO : 0;
}

static int fake_start_holder(void *world, char **ret_message _unused_) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        w->server = true;
        return after ? -EIO : 0;
}

static int fake_stop_holder(void *world, char **ret_message _unused_) {
        server_gone(world);
        return 0;
}

static int fake_repair_holder(
                void *world, const Observed *observed _unused_, char **ret_message _unused_) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        w->hidden = false;
        return after ? -EIO : 0;
}

static int fake_sessions(void *world, DriverJob *jobs, size_t n) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        for (size_t i = 0; i < n; i++) {
                FakeAgent *a = fake_agent(w, jobs[i].agent);

                if (jobs[i].kind == DRIVER_SESSION && w->server && !a->session) {
                        a->session = true;
                        a->session_number = w->next_session++;
                        *a->session_name = '\0';
                } else if (jobs[i].kind == DRIVER_RENAME)
                        *a->session_name = '\0';
                else if (jobs[i].kind == DRIVER_KILL_SESSION) {
                        a->session = false;
                        w->n_destroyed++;
                }
                jobs[i].finished = true;
        }
        return after ? -EIO : 0;
}

static void stop_agent(FakeWorld *w, FakeAgent *a) {
        if (a->unit == UNIT_ACTIVE) {
                w->n_destroyed++;
                a->n_stops++;
                a->stopped_well = true;
        }
        a->unit = a->dies_hard ? UNIT_FAILED : UNIT_NOT_LOADED;
        a->pid = 0;
}

static int fake_announce_stops(
                void *world, const Observed *observed _unused_, char *const *agents) {
        FakeWorld *w = world;
        bool after;

        if (crashed(w, &after))
                return -EIO;
        for (; *agents; agents++)
                fake_agent(w, *agents)->announced = fake_agent(w, *agents)->last_pid;
        return after ? -EIO : 0;
}

static void start_agent(FakeWorld *w, FakeAgent *a, DriverJob *job) {
        if (a->unit == UNIT_ACTIVE)
                return;
        if (!w->server || !a->spec || a->refuses_start) {
                job->error = -EIO;
                job->message = copy("it does not start");
                a->unit = UNIT_FAILED;
                return;
        }
        if (!a->session) { /* the launcher makes up for it */
                a->session = true;
                a->session_number = w->next_session++;
        }
        a->unit = UNIT_ACTIVE;
        a->pid = a->last_pid = w->next_pid++;
        a->n_starts++;
        memcpy(a->running, a->restart_fingerprint, FINGERPRINT_SIZE);
        memcpy(a->running_resolved, a->resolved, FINGERPRINT_SIZE);
        memcpy(a->loaded, a->dropin, FINGERPRINT_SIZE);
}

/* Jobs are done when they are submitted; wait() only tells. */
static DriverJob *pending[4096];
static size_t n_pending;

static int fake_submit(void *world, DriverJob *jobs, size_t n) {
        FakeWorld *w = world;

        for (size_t i = 0; i < n; i++) {
                FakeAgent *a = fake_agent(w, jobs[i].agent);
                bool after;

                if (crashed(w, &after))
                        return -EIO;
                if (jobs[i].kind == DRIVER_STOP)
                        stop_agent(w, a);
                else
                        start_agent(w, a, jobs + i);
                jobs[i].finished = true;
                if (after)
                        return -EIO;
                must(n_pending < ELEMENTSOF(pending));
                pending[n_pending++] = jobs + i;
        }
        return 0;
}

static int fake_wait(void *world _unused_, DriverJobDone done, void *userdata) {
        for (size_t i = 0; i < n_pending; i++)
                if (done)
                        done(pending[i], userdata);
        n_pending = 0;
        return 0;
}

Driver fake_world_driver(FakeWorld *w) {
        return (Driver){
                .world = w,
                .observe = fake_observe,
                .capture = fake_capture,
                .accept = fake_accept,
                .write_dropins = fake_write_dropins,
                .reload = fake_reload,
                .reset_failed = fake_reset_failed,
                .remove_files = fake_remove_files,
                .announce_stops = fake_announce_stops,
                .start_holder = fake_start_holder,
                .stop_holder = fake_stop_holder,
                .repair_holder = fake_repair_holder,
                .sessions = fake_sessions,
                .submit = fake_submit,
                .wait = fake_wait,
        };
}
