/* SPDX-License-Identifier: MIT */

/*
 * How an agent gets its process in a world of steps: launchers that go by drivers/agent/launch.c,
 * and keepers, which under `direct` are the supervisor. What keepers know becomes units by
 * drivers/direct/known.c.
 */

#include <errno.h>
#include <string.h>

#include "drivers/direct/known.h"
#include "drivers/store/store.h"
#include "tests/simulation/world.h"

/* Launches that failed one after the other, until the manager gives up. */
#define TRIES_MAX 5
/* No launch takes more steps than this. */
#define STEPS_MAX 64

static void broken(World *w, const char *what) {
        if (!w->broken)
                w->broken = what;
}

/* Does the keeper of its session answer? It needs no server for that, nor the server's socket. */
static bool keeper_answers(const WorldAgent *a) {
        return a->session && !a->no_keeper;
}

/* It ends with its keeper, which is all that is in it. */
void launching_new_session(World *w, WorldAgent *a) {
        a->session = !a->keeper_fails;
        a->misnamed = a->no_keeper = false;
        a->session_number = w->next_session++;
}

/* From here on the launcher is the process of the agent. */
static void become_process(WorldAgent *a) {
        a->pid = a->launcher_pid;
        a->born = a->invocation;
}

void launching_begin(World *w, WorldAgent *a) {
        if (a->unit == UNIT_NOT_LOADED)
                a->loaded = a->dropin;
        a->launch = launch_begin(!w->direct);
        a->launching = true;
        a->refused = a->unwatched = false;
        a->reading = a->reading_resolved = 0;
        a->invocation = w->next_invocation++;
        a->launcher_pid = world_new_pid(w);
        if (a->orphan) /* all that is seen, until it is ended */
                return;
        a->unit = UNIT_ACTIVATING;
        become_process(a);
}

/* --- the launcher ----------------------------------------------------------------------------- */

static LaunchOutcome refuse(WorldAgent *a) {
        a->refused = true;
        return LAUNCH_ERROR;
}

static LaunchOutcome make_session(World *w, WorldAgent *a, bool late) {
        if (w->direct)
                broken(w, "a launcher makes a session, whose keeper is not its parent");
        if (!w->server || w->hidden)
                return late ? LAUNCH_ERROR : LAUNCH_NOT_YET;
        if (a->session && !a->misnamed)
                return LAUNCH_THERE;
        if (a->namesake)
                return refuse(a);
        launching_new_session(w, a);
        return LAUNCH_DONE;
}

/* What the look for a session by its name finds. */
static LaunchOutcome add_keeper(const World *w, WorldAgent *a) {
        if (!w->server || w->hidden || !a->session || a->misnamed)
                return LAUNCH_ERROR;
        a->no_keeper = a->keeper_fails;
        return LAUNCH_DONE;
}

/* Under `direct` it is ended; a service manager has seen to it before. */
static LaunchOutcome check_run(World *w, WorldAgent *a) {
        if (!a->orphan)
                return LAUNCH_DONE;
        if (!w->direct)
                return LAUNCH_ERROR;
        a->orphan = false;
        a->unit = UNIT_ACTIVATING;
        become_process(a);
        return LAUNCH_DONE;
}

static LaunchOutcome write_run(World *w, WorldAgent *a) {
        if (a->orphan)
                broken(w, "two agents of one name run");
        if (a->reading == 0)
                broken(w, "an agent is started without a spec");
        a->run_file = true;
        a->run_pid = a->launcher_pid;
        a->run_invocation = a->invocation;
        a->run_restart = a->running = a->reading;
        a->run_resolved = a->running_resolved = a->reading_resolved;
        if (w->direct) /* that is what tells that it runs, from here on */
                a->unit = UNIT_ACTIVE;
        a->started_usec = w->now_usec;
        a->started_mono_usec = w->mono_usec;
        return LAUNCH_DONE;
}

static LaunchOutcome say_ready(World *w, WorldAgent *a) {
        if (a->run_invocation != a->invocation) /* whatever became of the file meanwhile */
                broken(w, "an agent is ready, and no run file was written that says what it runs");
        if (!keeper_answers(a))
                broken(w, "an agent is ready without a terminal");
        if (!w->direct)
                a->unit = UNIT_ACTIVE;
        return LAUNCH_DONE;
}

static LaunchOutcome exec(World *w, WorldAgent *a) {
        if (a->exec_fails)
                return refuse(a);
        a->launching = false;
        a->unit = UNIT_ACTIVE;
        a->n_starts++;
        a->n_tries = 0;
        if (a->orphan)
                broken(w, "two agents of one name run");
        return LAUNCH_DONE;
}

static LaunchOutcome perform(World *w, WorldAgent *a, bool late) {
        switch (a->launch.step) {
        case LAUNCH_READ_SPEC:
                if (!a->spec)
                        return refuse(a);
                a->reading = a->restart;
                a->reading_resolved = a->resolved;
                return LAUNCH_DONE;
        case LAUNCH_ASK_KEEPER:
                return keeper_answers(a) ? LAUNCH_DONE : LAUNCH_ABSENT;
        case LAUNCH_MAKE_SESSION:
                return make_session(w, a, late);
        case LAUNCH_AWAIT_KEEPER:
                return keeper_answers(a) ? LAUNCH_DONE : late ? LAUNCH_LATE : LAUNCH_NOT_YET;
        case LAUNCH_ADD_KEEPER:
                return add_keeper(w, a);
        case LAUNCH_OWN_TERMINAL:
                return !keeper_answers(a)  ? LAUNCH_GONE
                       : a->terminal_taken ? LAUNCH_ERROR
                                           : LAUNCH_DONE;
        case LAUNCH_CHECK_RUN:
                return check_run(w, a);
        case LAUNCH_PREPARE:
                return a->refuses_start ? refuse(a) : LAUNCH_DONE;
        case LAUNCH_WRITE_RUN:
                return write_run(w, a);
        case LAUNCH_SAY_READY:
                return say_ready(w, a);
        case LAUNCH_EXEC:
                return exec(w, a);
        case LAUNCH_REMOVE_RUN:
                a->run_file = false;
                break;
        case LAUNCH_RESET_TERMINAL:
        case LAUNCH_FAILED:
        case _LAUNCH_STEP_MAX:
                break;
        }
        return LAUNCH_DONE;
}

/* It has ended without an agent; the manager tries again, unless a person is needed. */
static void end_launch(World *w, WorldAgent *a) {
        bool gives_up = a->refused || ++a->n_tries >= TRIES_MAX;
        bool orphan = a->orphan;
        WorldAgent before = *a;

        a->orphan = false; /* this end is written down */
        world_end_agent(w, a, gives_up ? UNIT_FAILED : UNIT_RESTARTING, /* well= */ false);
        if (orphan) {
                a->orphan = true;
                a->pid = before.pid;
                a->born = before.born;
                a->unit = UNIT_ACTIVE;
        }
}

static void went(World *w, WorldAgent *a, LaunchOutcome outcome) {
        LaunchStep step = a->launch.step;

        launch_next(&a->launch, outcome);
        if (a->launch.step != LAUNCH_FAILED)
                return;
        if (step == LAUNCH_EXEC && a->run_file && a->run_invocation == a->invocation)
                broken(w, "the run file of an agent that could not be executed stays");
        end_launch(w, a);
}

void launching_step(World *w, WorldAgent *a, bool late) {
        went(w, a, perform(w, a, late));
}

/* Taking the run file back is tried, whatever comes of it. */
void launching_fail(World *w, WorldAgent *a) {
        if (a->launch.step != LAUNCH_REMOVE_RUN)
                went(w, a, LAUNCH_ERROR);
}

void launching_killed(World *w, WorldAgent *a) {
        a->refused = false;
        end_launch(w, a);
}

/* --- one after the other ---------------------------------------------------------------------- */

/* The caller waits meanwhile. False: it is gone. */
static bool watch_step(World *w, WorldAgent *a, bool late) {
        WorldCall call = { .kind = CALL_LAUNCH, .n_items = 1 };

        call.items[0].agent = (uint8_t)(a - w->agents);
        switch (w->hook ? w->hook(w, &call, w->userdata) : FAULT_NONE) {
        case FAULT_CRASH_BEFORE:
        case FAULT_CRASH_AFTER:
                w->dead = true;
                return false;
        case FAULT_ERROR: /* that is the launcher's */
        case FAULT_PARTIAL:
                if (a->launching)
                        launching_fail(w, a);
                return true;
        case FAULT_ERROR_WITH_EFFECT:
        case FAULT_LATE:
        case FAULT_NONE:
        case _FAULT_MAX:
                break;
        }
        if (a->launching)
                launching_step(w, a, late);
        return true;
}

/* Until the launch has ended. @watched: by a caller that waits meanwhile. False: it is gone. */
static bool take_steps(World *w, WorldAgent *a, bool watched) {
        bool late = false;

        for (unsigned n = 0; a->launching; n++) {
                LaunchStep step = a->launch.step;

                if (n == STEPS_MAX) {
                        broken(w, "a launch does not come to an end");
                        launching_killed(w, a);
                        break;
                }
                if (!watched)
                        launching_step(w, a, late);
                else if (!watch_step(w, a, late))
                        return false;
                late = a->launching && a->launch.step == step;
        }
        return true;
}

/* Whoever holds a terminal that is not yet its own finds out; whoever leads a session on it is
 * ended. Under `direct` nobody makes it another one, so it comes to its end. */
void launching_hang_up(World *w, WorldAgent *a) {
        if (a->launch.step > LAUNCH_OWN_TERMINAL)
                launching_killed(w, a);
        else if (a->launch.step == LAUNCH_OWN_TERMINAL)
                went(w, a, LAUNCH_GONE);
        if (w->direct)
                (void)take_steps(w, a, /* watched= */ false);
}

void launching_finish_all(World *w) {
        for (size_t i = 0; i < w->n_agents; i++)
                (void)take_steps(w, w->agents + i, /* watched= */ false);
}

int launching_wait(World *w, WorldAgent *a) {
        if (!take_steps(w, a, /* watched= */ true))
                return -EIO;
        return a->unit == UNIT_ACTIVE && !a->orphan ? 0 : -EIO;
}

/* --- keepers ---------------------------------------------------------------------------------- */

void launching_lose_run_file(World *w, WorldAgent *a) {
        a->run_file = false;
        /* Its keeper was killed, and nothing else knew of it: nobody can find it any more. */
        if (a->orphan)
                world_end_agent(w, a, UNIT_NOT_LOADED, /* well= */ false);
}

void launching_kill_keeper(World *w, WorldAgent *a, bool session, bool heeds) {
        if (session)
                a->no_keeper = true;
        else
                a->session = a->misnamed = a->no_keeper = false;
        a->attached = session ? a->attached : 0;
        a->unwatched = w->direct && a->launching;
        if (a->launching)
                launching_hang_up(w, a);
        else if (a->unit == UNIT_ACTIVE && !a->orphan && w->direct) {
                /* Nobody is left to write its end down. */
                a->orphan = true;
                if (heeds || !a->run_file)
                        world_end_agent(w, a, UNIT_NOT_LOADED, true);
        } else if (a->unit == UNIT_ACTIVE && heeds && !w->direct)
                world_end_agent(w, a, UNIT_RESTARTING, true);
}

/* Whoever asks has waited for it, and gives a session that has lost its keeper another one: found
 * by its marker, whatever its name. */
static int serve_start(World *w, WorldAgent *a) {
        if (a->no_keeper && w->server && !w->hidden)
                a->no_keeper = a->keeper_fails;
        if (!keeper_answers(a))
                return -ENOENT;
        if (!a->launching && a->unit == UNIT_ACTIVE && !a->orphan)
                return 0;
        if (!a->launching)
                launching_begin(w, a);
        return launching_wait(w, a);
}

static int serve_stop(World *w, WorldAgent *a) {
        KeeperCall call = { .request = KEEPER_ASK_STOP };

        if (!keeper_answers(a) && !a->launching)
                call.error = -ECONNREFUSED;
        else if (a->orphan || (a->unit != UNIT_ACTIVE && !a->launching))
                (void)snprintf(call.code, sizeof(call.code), "none");
        else
                (void)snprintf(call.code, sizeof(call.code), "exited");
        if (known_nothing_was_stopped(DRIVER_STOP, &call) && !a->orphan)
                return 0;
        w->n_destroyed++;
        a->n_stops++;
        if (a->launching)
                launching_killed(w, a);
        else
                world_end_agent(w, a, UNIT_NOT_LOADED, !a->dies_hard);
        return 0;
}

int launching_serve(World *w, WorldAgent *a, DriverJobKind kind) {
        return kind == DRIVER_STOP ? serve_stop(w, a) : serve_start(w, a);
}

static void answer(const World *w, const WorldAgent *a, KeeperCall *c) {
        if (w->manager == SOURCE_UNKNOWN)
                /* A socket has no I/O errors: it is silent, or the asker is short of something. */
                c->error = w->error == ENOMEM || w->error == EMFILE ? -w->error : -ETIMEDOUT;
        else if (!keeper_answers(a))
                c->error = -ECONNREFUSED;
        else {
                c->state = a->launching                           ? KEEPER_HAS_STARTING
                           : a->unit == UNIT_ACTIVE && !a->orphan ? KEEPER_HAS_RUNNING
                                                                  : KEEPER_HAS_NONE;
                c->pid = c->state == KEEPER_HAS_NONE ? 0 : a->pid;
        }
}

void launching_observe(const World *w, Observed *o) {
        if (store_observe_units(o) < 0)
                abort();
        for (size_t i = 0; i < o->n_sessions; i++) {
                KeeperCall call = { .request = KEEPER_ASK_QUERY };

                if (!known_needs_query(o, i))
                        continue;
                call.name = o->sessions[i].agent;
                for (size_t k = 0; k < w->n_agents; k++)
                        if (strcmp(w->agents[k].name, call.name) == 0)
                                answer(w, w->agents + k, &call);
                if (known_add_unit(o, &call) < 0)
                        abort();
        }
}
