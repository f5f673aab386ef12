/* SPDX-License-Identifier: MIT */

/* The ledger of starts: what it waits for, and what it never does, whatever happens. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/parse.h"
#include "model/observed.h"
#include "model/pacing.h"
#include "model/plan.h"
#include "tests/simulation/world.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define DELAY_MAX (36 * MINUTE) /* half an hour and a fifth of it */
#define AGENTS_MAX 120

typedef struct Life {
        UnitState state;
        uint64_t started; /* monotonic, of the run that is; 0: none */
        bool gave_up;     /* systemd says that it hit the limit */
        bool ended_well;
        bool held;
} Life;

typedef struct Sim {
        Supervisor supervisor;
        Desired *d;
        Pacing p;
        uint64_t now;
        Life lives[AGENTS_MAX];
        bool server_gone;
        SourceState manager, runs, files;
        bool fleet_held;
        int64_t clock_is_off; /* the clock of the day was set by so much since the starts */
        bool old_records;     /* without the monotonic clock */
} Sim;

static void sim_done(Sim *s) {
        pacing_done(&s->p);
        desired_free(s->d);
}

static Sim sim_new(Supervisor supervisor, size_t n) {
        static char names[AGENTS_MAX][24];
        const char *pointers[AGENTS_MAX] = { NULL };
        Sim s = { .supervisor = supervisor, .now = 1000 * SECOND };

        for (size_t i = 0; i < n; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "a%03zu", i);
                pointers[i] = names[i];
                s.lives[i] = (Life){ UNIT_ACTIVE, s.now, false, false, false };
        }
        s.d = world_desired(pointers, n);
        for (size_t i = 0; i < n; i++) {
                s.d->agents[i]->restart_attempts = 3;
                s.d->agents[i]->restart_window_usec = 10 * MINUTE;
                s.d->agents[i]->restart_delay_usec = SECOND;
        }
        return s;
}

static char *copy(const char *text) {
        char *c = strdup(text);

        assert_non_null(c);
        return c;
}

static void show(const Sim *s, size_t i, Observed *o) {
        const char *name = s->d->agents[i]->name;
        const Life *l = s->lives + i;

        if (l->state != UNIT_NOT_LOADED) {
                ObservedUnit *u = observed_add_unit(o);

                assert_non_null(u);
                u->agent = copy(name);
                u->state = l->state;
                u->result = l->gave_up ? copy("start-limit-hit") : NULL;
        }
        if (l->state == UNIT_ACTIVE && l->started != 0) {
                ObservedRun *run = observed_add_run(o);

                assert_non_null(run);
                run->agent = copy(name);
                run->alive = true;
                run->started_usec = 5000 * SECOND + l->started;
                run->monotonic_usec = s->old_records ? 0 : l->started;
        }
        if (l->state != UNIT_ACTIVE) {
                ObservedStop *stop = observed_add_stop(o);

                assert_non_null(stop);
                stop->agent = copy(name);
                stop->this_boot = true;
                stop->result = copy(l->ended_well ? "success" : "exit-code");
                observed_stop_classify(stop);
        }
        if (l->held) {
                ObservedHold *hold = observed_add_hold(o);

                assert_non_null(hold);
                hold->agent = copy(name);
                hold->by = copy("ana");
        }
}

static Observed *observe(const Sim *s) {
        Observed *o;

        assert_int_equal(observed_new(s->supervisor, &o), 0);
        o->tmux.state = s->server_gone ? SOURCE_ABSENT : SOURCE_PRESENT;
        o->manager.state = s->manager;
        o->runs.state = s->runs;
        o->files.state = s->files;
        o->now_usec = 5000 * SECOND + s->now + (uint64_t)s->clock_is_off;
        o->monotonic_usec = s->now;
        for (size_t i = 0; i < s->d->n_agents; i++)
                show(s, i, o);
        if (s->fleet_held) {
                ObservedHold *hold = observed_add_hold(o);

                assert_non_null(hold);
                hold->by = copy("ana");
        }
        observed_sort(o);
        return o;
}

/* What holds after every look, whatever came before it. */
static void check(const Sim *s) {
        const Pacing *p = &s->p;
        uint64_t next = pacing_next(p, s->now);
        size_t n_now = 0;

        for (size_t i = 0; i < p->n_items; i++) {
                const PaceEntry *e = p->items + i;
                uint64_t due = pacing_due(p, e, s->now);

                if (i > 0 && strcmp(p->items[i - 1].agent, e->agent) >= 0)
                        fail_msg("%s before %s", p->items[i - 1].agent, e->agent);
                assert_ptr_equal(pacing_find(p, e->agent), e);
                assert_non_null(desired_find(s->d, e->agent));
                if (e->down_usec == 0) {
                        assert_int_equal(due, 0);
                        assert_false(e->kept_down);
                        continue;
                }
                assert_true(e->down_usec <= s->now);
                n_now += due == 0 && !e->kept_down;
                assert_true(due == 0 || (due > s->now && due <= s->now + DELAY_MAX) ||
                                (due == USEC_INFINITY && p->brake_usec != 0));
                assert_true(due == 0 || next <= due);
        }
        assert_true(n_now <= 16);
        assert_true(next > s->now);
        if (p->brake_usec != 0) {
                assert_non_null(desired_find(s->d, p->probe));
                assert_true(next <= s->now + 5 * SECOND);
                assert_true(n_now <= 1);
        }
}

static void look(Sim *s) {
        _cleanup_(observed_freep) Observed *o = observe(s);

        assert_int_equal(pacing_observe(&s->p, s->d, o, s->now), 0);
        check(s);
}

static const char *name_of(const Sim *s, size_t i) {
        return s->d->agents[i]->name;
}

static bool may_start(const Sim *s, size_t i) {
        const PaceEntry *e = pacing_find(&s->p, name_of(s, i));

        return !e || pacing_due(&s->p, e, s->now) == 0;
}

static void end(Sim *s, size_t i) {
        s->lives[i].state = s->supervisor == SUPERVISOR_SYSTEMD ? UNIT_FAILED : UNIT_NOT_LOADED;
        s->lives[i].started = 0;
        s->lives[i].ended_well = false;
}

static void start(Sim *s, size_t i) {
        pacing_started(&s->p, name_of(s, i), s->now);
        s->lives[i].state = UNIT_ACTIVE;
        s->lives[i].started = s->now;
}

/* Starts everything that is down and may be started; returns how many. */
static size_t start_all(Sim *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->d->n_agents; i++)
                if (s->lives[i].state != UNIT_ACTIVE && may_start(s, i)) {
                        start(s, i);
                        n++;
                }
        return n;
}

static size_t count_down(const Sim *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->d->n_agents; i++)
                n += s->lives[i].state != UNIT_ACTIVE;
        return n;
}

/* How long the agent is made to wait, from its end on. */
static uint64_t delay_after_end(Sim *s, size_t i) {
        const PaceEntry *e;

        end(s, i);
        look(s);
        e = pacing_find(&s->p, name_of(s, i));
        assert_non_null(e);
        assert_int_equal(e->down_usec, s->now);
        return pacing_due(&s->p, e, s->now) - s->now;
}

/* --- one agent -------------------------------------------------------------------------------- */

static void check_delays(bool gave_up, uint64_t first, uint64_t *ret, size_t n) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);
        uint64_t base = first;

        s.lives[0].gave_up = gave_up;
        for (size_t i = 0; i < n; i++) {
                ret[i] = delay_after_end(&s, 0);
                if (ret[i] < base * 4 / 5 || ret[i] > base * 6 / 5)
                        fail_msg("delay %zu is %ju us, not about %ju", i, (uintmax_t)ret[i],
                                        (uintmax_t)base);
                assert_int_equal(pacing_find(&s.p, "a000")->crash_loop, gave_up);

                /* Looking meanwhile moves nothing; a moment before it is not due, then it is. */
                s.now += ret[i] - 1;
                look(&s);
                assert_int_equal(pacing_next(&s.p, s.now), s.now + 1);
                assert_false(may_start(&s, 0));
                s.now++;
                look(&s);
                assert_true(may_start(&s, 0));
                start(&s, 0);
                s.now += SECOND;
                look(&s);
                base = 2 * base < 30 * MINUTE ? 2 * base : 30 * MINUTE;
        }
}

static void test_delays(void **state _unused_) {
        uint64_t once[40], again[40];

        check_delays(false, 5 * SECOND, once, 40);
        check_delays(false, 5 * SECOND, again, 40);
        assert_memory_equal(once, again, sizeof(once));
        check_delays(true, 30 * SECOND, once, 40);
        check_delays(true, 30 * SECOND, again, 40);
        assert_memory_equal(once, again, sizeof(once));
}

/* Agents that ended together are not started together. */
static void test_jitter(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 100);
        uint64_t least = UINT64_MAX, most = 0;
        size_t n_same = 0;

        for (size_t i = 0; i < 40; i++)
                end(&s, i);
        look(&s);
        for (size_t i = 0; i < 40; i++) {
                uint64_t delay = pacing_find(&s.p, name_of(&s, i))->due_usec - s.now;

                least = delay < least ? delay : least;
                most = delay > most ? delay : most;
                for (size_t k = 0; k < i; k++)
                        n_same += pacing_find(&s.p, name_of(&s, k))->due_usec - s.now == delay;
        }
        assert_int_equal(n_same, 0);
        assert_true(least < 9 * SECOND / 2);
        assert_true(most > 11 * SECOND / 2);
}

static void test_forgotten(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);
        uint64_t first = delay_after_end(&s, 0), second;

        s.now += first;
        look(&s);
        start(&s, 0);
        s.now += 10 * MINUTE - 1;
        look(&s);
        assert_non_null(pacing_find(&s.p, "a000"));
        second = delay_after_end(&s, 0);
        assert_true(second > first);

        s.now += second;
        look(&s);
        start(&s, 0);
        s.now += 10 * MINUTE;
        look(&s);
        assert_int_equal(s.p.n_items, 0);
        assert_int_equal(delay_after_end(&s, 0), first);

        /* A person started it. */
        pacing_forget(&s.p, "a000");
        assert_int_equal(s.p.n_items, 0);
        pacing_forget(&s.p, "a000");
        pacing_started(&s.p, "a000", s.now);
        assert_int_equal(s.p.n_items, 0);
}

/* However the clock of the day is set: for how long one runs is not its business. */
static void test_clock_is_set(void **state _unused_) {
        static const int64_t steps[] = { -4000 * (int64_t)SECOND, -30 * (int64_t)MINUTE, -1, 0, 1,
                30 * (int64_t)MINUTE, 4000 * (int64_t)SECOND };

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);

                s.now += delay_after_end(&s, 0);
                look(&s);
                start(&s, 0);
                s.clock_is_off = steps[i];
                s.now += 10 * MINUTE - 1;
                look(&s);
                assert_non_null(pacing_find(&s.p, "a000"));
                s.now += 1;
                look(&s);
                assert_int_equal(s.p.n_items, 0);
        }
}

/* A launcher that did not write the monotonic clock: the clock of the day, and never waited for. */
static void test_old_records(void **state _unused_) {
        static const struct {
                int64_t step;
                bool well; /* after a minute */
        } cases[] = {
                { 0, false },
                { 9 * (int64_t)MINUTE, true },
                { -(int64_t)MINUTE, false },
                { -30 * (int64_t)MINUTE, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);

                s.old_records = true;
                s.now += delay_after_end(&s, 0);
                look(&s);
                start(&s, 0);
                s.clock_is_off = cases[i].step;
                s.now += MINUTE;
                look(&s);
                assert_int_equal(s.p.n_items == 0, cases[i].well);
        }
}

/* Nobody waits for what is not to run, and what was held against it is gone. */
static void test_not_paced(void **state _unused_) {
        for (unsigned way = 0; way < 6; way++)
                for (unsigned before = 0; before < 2; before++) {
                        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 3);

                        if (before) {
                                end(&s, 1);
                                look(&s);
                                assert_int_equal(s.p.n_items, 1);
                        }
                        end(&s, 1);
                        if (way == 0)
                                s.lives[1].held = true;
                        else if (way == 1)
                                s.fleet_held = true;
                        else if (way == 2)
                                s.d->agents[1]->blocked_text = copy("no program");
                        else if (way == 3)
                                s.d->agents[1]->state = DESIRED_STOPPED;
                        else if (way == 4)
                                s.d->agents[1]->elsewhere = true;
                        else { /* it leaves the roster */
                                agent_spec_free(s.d->agents[1]);
                                s.d->agents[1] = s.d->agents[2];
                                s.d->n_agents = 2;
                                s.lives[1] = s.lives[2];
                        }
                        look(&s);
                        assert_int_equal(s.p.n_items, 0);
                        assert_true(pacing_next(&s.p, s.now) == USEC_INFINITY);
                }
}

/* Down without having failed is started at once, the first time. */
static void test_down_without_failure(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);
        uint64_t delay;

        s.lives[0].state = UNIT_INACTIVE;
        look(&s);
        assert_int_equal(s.p.n_items, 0);
        delay = delay_after_end(&s, 0);
        s.now += delay;
        look(&s);
        start(&s, 0);
        s.lives[0].state = UNIT_INACTIVE;
        s.now += SECOND;
        look(&s);
        assert_false(may_start(&s, 0));
}

static void test_between(void **state _unused_) {
        static const UnitState states[] = { UNIT_ACTIVATING, UNIT_DEACTIVATING, UNIT_RESTARTING,
                UNIT_OTHER };
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 1);
        PaceEntry before;

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                s.lives[0].state = states[i];
                look(&s);
                assert_int_equal(s.p.n_items, 0);
        }
        (void)delay_after_end(&s, 0);
        before = s.p.items[0];
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                s.lives[0].state = states[i];
                s.now += SECOND;
                look(&s);
                assert_int_equal(s.p.n_items, 1);
                assert_memory_equal(&before, s.p.items, sizeof(before));
        }
}

/* What was not seen changes not a bit. */
static void test_unknown(void **state _unused_) {
        static const SourceState bad[] = { SOURCE_UNKNOWN, SOURCE_ABSENT };
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 8);
        PaceEntry before[8];
        Pacing whole;
        size_t n;

        for (size_t i = 0; i < 5; i++)
                end(&s, i);
        look(&s);
        n = s.p.n_items;
        assert_int_equal(n, 5);
        assert_true(s.p.brake_usec != 0);
        memcpy(before, s.p.items, n * sizeof(PaceEntry));
        whole = s.p;
        for (unsigned source = 0; source < 3; source++)
                for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                        s.manager = source == 0 ? bad[k] : SOURCE_PRESENT;
                        s.runs = source == 1 ? bad[k] : SOURCE_PRESENT;
                        s.files = source == 2 ? bad[k] : SOURCE_PRESENT;
                        s.now += MINUTE;
                        for (size_t i = 0; i < 8; i++)
                                s.lives[i].state = i % 2 ? UNIT_ACTIVE : UNIT_FAILED;
                        look(&s);
                        assert_memory_equal(&whole, &s.p, sizeof(whole));
                        assert_memory_equal(before, s.p.items, n * sizeof(PaceEntry));
                }
}

/* --- direct ----------------------------------------------------------------------------------- */

/* As with StartLimitBurst= N + 1: N quick restarts in a window, the next end is the loop. */
static void test_direct_window(void **state _unused_) {
        for (unsigned attempts = 0; attempts <= 5; attempts++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_DIRECT, 1);
                unsigned n_quick = 0;

                s.d->agents[0]->restart_attempts = attempts;
                while (n_quick < 50) {
                        uint64_t delay = delay_after_end(&s, 0);

                        if (pacing_find(&s.p, "a000")->crash_loop) {
                                assert_true(delay >= 24 * SECOND && delay <= 36 * SECOND);
                                break;
                        }
                        assert_int_equal(delay, SECOND);
                        n_quick++;
                        s.now += delay;
                        look(&s);
                        start(&s, 0);
                        s.now += SECOND;
                        look(&s);
                }
                assert_int_equal(n_quick, attempts == 0 ? 50 : attempts);
        }
}

/* The window slides on from the first end after it is over; one end in each is none too many. */
static void test_direct_window_ends(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_DIRECT, 1);

        s.d->agents[0]->restart_attempts = 1;
        s.d->agents[0]->restart_window_usec = 5 * MINUTE;
        for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(delay_after_end(&s, 0), SECOND);
                s.now += SECOND;
                look(&s);
                start(&s, 0);
                s.now += 5 * MINUTE;
                look(&s);
        }
        (void)delay_after_end(&s, 0);
        s.now += SECOND;
        look(&s);
        start(&s, 0);
        s.now += SECOND;
        assert_true(delay_after_end(&s, 0) > 20 * SECOND);
        assert_true(s.p.items[0].crash_loop);
}

/* The policy, a stop of ours, the last boot, and the server's end: none of these is an end. */
static void test_direct_ends(void **state _unused_) {
        static const struct {
                RestartPolicy policy;
                bool well, server_gone;
                bool counts;
        } cases[] = {
                { RESTART_ALWAYS, false, false, true },
                { RESTART_ALWAYS, true, false, true },
                { RESTART_ALWAYS, false, true, false },
                { RESTART_ON_FAILURE, false, false, true },
                { RESTART_ON_FAILURE, true, false, false },
                { RESTART_NEVER, false, false, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_DIRECT, 1);

                s.d->agents[0]->restart_policy = cases[i].policy;
                end(&s, 0);
                s.lives[0].ended_well = cases[i].well;
                s.server_gone = cases[i].server_gone;
                look(&s);
                if ((s.p.n_items == 1) != cases[i].counts)
                        fail_msg("case %zu", i);
        }
}

/* --- the fleet -------------------------------------------------------------------------------- */

/* Never more than 16 within a second that began with a start, and all of them at last. */
static void test_budget(void **state _unused_) {
        static const uint64_t steps[] = { SECOND, SECOND / 10, SECOND / 3, 75000 };

        for (size_t k = 0; k < ELEMENTSOF(steps); k++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 120);
                uint64_t began;
                size_t n_slots = 0;

                for (size_t i = 0; i < 59; i++)
                        end(&s, i);
                look(&s);
                assert_int_equal(s.p.brake_usec, 0);
                if (k % 2)
                        s.now += 20 * SECOND; /* all are due together; else as their delays end */
                began = s.now;
                while (count_down(&s) > 0) {
                        size_t in_slot = 0;

                        assert_true(s.now < began + 20 * SECOND);
                        for (uint64_t from = s.now; s.now < from + SECOND && count_down(&s) > 0;
                                        s.now += steps[k]) {
                                size_t n;

                                look(&s);
                                n = start_all(&s);
                                if (in_slot == 0)
                                        from = s.now;
                                in_slot += n;
                        }
                        assert_true(in_slot <= 16);
                        n_slots += in_slot > 0;
                }
                assert_true(n_slots >= 4 && n_slots <= 6);
        }
}

static void test_brake_is_set(void **state _unused_) {
        for (size_t n = 1; n <= 12; n++)
                for (size_t lost = 0; lost <= n; lost++)
                        for (unsigned direct = 0; direct < 2; direct++) {
                                _cleanup_(sim_done) Sim s = sim_new(
                                                direct ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD, n);

                                for (size_t i = n - lost; i < n; i++)
                                        end(&s, i);
                                look(&s);
                                if ((s.p.brake_usec != 0) != (n >= 4 && 2 * lost >= n))
                                        fail_msg("%zu of %zu", lost, n);
                                if (s.p.brake_usec == 0)
                                        continue;
                                assert_string_equal(s.p.probe, name_of(&s, n - lost));
                                for (size_t i = n - lost + 1; i < n; i++)
                                        assert_true(pacing_due(&s.p,
                                                                    pacing_find(&s.p,
                                                                                    name_of(&s, i)),
                                                                    s.now) == USEC_INFINITY);
                        }
}

/* Those that do not count: held ones are no part of the fleet, and what happened long ago is no
 * part of what happens now. */
static void test_brake_counts(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 8);
        _cleanup_(sim_done) Sim t = sim_new(SUPERVISOR_SYSTEMD, 8);
        _cleanup_(sim_done) Sim u = sim_new(SUPERVISOR_SYSTEMD, 8);

        for (size_t i = 0; i < 4; i++)
                s.lives[i].held = true;
        end(&s, 4);
        look(&s);
        assert_int_equal(s.p.brake_usec, 0);
        end(&s, 5);
        look(&s);
        assert_true(s.p.brake_usec != 0);

        /* A minute apart. */
        for (size_t i = 0; i < 8; i++) {
                end(&t, i);
                t.lives[i].gave_up = true;
                look(&t);
                if (i < 3)
                        assert_int_equal(t.p.brake_usec, 0);
                t.now += 30 * SECOND;
        }
        assert_int_equal(t.p.brake_usec, 0);

        for (size_t i = 0; i < 4; i++) {
                end(&u, i);
                look(&u);
                u.now += 19 * SECOND;
        }
        assert_true(u.p.brake_usec != 0);
}

/* Which probe is tried; tried means that it starts and ends at once. */
static void try_probe(Sim *s) {
        for (unsigned guard = 0; guard < 1000; guard++) {
                look(s);
                assert_true(s->p.brake_usec != 0);
                for (size_t i = 0; i < s->d->n_agents; i++)
                        if (s->lives[i].state != UNIT_ACTIVE && may_start(s, i)) {
                                assert_string_equal(name_of(s, i), s->p.probe);
                                start(s, i);
                                s->now += SECOND;
                                look(s);
                                end(s, i);
                                s->now += SECOND;
                                look(s);
                                return;
                        }
                s->now = pacing_next(&s->p, s->now);
        }
        fail_msg("no probe is tried");
}

/* Every agent has its turn: one that is broken for itself does not keep the others waiting. */
static void test_brake_rotates(void **state _unused_) {
        for (unsigned direct = 0; direct < 2; direct++)
                for (unsigned attempts = 0; attempts < 8; attempts += 3) {
                        _cleanup_(sim_done) Sim s =
                                        sim_new(direct ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD, 6);
                        bool tried[6] = { false };

                        for (size_t i = 0; i < 6; i++) {
                                s.d->agents[i]->restart_attempts = attempts;
                                end(&s, i);
                        }
                        for (size_t round = 0; round < 12; round++) {
                                unsigned i;

                                try_probe(&s);
                                i = (unsigned)(s.p.probe[3] - '0');
                                tried[i] = true;
                                if (round == 6)
                                        for (size_t k = 0; k < 6; k++)
                                                if (!tried[k])
                                                        fail_msg("%s, %u attempts: %zu was not "
                                                                 "tried",
                                                                        direct ? "direct"
                                                                               : "systemd",
                                                                        attempts, k);
                        }
                }
}

static void lose_all(Sim *s) {
        for (size_t i = 0; i < s->d->n_agents; i++)
                end(s, i);
        look(s);
        assert_true(s->p.brake_usec != 0);
}

static size_t find_probe(const Sim *s) {
        for (size_t i = 0; i < s->d->n_agents; i++)
                if (strcmp(name_of(s, i), s->p.probe) == 0)
                        return i;
        fail_msg("no probe");
        return 0;
}

/* Once the probe has lasted nothing waits for a second one, however many there are to start. */
static void test_brake_is_released(void **state _unused_) {
        static const size_t sizes[] = { 4, 16, 17, 40, 100 };

        for (size_t k = 0; k < ELEMENTSOF(sizes); k++) {
                _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, sizes[k]);
                size_t probe;
                uint64_t released;

                lose_all(&s);
                probe = find_probe(&s);
                s.now = pacing_next(&s.p, s.now);
                look(&s);
                while (!may_start(&s, probe)) {
                        s.now = pacing_next(&s.p, s.now);
                        look(&s);
                }
                assert_int_equal(start_all(&s), 1);
                s.now += 20 * SECOND - 1;
                look(&s);
                assert_true(s.p.brake_usec != 0);
                assert_int_equal(start_all(&s), 0);
                s.now++;
                released = s.now;
                for (;;) {
                        look(&s);
                        assert_int_equal(s.p.brake_usec, 0);
                        (void)start_all(&s);
                        if (count_down(&s) == 0)
                                break;
                        s.now = pacing_next(&s.p, s.now);
                }
                assert_true(s.now <= released + (sizes[k] / 16 + 1) * SECOND);

                /* Lost again: waits again. */
                s.now += SECOND;
                lose_all(&s);
        }
}

/* Most of the fleet came back by itself, or a person started the probe; or its run file is lost. */
static void test_brake_ends_otherwise(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 8);
        _cleanup_(sim_done) Sim t = sim_new(SUPERVISOR_SYSTEMD, 8);
        _cleanup_(sim_done) Sim u = sim_new(SUPERVISOR_SYSTEMD, 8);

        lose_all(&s);
        for (size_t i = 0; i < 5; i++)
                s.lives[i] = (Life){ .state = UNIT_ACTIVE, .started = s.now };
        look(&s);
        assert_int_equal(s.p.brake_usec, 0);

        lose_all(&t);
        pacing_forget(&t.p, t.p.probe);
        assert_int_equal(t.p.brake_usec, 0);
        assert_int_equal(t.p.n_items, 7);

        lose_all(&u);
        u.lives[find_probe(&u)] = (Life){ .state = UNIT_ACTIVE };
        u.now += 20 * SECOND - 1;
        look(&u);
        assert_true(u.p.brake_usec != 0);
        u.now++;
        look(&u);
        assert_int_equal(u.p.brake_usec, 0);
}

/* The plan does not start it although it is due: others are tried, and no slot is kept for it. */
static void test_kept_down(void **state _unused_) {
        _cleanup_(sim_done) Sim s = sim_new(SUPERVISOR_SYSTEMD, 100);
        _cleanup_(plan_freep) Plan *none = NULL;
        size_t probe;

        assert_int_equal(plan_new(&none), 0);
        for (size_t i = 0; i < 49; i++)
                end(&s, i);
        look(&s);
        s.now += MINUTE;
        look(&s);
        /* An obstacle of the whole fleet is none of theirs. */
        none->n_impeded = 49;
        pacing_planned(&s.p, none, s.now);
        look(&s);
        for (size_t i = 0; i < 49; i++)
                assert_false(s.p.items[i].kept_down);
        none->n_impeded = 0;
        pacing_planned(&s.p, none, s.now);
        for (size_t i = 0; i < 49; i++)
                assert_int_equal(s.p.items[i].kept_down, may_start(&s, i));
        look(&s);
        s.now += SECOND;
        look(&s); /* 16 more are due, and not the last ones only */
        for (size_t i = 16; i < 32; i++)
                assert_true(may_start(&s, i));
        assert_false(may_start(&s, 32));

        /* Up again, it is as any other. */
        start(&s, 0);
        look(&s);
        assert_false(pacing_find(&s.p, "a000")->kept_down);

        /* What can be started is tried, wherever it stands. */
        for (size_t i = 0; i < 100; i++)
                end(&s, i);
        look(&s);
        for (unsigned round = 0; round < 400 && strcmp(s.p.probe, "a099") != 0; round++) {
                s.now = pacing_next(&s.p, s.now);
                look(&s);
                pacing_planned(&s.p, none, s.now);
        }
        probe = find_probe(&s);
        assert_int_equal(probe, 99);
}

/* --- anything --------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return *seed >> 33;
}

typedef struct Starts {
        uint64_t at[4096];
        size_t n;
} Starts;

/* In ten minutes: the least delays of 4 s, 8, 16 ... 256 add up to 508 s, and the next is 512.
 * Under `direct` they are 24 s, 48 ... 192, then 384, and between two there are the quick ones. */
#define SYSTEMD_BOUND 8
#define DIRECT_BOUND(attempts) (6 * ((attempts) + 1))

/* The most starts of one agent within @window. */
static size_t most_within(const Starts *x, uint64_t window) {
        size_t most = 0, from = 0;

        for (size_t i = 0; i < x->n; i++) {
                while (x->at[i] - x->at[from] > window)
                        from++;
                most = i - from + 1 > most ? i - from + 1 : most;
        }
        return most;
}

static void happen(Sim *s, uint64_t *seed, size_t i) {
        Life *l = s->lives + i;

        switch (random_next(seed) % 12) {
        case 0:
        case 1:
        case 2:
        case 3:
                end(s, i);
                l->gave_up = random_next(seed) % 2;
                break;
        case 4:
                if (l->state != UNIT_ACTIVE)
                        l->held = !l->held;
                break;
        case 5:
                s->server_gone = s->supervisor == SUPERVISOR_DIRECT && random_next(seed) % 4 == 0;
                break;
        case 6:
                l->state = l->state == UNIT_ACTIVE ? UNIT_RESTARTING : UNIT_FAILED;
                l->started = 0;
                break;
        case 7:
                s->manager = random_next(seed) % 4 ? SOURCE_PRESENT : SOURCE_UNKNOWN;
                break;
        case 8:
                s->d->agents[i]->state = random_next(seed) % 4 ? DESIRED_RUNNING : DESIRED_STOPPED;
                break;
        default: /* it goes on */
                break;
        }
}

/* Agents that end again and again, other things in between, looks at any time. */
static void test_any_sequence(void **state _unused_) {
        static Starts starts[AGENTS_MAX];

        for (uint64_t run = 1; run <= 60; run++) {
                size_t n = 1 + run % 30;
                bool direct = run % 2;
                _cleanup_(sim_done) Sim s =
                                sim_new(direct ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD, n);
                uint64_t seed = run;

                memset(starts, 0, sizeof(starts));
                for (unsigned step = 0; step < 1500; step++) {
                        s.now += random_next(&seed) % (random_next(&seed) % 4 ? SECOND : MINUTE);
                        for (size_t i = 0; i < n; i++)
                                if (random_next(&seed) % 4 == 0)
                                        happen(&s, &seed, i);
                        if (s.manager != SOURCE_PRESENT)
                                continue;
                        look(&s);
                        for (size_t i = 0; i < n; i++) {
                                const PaceEntry *e = pacing_find(&s.p, name_of(&s, i));

                                if (!e) /* held, stopped or well again: the count begins anew */
                                        starts[i].n = 0;
                                if (!e || e->down_usec == 0 || !may_start(&s, i))
                                        continue;
                                assert_true(starts[i].n < ELEMENTSOF(starts[i].at));
                                starts[i].at[starts[i].n++] = s.now;
                                start(&s, i);
                                if (most_within(starts + i, 10 * MINUTE) >
                                                (direct ? DIRECT_BOUND(3) : SYSTEMD_BOUND))
                                        fail_msg("run %ju: too many starts of %s in ten minutes",
                                                        (uintmax_t)run, name_of(&s, i));
                        }
                }
        }
}

/* One agent alone, which ends after any time and is started as soon as it may be. */
static void test_bound(void **state _unused_) {
        static Starts x;

        for (uint64_t run = 1; run <= 400; run++) {
                bool direct = run % 2;
                unsigned attempts = (unsigned)(run / 2 % 4);
                _cleanup_(sim_done) Sim s =
                                sim_new(direct ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD, 1);
                uint64_t seed = run, quickest = 1 + run % 20;
                size_t bound = direct ? DIRECT_BOUND(attempts) : SYSTEMD_BOUND;

                s.d->agents[0]->restart_attempts = attempts;
                if (direct && attempts == 0) /* no limit was asked for */
                        bound = 600;
                x.n = 0;
                for (unsigned step = 0; step < 300; step++) {
                        uint64_t next;

                        end(&s, 0);
                        s.lives[0].gave_up = run % 3 == 0;
                        look(&s);
                        next = pacing_next(&s.p, s.now);
                        s.now = next + random_next(&seed) % SECOND;
                        look(&s);
                        assert_true(may_start(&s, 0));
                        start(&s, 0);
                        x.at[x.n++] = s.now;
                        s.now += random_next(&seed) % (quickest * SECOND);
                        look(&s);
                }
                if (most_within(&x, 10 * MINUTE) > bound)
                        fail_msg("%s, %u attempts: %zu starts in ten minutes",
                                        direct ? "direct" : "systemd", attempts,
                                        most_within(&x, 10 * MINUTE));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_delays),
                cmocka_unit_test(test_jitter),
                cmocka_unit_test(test_forgotten),
                cmocka_unit_test(test_clock_is_set),
                cmocka_unit_test(test_old_records),
                cmocka_unit_test(test_not_paced),
                cmocka_unit_test(test_down_without_failure),
                cmocka_unit_test(test_between),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_direct_window),
                cmocka_unit_test(test_direct_window_ends),
                cmocka_unit_test(test_direct_ends),
                cmocka_unit_test(test_budget),
                cmocka_unit_test(test_brake_is_set),
                cmocka_unit_test(test_brake_counts),
                cmocka_unit_test(test_brake_rotates),
                cmocka_unit_test(test_brake_is_released),
                cmocka_unit_test(test_brake_ends_otherwise),
                cmocka_unit_test(test_kept_down),
                cmocka_unit_test(test_any_sequence),
                cmocka_unit_test(test_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
