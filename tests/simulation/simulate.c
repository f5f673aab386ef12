/* SPDX-License-Identifier: MIT */

/*
 * Random runs of the controller on a world in memory:
 *
 *     simulate [--seeds N] [--first N] [--steps N]   new runs, each from its number
 *     simulate --brief ...                           ends at the first that fails
 *     simulate [--trace] FILE...                     runs again what a file says
 *
 * A run has a phase of faults, in which the referee judges every call, and a calm one, in which the
 * fleet must become what the roster says within a bound; then nothing more is asked for. All
 * choices come from one stream of bytes (zero is always the quiet choice, and so is its end), so
 * that a run that fails is cut down to a short file, which is written to the current directory.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "reconciler/plan/schedule.h"
#include "tests/simulation/controller.h"
#include "tests/simulation/outside.h"

#define AGENTS_MAX 6
#define RESYNC_USEC (30 * USEC_PER_SEC)
#define CALM_USEC (3600 * USEC_PER_SEC) /* beyond the longest delay of the ledger */
#define HISTORY 5
#define EVENTS_MAX 8

/* What a roster says of an agent. */
typedef enum Says {
        SAYS_NOTHING,
        SAYS_FIRST,
        SAYS_SECOND,     /* another restart fingerprint */
        SAYS_LIVE,       /* another live one */
        SAYS_STOPPED,    /* as first, state: stopped */
        SAYS_ON_FAILURE, /* from here on in a world of steps only: restart.policy */
        SAYS_NEVER,
        _SAYS_MAX,
} Says;

typedef struct Stream {
        uint8_t *bytes;
        size_t n, room, at;
        bool making; /* new bytes are made as they are asked for */
        uint64_t state;
} Stream;

typedef struct Run {
        Stream stream;
        size_t n_agents, n_steps;
        bool chain;           /* each agent comes after the one before it */
        uint64_t roster_usec; /* when what it says now was written; 0: it was in force before */
        uint64_t event_usec;  /* when it was told last that it was touched */
        World world;
        World history[HISTORY]; /* for looks that show what was */
        World shown;
        unsigned rosters[AGENTS_MAX]; /* Says */
        Desired *desired;
        /* What was accepted last, for as long as the file is torn. */
        unsigned accepted_rosters[AGENTS_MAX], accepted;
        Desired *accepted_desired;
        bool torn;
        unsigned n_rosters;
        unsigned told; /* the roster that a pass told of last; 0: none since the controller began */
        Cause events[EVENTS_MAX]; /* that come later, in any order */
        size_t n_events;
        Schedule schedule;
        Referee referee;
        bool faults;
        unsigned rate;    /* of 256 calls, this many are disturbed */
        unsigned allowed; /* which faults this run has */
        const char *failed;
        char text[200];
        uint64_t n_passes, n_calls, n_disturbed, calm_passes, calm_usec;
} Run;

static const char *const names[AGENTS_MAX] = { "ada", "bob", "cy", "dot", "eve", "fay" };

static bool trace;

static void must(bool ok, const char *what) {
        if (!ok) {
                (void)fprintf(stderr, "simulate: %s\n", what);
                exit(2);
        }
}

/* --- choices ---------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state) {
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static unsigned choose(Run *run, unsigned n) {
        Stream *s = &run->stream;

        if (s->at == s->n) {
                if (!s->making)
                        return 0;
                if (s->n == s->room) {
                        s->room = s->room == 0 ? 4096 : s->room * 2;
                        s->bytes = realloc(s->bytes, s->room);
                        must(s->bytes, "no memory");
                }
                s->bytes[s->n++] = (uint8_t)random_next(&s->state);
        }
        return s->bytes[s->at++] % n;
}

static void fail(Run *run, const char *property, const char *text) {
        if (run->failed)
                return;
        run->failed = property;
        (void)snprintf(run->text, sizeof(run->text), "%s", text);
}

/* --- the roster ------------------------------------------------------------------------------- */

static Desired *make_roster(const Run *run, const unsigned *rosters) {
        Desired *d = world_desired(names, run->n_agents);
        size_t k = 0;

        for (size_t i = 0; i < run->n_agents; i++) {
                Says r = rosters[i];
                AgentSpec *s;

                agent_spec_free(d->agents[i]);
                if (r == SAYS_NOTHING)
                        continue;
                s = world_spec(names[i], r == SAYS_SECOND ? 2 : 1,
                                r == SAYS_LIVE         ? 2
                                : r >= SAYS_ON_FAILURE ? r
                                                       : 1);
                s->state = r == SAYS_STOPPED ? DESIRED_STOPPED : DESIRED_RUNNING;
                s->restart_policy = r == SAYS_ON_FAILURE ? RESTART_ON_FAILURE
                                    : r == SAYS_NEVER    ? RESTART_NEVER
                                                         : RESTART_ALWAYS;
                if (run->chain && k > 0)
                        must(strv_push(&s->after, d->agents[k - 1]->name) == 0, "no memory");
                d->agents[k++] = s;
        }
        d->n_agents = k;
        return d;
}

static void write_roster(Run *run) {
        desired_free(run->desired);
        run->desired = make_roster(run, run->rosters);
        run->torn = false;
        /* What it says tells one from another, not that it was written. */
        if (run->accepted != 0 &&
                        memcmp(run->rosters, run->accepted_rosters, sizeof(run->rosters)) == 0) {
                run->world.roster = run->accepted;
                run->roster_usec = 0;
                return;
        }
        run->world.roster = ++run->n_rosters;
        run->roster_usec = run->world.mono_usec;
}

/* What a pass goes by; NULL: nothing was accepted yet. */
static const Desired *in_force(const Run *run) {
        return run->torn ? run->accepted_desired : run->desired;
}

/* A pass has accepted it, whatever became of the pass. */
static void note_accepted(Run *run) {
        if (run->torn || run->accepted == run->world.accepted)
                return;
        run->accepted = run->world.accepted;
        memcpy(run->accepted_rosters, run->rosters, sizeof(run->rosters));
        desired_free(run->accepted_desired);
        run->accepted_desired = make_roster(run, run->accepted_rosters);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* Whatever happens is looked at within a little more than a second. */
static void mark(Run *run, Cause cause) {
        uint64_t now = run->world.mono_usec;

        if (cause == CAUSE_ROSTER)
                run->event_usec = now;
        schedule_mark(&run->schedule, cause, now);
        if (!run->schedule.running &&
                        schedule_due(&run->schedule) > now + USEC_PER_SEC + SCHEDULE_CAP_USEC)
                fail(run, "schedule", "what happened is not looked at soon");
}

/* The controller is told, or not, or twice, or later. */
static void tell(Run *run, Cause cause) {
        unsigned luck = choose(run, 256);

        if (luck % 4 == 0)
                return;
        if (luck / 4 % 4 == 3 && run->n_events < EVENTS_MAX) {
                run->events[run->n_events++] = cause;
                return;
        }
        mark(run, cause);
        if (luck / 4 % 4 == 2)
                mark(run, cause);
}

/* One of those that were late. If there were too many, one stands for them all. */
static void tell_late(Run *run) {
        size_t at;

        if (run->n_events == 0)
                return;
        at = choose(run, (unsigned)run->n_events);
        mark(run, run->n_events == EVENTS_MAX ? CAUSE_ROSTER : run->events[at]);
        run->n_events = run->n_events == EVENTS_MAX ? 0 : run->n_events - 1;
        run->events[at] = run->events[run->n_events];
}

static void change(Run *run, WorldAgent *a, Outside what) {
        unsigned n = outside_choices(what);

        outside_change(&run->world, a, what, n > 1 ? choose(run, n) : 0);
}

/* Something happens that the controller did not do; whether it is told is another matter. */
static void from_outside(Run *run) {
        Outside what = (Outside)choose(run, run->world.stepwise ? _OUT_MAX : OUT_LAUNCHER_KILLED);

        if (!(run->allowed & 1u << what))
                return;
        if (trace)
                (void)printf("    from outside: %d\n", (int)what);
        change(run, world_agent(&run->world, names[choose(run, (unsigned)run->n_agents)]), what);
        tell(run, CAUSE_DRIFT);
}

/* What the server lists and the manager says is from a moment ago; files and processes are looked
 * at as they are, and under `direct` they are what there is to look at. */
static void show_the_past(Run *run, World *w) {
        size_t at = choose(run, HISTORY);

        if (run->history[at].n_agents != w->n_agents)
                return;
        world_copy(&run->shown, &run->history[at]);
        run->shown.reload_pending = w->reload_pending;
        run->shown.ledger = w->ledger;
        for (size_t i = 0; i < w->n_agents; i++) {
                WorldAgent *shown = run->shown.agents + i, then = *shown;

                *shown = w->agents[i];
                shown->session = then.session;
                shown->misnamed = then.misnamed;
                shown->namesake = then.namesake;
                shown->session_number = then.session_number;
                shown->attached = then.attached;
                if (!w->direct)
                        shown->unit = then.unit;
                if (w->stepwise)
                        continue;
                shown->pid = then.pid;
                shown->running = then.running;
                shown->running_resolved = then.running_resolved;
                shown->started_usec = then.started_usec;
                shown->started_mono_usec = then.started_mono_usec;
        }
        w->stale = &run->shown;
}

static void disturb_look(Run *run, World *w) {
        SourceState *const sources[] = { &w->tmux, &w->manager, &w->runs, &w->files };

        if (choose(run, 2) == 0)
                *sources[choose(run, ELEMENTSOF(sources))] = SOURCE_UNKNOWN;
        else
                show_the_past(run, w);
}

/* Reading and writing files is done when the call returns, one way or the other. */
static bool may_be_late(WorldCallKind k) {
        return k == CALL_SUBMIT || k == CALL_SESSIONS || k == CALL_START_HOLDER ||
               k == CALL_RELOAD || k == CALL_RESET_FAILED;
}

static void print_call(const World *w, const WorldCall *call, WorldFault fault) {
        (void)printf("    %s%s%s", world_call_to_string(call->kind), fault ? " fault " : "",
                        fault ? (const char[]){ (char)('0' + (int)fault), '\0' } : "");
        for (size_t i = 0; i < call->n_items; i++)
                (void)printf(" %s", w->agents[call->items[i].agent].name);
        (void)printf("\n");
        for (size_t i = 0; i < w->n_agents && call->kind == CALL_LOOK; i++) {
                const WorldAgent *a = w->agents + i;

                (void)printf("      %s: %s, spec %u, runs %u, session %d%s, hold %d, down since "
                             "%.3f, due "
                             "%.3f of %.3f, starts %u\n",
                                a->name, unit_state_to_string(a->unit), a->restart, a->running,
                                a->session, a->namesake ? " (namesake)" : "", a->hold,
                                (double)a->entry.down_usec / 1e6, (double)a->entry.due_usec / 1e6,
                                (double)w->mono_usec / 1e6, a->entry.n_starts);
        }
}

static WorldFault on_call(World *w, const WorldCall *call, void *userdata) {
        static const int errors[] = { EIO, ENOMEM, EMFILE, ETIMEDOUT, ENOSPC };
        Run *run = userdata;
        WorldFault fault = FAULT_NONE;
        unsigned luck = run->faults ? choose(run, 256) : 0;

        run->n_calls++;
        if (luck != 0 && luck <= run->rate) {
                run->n_disturbed++;
                switch (choose(run, 4)) {
                case 0:
                case 1:
                        fault = (WorldFault)choose(run, _FAULT_MAX);
                        if (fault == FAULT_LATE && !may_be_late(call->kind))
                                fault = FAULT_ERROR;
                        w->error = w->stepwise ? errors[choose(run, ELEMENTSOF(errors))] : 0;
                        break;
                case 2:
                        if (call->kind == CALL_LOOK)
                                disturb_look(run, w);
                        else
                                fault = FAULT_PARTIAL;
                        break;
                default:
                        from_outside(run);
                }
        }
        if (trace)
                print_call(w, call, fault);
        if (call->kind != CALL_LOOK)
                referee_call(&run->referee, w, call);
        return fault;
}

/* --- the controller --------------------------------------------------------------------------- */

/* As reconciler/watch.c and watch-pass.c do it around a step. */
static ControllerPass make_pass(Run *run) {
        World *w = &run->world;
        uint64_t settles = schedule_roster_settles(&run->schedule, w->mono_usec);
        const Desired *desired = in_force(run);
        unsigned file = w->roster;
        ControllerPass pass = { .next_usec = USEC_INFINITY };

        if (run->torn)
                w->roster = w->accepted;
        /* A new one, or one that somebody else accepted: it settles, whatever was told. */
        if (w->roster != w->accepted || w->roster != run->told)
                settles = SCHEDULE_STABLE_USEC;
        if (settles == 0 &&
                        (w->mono_usec < run->event_usec + SCHEDULE_STABLE_USEC ||
                                        (!run->torn && w->mono_usec < run->roster_usec +
                                                                                        SCHEDULE_STABLE_USEC)))
                fail(run, "schedule", "a roster that was touched a moment ago may remove");
        schedule_begin(&run->schedule, w->mono_usec);
        if (desired) {
                pass = controller_pass(w, desired, settles, &run->referee);
                run->n_passes++;
                if (run->referee.property)
                        fail(run, run->referee.property, run->referee.text);
        }
        note_accepted(run);
        w->mono_usec += 1000;
        w->now_usec += 1000;
        if (pass.code < 0 || pass.crashed)
                schedule_failed(&run->schedule, w->mono_usec);
        else {
                if (run->told != w->roster)
                        schedule_touched(&run->schedule, run->schedule.begun_usec);
                run->told = w->roster;
                schedule_end(&run->schedule, w->mono_usec, pass.next_usec);
        }
        w->roster = file;
        if (schedule_due(&run->schedule) > w->mono_usec + RESYNC_USEC)
                fail(run, "schedule", "there is no look without an event");
        return pass;
}

static void pass_time(Run *run, uint64_t usec) {
        World *w = &run->world;

        w->mono_usec += usec;
        w->now_usec += usec;
        if (usec >= USEC_PER_SEC) {
                world_restart_due(w);
                launching_finish_all(w);
        }
}

static void wait_until_due(Run *run) {
        uint64_t due = schedule_due(&run->schedule);

        if (due > run->world.mono_usec)
                pass_time(run, due - run->world.mono_usec);
}

/* The controller is ended, or ends, and comes back. */
static void begin_anew(Run *run) {
        schedule_init(&run->schedule, RESYNC_USEC, run->world.mono_usec);
        run->told = 0;
        run->n_events = 0;
}

/* Clocks, pids and everything that ran begin anew; what is on disk is as it was written. */
static void reboot(Run *run) {
        world_reboot(&run->world);
        if (choose(run, 2)) /* nobody told it the time yet */
                change(run, NULL, OUT_CLOCK);
        for (size_t i = 0; i < HISTORY; i++)
                run->history[i].n_agents = 0;
        run->roster_usec = run->event_usec = run->world.mono_usec;
        begin_anew(run);
}

/* A person says apply, start, restart or stop. The lock keeps it and a pass apart. */
static void say_verb(Run *run) {
        static const PlanMode modes[] = { PLAN_CONVERGE, PLAN_START, PLAN_RESTART, PLAN_STOP };
        char *one[] = { (char *)(uintptr_t)names[choose(run, (unsigned)run->n_agents)], NULL };
        PlanPolicy policy = {
                .mode = modes[choose(run, ELEMENTSOF(modes))],
                .allow_remove = -1,
                .names = one,
        };

        if (run->torn)
                return;
        if (policy.mode != PLAN_STOP)
                run->world.accepted = run->world.roster;
        note_accepted(run);
        (void)controller_verb(&run->world, run->desired, &policy, &run->referee);
        if (run->referee.property)
                fail(run, run->referee.property, run->referee.text);
        mark(run, CAUSE_DRIFT);
}

static void happen_seldom(Run *run) {
        switch (choose(run, 8)) {
        case 0:
        case 1: /* the file is being written, or is not valid */
                run->torn = true;
                tell(run, CAUSE_ROSTER);
                break;
        case 2:
                reboot(run);
                break;
        case 3:
        case 4:
                tell_late(run);
                break;
        default:
                wait_until_due(run);
                (void)make_pass(run);
                break;
        }
}

static void step(Run *run, size_t number) {
        World *w = &run->world;
        unsigned what = choose(run, 16);

        world_copy(&run->history[number % HISTORY], w);
        if (trace && what != 0)
                (void)printf("step %zu: %u\n", number, what);
        switch (what) {
        case 0:
                pass_time(run, 1000);
                break;
        case 1:
        case 2:
        case 3:
        case 4:
                from_outside(run);
                break;
        case 5:
                what = choose(run, (unsigned)run->n_agents);
                run->rosters[what] = choose(run, w->stepwise ? _SAYS_MAX : SAYS_ON_FAILURE);
                write_roster(run);
                tell(run, CAUSE_ROSTER);
                break;
        case 6:
                say_verb(run);
                break;
        case 7:
                world_settle(w);
                break;
        case 8: /* the controller is ended and comes back */
                begin_anew(run);
                break;
        case 9:
                pass_time(run, (choose(run, 60) + 1) * USEC_PER_SEC);
                break;
        case 15:
                happen_seldom(run);
                break;
        default:
                wait_until_due(run);
                (void)make_pass(run);
                break;
        }
}

/* --- a run ------------------------------------------------------------------------------------ */

static void calm_down(Run *run) {
        World *w = &run->world;

        run->faults = false;
        world_settle(w);
        launching_finish_all(w);
        if (run->torn)
                write_roster(run);
        for (size_t i = 0; i < w->n_agents; i++) {
                WorldAgent *a = w->agents + i;

                a->refuses_start = a->terminal_taken = a->exec_fails = a->keeper_fails = false;
                if (choose(run, 2)) {
                        a->attached = 0;
                        a->at_work = a->namesake = false;
                }
        }
}

static bool waits_for_people(const Run *run) {
        const char *text;

        for (size_t i = 0; i < run->world.n_agents; i++)
                if (!desired_find(run->desired, run->world.agents[i].name) &&
                                referee_judge(&run->world, run->desired, run->world.agents + i,
                                                &text) == VERDICT_EXCUSED)
                        return true;
        return false;
}

/* With nothing to do it does not look again within a second, but when the delay of an agent that
 * cannot be started ends: once for each. */
static void expect_rest(Run *run) {
        for (size_t i = 0; i <= run->n_agents; i++) {
                ControllerPass pass;

                wait_until_due(run);
                pass = make_pass(run);
                if (pass.n_actions > 0 || pass.next_usec >= USEC_PER_SEC)
                        return;
        }
        fail(run, "rest", "there is nothing to do, and it does not rest");
}

static void expect_calm(Run *run) {
        World *w = &run->world;
        uint64_t begin = w->mono_usec, bound = 12 * run->n_agents + 12;
        const char *wrong = NULL;

        calm_down(run);
        while (!run->failed && w->mono_usec - begin <= CALM_USEC) {
                ControllerPass pass;

                wait_until_due(run);
                pass = make_pass(run);
                wrong = referee_judge_all(w, run->desired);
                if (pass.n_actions > 0 && !waits_for_people(run) && ++run->calm_passes > bound)
                        break;
                if (!wrong && (pass.n_actions == 0 || waits_for_people(run))) {
                        run->calm_usec = w->mono_usec - begin;
                        if (!waits_for_people(run) && controller_would(w, run->desired) > 0)
                                fail(run, "stability", "as wanted, and a plan is not empty");
                        expect_rest(run);
                        return;
                }
        }
        fail(run, "liveness", wrong ? wrong : "the controller does not come to rest");
}

static void run_world(Run *run) {
        World *w = &run->world;
        unsigned kind;

        world_init(w);
        w->mono_usec = 1000 * USEC_PER_SEC;
        w->now_usec = 1000000000 * USEC_PER_SEC;
        w->hook = on_call;
        w->userdata = run;
        kind = choose(run, 256);
        run->n_agents = 1 + kind % AGENTS_MAX;
        w->old_launchers = kind / AGENTS_MAX % 4 == 3;
        /* One start at once and under systemd, as every run was once; else steps, under either. */
        w->stepwise = kind / AGENTS_MAX / 4 % 3 != 0;
        w->direct = kind / AGENTS_MAX / 4 % 3 == 2;
        run->chain = w->stepwise && kind / AGENTS_MAX / 12 % 2 == 1;
        run->rate = (unsigned[]){ 0, 8, 24, 64 }[choose(run, 4)];
        run->allowed = choose(run, 256) | choose(run, 256) << 8;
        if (w->stepwise)
                run->allowed |= choose(run, 256) << 16 | choose(run, 2) << 24;
        for (size_t i = 0; i < run->n_agents; i++) {
                (void)world_agent(w, names[i]);
                run->rosters[i] = SAYS_FIRST;
        }
        write_roster(run);
        w->accepted = w->roster;
        note_accepted(run);
        schedule_init(&run->schedule, RESYNC_USEC, w->mono_usec);
        run->faults = true;
        for (size_t i = 0; i < run->n_steps && !run->failed; i++) {
                step(run, i);
                if (w->broken)
                        fail(run, "launch", w->broken);
        }
        if (!run->failed)
                expect_calm(run);
        desired_free(run->desired);
        desired_free(run->accepted_desired);
        run->desired = run->accepted_desired = NULL;
}

static const char *run_bytes(uint8_t *bytes, size_t n, size_t n_steps, Run *run) {
        *run = (Run){ .n_steps = n_steps, .stream = { .bytes = bytes, .n = n } };
        run_world(run);
        return run->failed;
}

/* --- shorter ---------------------------------------------------------------------------------- */

/* Leaves out and zeroes pieces while the same property still fails. */
static size_t shorten(uint8_t *bytes, size_t n, size_t *n_steps, const char *property) {
        uint8_t *trial = malloc(n + 1);
        Run *run = malloc(sizeof(Run));

        must(trial && run, "no memory");
        for (size_t size = n / 2; size > 0; size /= 2)
                for (size_t at = 0; at + size <= n;) {
                        const char *p;

                        memcpy(trial, bytes, at);
                        memcpy(trial + at, bytes + at + size, n - at - size);
                        p = run_bytes(trial, n - size, *n_steps, run);
                        if (p && strcmp(p, property) == 0) {
                                n -= size;
                                memcpy(bytes, trial, n);
                                continue;
                        }
                        memcpy(trial, bytes, n);
                        memset(trial + at, 0, size);
                        p = run_bytes(trial, n, *n_steps, run);
                        if (p && strcmp(p, property) == 0)
                                memcpy(bytes, trial, n);
                        at += size;
                }
        for (size_t cut = *n_steps / 2; cut > 0; cut /= 2)
                while (cut < *n_steps) {
                        const char *p = run_bytes(bytes, n, *n_steps - cut, run);

                        if (!p || strcmp(p, property) != 0)
                                break;
                        *n_steps -= cut;
                }
        free(trial);
        free(run);
        return n;
}

static void
write_seed(const uint8_t *bytes, size_t n, size_t n_steps, uint64_t seed, const char *property) {
        char path[64];
        FILE *f;

        (void)snprintf(path, sizeof(path), "seed-%" PRIu64 ".txt", seed);
        f = fopen(path, "we");
        must(f, "cannot write the seed file");
        (void)fprintf(f, "# %s\nsteps %zu\n", property, n_steps);
        for (size_t i = 0; i < n; i++)
                (void)fprintf(f, "%02x%s", bytes[i], i % 32 == 31 ? "\n" : "");
        (void)fprintf(f, "\n");
        (void)fclose(f);
        (void)printf("written to %s: %zu bytes, %zu steps\n", path, n, n_steps);
}

static int replay(const char *path) {
        _cleanup_free_ Run *run = malloc(sizeof(Run));
        static uint8_t bytes[1 << 16];
        size_t n = 0, n_steps = 0;
        char line[256];
        unsigned value;
        FILE *f = fopen(path, "re");

        must(f && run, "cannot read a seed file");
        while (fgets(line, sizeof(line), f)) {
                if (*line == '#' || sscanf(line, "steps %zu", &n_steps) == 1)
                        continue;
                for (const char *c = line; n < sizeof(bytes) && sscanf(c, "%2x", &value) == 1;
                                c += 2)
                        bytes[n++] = (uint8_t)value;
        }
        (void)fclose(f);
        must(n_steps > 0, "a seed file without steps");
        if (!run_bytes(bytes, n, n_steps, run))
                return 0;
        (void)printf("%s: %s: %s\n", path, run->failed, run->text);
        return 1;
}

/* --- many ------------------------------------------------------------------------------------- */

static int run_seeds(uint64_t first, uint64_t n_seeds, size_t n_steps, bool brief) {
        uint64_t begin = clock_monotonic_usec(), passes = 0, calls = 0, disturbed = 0, failures = 0;
        uint64_t longest_passes = 0, longest_usec = 0;
        Run *run = malloc(sizeof(Run));

        must(run, "no memory");
        for (uint64_t seed = first; seed < first + n_seeds; seed++) {
                *run = (Run){ .n_steps = n_steps, .stream = { .making = true, .state = seed } };
                run_world(run);
                passes += run->n_passes;
                calls += run->n_calls;
                disturbed += run->n_disturbed;
                if (run->calm_passes > longest_passes)
                        longest_passes = run->calm_passes;
                if (run->calm_usec > longest_usec)
                        longest_usec = run->calm_usec;
                if (run->failed && brief) {
                        (void)printf("seed %" PRIu64 ": %s: %s\n", seed, run->failed, run->text);
                        free(run->stream.bytes);
                        free(run);
                        return 1;
                }
                if (run->failed && failures++ < 5) {
                        uint8_t *bytes = run->stream.bytes;
                        const char *property = run->failed;
                        size_t n = run->stream.n, steps = n_steps;

                        (void)printf("seed %" PRIu64 ": %s: %s\n", seed, property, run->text);
                        n = shorten(bytes, n, &steps, property);
                        write_seed(bytes, n, steps, seed, property);
                        free(bytes);
                } else
                        free(run->stream.bytes);
        }
        free(run);
        (void)printf("%" PRIu64 " seeds from %" PRIu64 " x %zu steps: passes %" PRIu64
                     ", driver calls %" PRIu64 ", disturbed %" PRIu64 ", failures %" PRIu64
                     "; calm: at most %" PRIu64 " passes that act, %.0f s of its time; %.1f s\n",
                        n_seeds, first, n_steps, passes, calls, disturbed, failures, longest_passes,
                        (double)longest_usec / 1e6, (double)(clock_monotonic_usec() - begin) / 1e6);
        return failures > 0;
}

int main(int argc, char *argv[]) {
        const char *base = getenv("MOSAIC_SIMULATION_SEED");
        uint64_t first = 1, n_seeds = 500, n_steps = 1000;
        int bad = 0, n_files = 0;
        bool brief = false;

        if (base)
                must(parse_uint64(base, &first) == 0, "MOSAIC_SIMULATION_SEED is not a number");
        for (int i = 1; i < argc; i++) {
                uint64_t *to = strcmp(argv[i], "--seeds") == 0   ? &n_seeds
                               : strcmp(argv[i], "--first") == 0 ? &first
                               : strcmp(argv[i], "--steps") == 0 ? &n_steps
                                                                 : NULL;

                if (strcmp(argv[i], "--trace") == 0)
                        trace = true;
                else if (strcmp(argv[i], "--brief") == 0)
                        brief = true;
                else if (to)
                        must(++i < argc && parse_uint64(argv[i], to) == 0, "wants a number");
                else {
                        bad += replay(argv[i]);
                        n_files++;
                }
        }
        if (n_files > 0) {
                (void)printf("%d seed files, %d fail\n", n_files, bad);
                return bad > 0;
        }
        return run_seeds(first, n_seeds, n_steps, brief);
}
