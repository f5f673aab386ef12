/* SPDX-License-Identifier: MIT */

/* When the controller looks: the promises, over events at any time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/plan/schedule.h"

#define MSEC UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define RESYNC (60 * SECOND)
#define BEGIN (1000 * SECOND)

/* The first pass is made, and took no time. */
static Schedule idle(void) {
        Schedule s;

        schedule_init(&s, RESYNC, BEGIN);
        assert_int_equal(schedule_due(&s), BEGIN);
        assert_int_equal(schedule_cause(&s, BEGIN), CAUSE_START);
        schedule_begin(&s, BEGIN);
        schedule_end(&s, BEGIN, UINT64_MAX);
        return s;
}

static void test_words(void **state) {
        (void)state;
        for (int c = 0; c < _CAUSE_MAX; c++) {
                assert_non_null(cause_to_string((Cause)c));
                for (int d = 0; d < c; d++)
                        assert_string_not_equal(
                                        cause_to_string((Cause)c), cause_to_string((Cause)d));
        }
}

static void test_one_event(void **state) {
        Schedule s = idle();
        uint64_t t = BEGIN + 10 * SECOND;

        (void)state;
        assert_int_equal(schedule_due(&s), BEGIN + RESYNC);
        assert_int_equal(schedule_cause(&s, t), CAUSE_NONE);
        schedule_mark(&s, CAUSE_ROSTER, t);
        assert_int_equal(schedule_due(&s), t + 75 * MSEC);
        assert_int_equal(schedule_cause(&s, t + 75 * MSEC - 1), CAUSE_NONE);
        assert_int_equal(schedule_cause(&s, t + 75 * MSEC), CAUSE_ROSTER);
        schedule_begin(&s, t + 80 * MSEC);
        assert_int_equal(schedule_due(&s), UINT64_MAX);
        schedule_end(&s, t + 100 * MSEC, UINT64_MAX);
        assert_int_equal(schedule_due(&s), t + 100 * MSEC + RESYNC);
}

/* A writer that never stops is looked at all the same. */
static void test_cap(void **state) {
        Schedule s = idle();
        uint64_t t = BEGIN + 10 * SECOND;

        (void)state;
        for (uint64_t i = 0; i <= 30; i++)
                schedule_mark(&s, CAUSE_ROSTER, t + i * 10 * MSEC);
        assert_int_equal(schedule_due(&s), t + 300 * MSEC);
}

/* What is asked for is done at once, whatever came before. */
static void test_asked(void **state) {
        Schedule s = idle();
        uint64_t t = BEGIN + 10 * MSEC;

        (void)state;
        schedule_begin(&s, t);
        schedule_end(&s, t + 2 * SECOND, 10 * SECOND);
        t += 2 * SECOND;
        schedule_mark(&s, CAUSE_DRIFT, t + MSEC);
        schedule_mark(&s, CAUSE_ASKED, t + 2 * MSEC);
        assert_true(schedule_due(&s) <= t + 2 * MSEC);
        assert_int_equal(schedule_cause(&s, t + 2 * MSEC), CAUSE_ASKED);
}

/* Passes because of drift take a quarter of the time, and nothing waits longer than a second. */
static void test_drift_rests(void **state) {
        static const uint64_t took[] = { 0, MSEC, 20 * MSEC, 100 * MSEC, 334 * MSEC, 5 * SECOND };

        (void)state;
        for (size_t i = 0; i < sizeof(took) / sizeof(*took); i++) {
                uint64_t end = BEGIN + SECOND + took[i], rest = 3 * took[i];
                Schedule s = idle();

                rest = rest < SECOND ? rest : SECOND;
                schedule_begin(&s, BEGIN + SECOND);
                schedule_end(&s, end, UINT64_MAX);
                schedule_mark(&s, CAUSE_DRIFT, end);
                assert_int_equal(schedule_due(&s), end + (rest > 75 * MSEC ? rest : 75 * MSEC));
                /* A save does not rest, and takes what drifted along. */
                schedule_mark(&s, CAUSE_ROSTER, end + MSEC);
                assert_int_equal(schedule_due(&s), end + 76 * MSEC);
        }
}

static void test_later(void **state) {
        static const struct {
                uint64_t wish, due;
                Cause cause;
        } cases[] = {
                { 0, 75 * MSEC, CAUSE_DUE },
                { 75 * MSEC, 75 * MSEC, CAUSE_DUE },
                { 2 * SECOND, 2 * SECOND, CAUSE_DUE },
                { RESYNC - 1, RESYNC - 1, CAUSE_DUE },
                { RESYNC, RESYNC, CAUSE_RESYNC },
                { 2 * RESYNC, RESYNC, CAUSE_RESYNC },
                { UINT64_MAX, RESYNC, CAUSE_RESYNC },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                Schedule s = idle();

                schedule_begin(&s, BEGIN + SECOND);
                schedule_end(&s, BEGIN + SECOND, cases[i].wish);
                assert_int_equal(schedule_due(&s), BEGIN + SECOND + cases[i].due);
                assert_int_equal(schedule_cause(&s, schedule_due(&s)), cases[i].cause);
                assert_int_equal(schedule_cause(&s, schedule_due(&s) - 1), CAUSE_NONE);
        }
}

static void test_roster_settles(void **state) {
        Schedule s = idle();
        uint64_t t = BEGIN + 100 * SECOND;

        (void)state;
        /* A start is as good as a touch: who knows what came before. */
        assert_int_equal(schedule_roster_settles(&s, BEGIN), 5 * SECOND);
        assert_int_equal(schedule_roster_settles(&s, BEGIN + 5 * SECOND), 0);
        schedule_mark(&s, CAUSE_ROSTER, t);
        schedule_mark(&s, CAUSE_DRIFT, t + SECOND);
        schedule_mark(&s, CAUSE_ASKED, t + SECOND);
        schedule_begin(&s, t + SECOND);
        schedule_end(&s, t + 2 * SECOND, UINT64_MAX);
        assert_int_equal(schedule_roster_settles(&s, t + 2 * SECOND), 3 * SECOND);
        schedule_mark(&s, CAUSE_ROSTER, t + 3 * SECOND);
        assert_int_equal(schedule_roster_settles(&s, t + 3 * SECOND), 5 * SECOND);
        assert_int_equal(schedule_roster_settles(&s, t + 8 * SECOND - 1), 1);
        assert_int_equal(schedule_roster_settles(&s, t + 8 * SECOND), 0);
}

/* --- anything --------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return *seed >> 33;
}

/* What really happened, remembered by other means than the schedule's. */
typedef struct Truth {
        uint64_t first_roster, last_roster; /* not yet looked at; 0: none */
        uint64_t first_drift, last_drift;
        uint64_t first_asked;
        uint64_t last_touch; /* of the roster, ever */
        uint64_t wish;       /* of the last pass */
        uint64_t ended;      /* the last pass */
        uint64_t took;
} Truth;

static uint64_t latest(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

/* A pass begins at @now; was it time, and not too late? The loop is never late itself. */
static void check_begin(const Truth *x, uint64_t now, Cause cause) {
        uint64_t last = latest(x->last_roster, x->last_drift);

        if (x->first_roster)
                assert_true(now <= latest(x->first_roster + 300 * MSEC, x->ended));
        if (x->first_drift)
                assert_true(now <= latest(x->first_drift + 300 * MSEC, x->ended + SECOND));
        if (x->first_asked)
                assert_true(now <= latest(x->first_asked, x->ended));
        assert_true(now <= x->ended + RESYNC);
        if (x->wish < RESYNC)
                assert_true(now <= x->ended + latest(x->wish, 75 * MSEC));
        switch (cause) {
        case CAUSE_ROSTER:
        case CAUSE_DRIFT: {
                uint64_t first = x->first_roster && x->first_drift
                                                 ? (x->first_roster < x->first_drift
                                                                                   ? x->first_roster
                                                                                   : x->first_drift)
                                                 : x->first_roster + x->first_drift;

                assert_true(now >= last + 75 * MSEC || now >= first + 300 * MSEC);
                if (cause == CAUSE_ROSTER) {
                        assert_true(x->first_roster);
                        break;
                }
                assert_true(x->first_drift && !x->first_roster);
                /* A quarter of the time, or a second of rest. */
                assert_true(now - x->ended >= (3 * x->took < SECOND ? 3 * x->took : SECOND));
                break;
        }
        case CAUSE_DUE:
                assert_true(now >= x->ended + latest(x->wish, 75 * MSEC));
                break;
        case CAUSE_RESYNC:
                assert_true(now >= x->ended + RESYNC);
                break;
        case CAUSE_ASKED:
                assert_true(x->first_asked);
                break;
        case CAUSE_NONE:
        case CAUSE_START:
        case _CAUSE_MAX:
                fail_msg("began because of %d", (int)cause);
        }
}

static void happen(Schedule *s, Truth *x, uint64_t *seed, uint64_t now) {
        switch (random_next(seed) % 24) {
        case 0:
                schedule_mark(s, CAUSE_ASKED, now);
                x->first_asked = x->first_asked ? x->first_asked : now;
                break;
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
                schedule_mark(s, CAUSE_ROSTER, now);
                x->first_roster = x->first_roster ? x->first_roster : now;
                x->last_roster = x->last_touch = now;
                break;
        default:
                schedule_mark(s, CAUSE_DRIFT, now);
                x->first_drift = x->first_drift ? x->first_drift : now;
                x->last_drift = now;
        }
}

static uint64_t any_wish(uint64_t *seed) {
        static const uint64_t wishes[] = { 0, 10 * MSEC, 250 * MSEC, 2 * SECOND, 15 * SECOND,
                RESYNC, UINT64_MAX, UINT64_MAX };

        return wishes[random_next(seed) % (sizeof(wishes) / sizeof(*wishes))];
}

/* Events in bursts and alone, passes of any length, wishes of any kind: an event loop that is
 * always on time. */
static void test_any_sequence(void **state) {
        (void)state;
        for (uint64_t run = 1; run <= 300; run++) {
                uint64_t seed = run, now = BEGIN, end = 0, next_event;
                unsigned n_passes[_CAUSE_MAX] = { 0 };
                Truth x = { .ended = BEGIN, .wish = UINT64_MAX };
                Schedule s = idle();

                x.last_touch = BEGIN;
                next_event = now;
                for (unsigned step = 0; step < 3000; step++) {
                        uint64_t due = schedule_due(&s), span;

                        assert_int_equal(s.running, due == UINT64_MAX);
                        assert_int_equal(schedule_roster_settles(&s, now),
                                        now < x.last_touch + 5 * SECOND
                                                        ? x.last_touch + 5 * SECOND - now
                                                        : 0);
                        if (next_event <= due && (!s.running || next_event < end)) {
                                now = latest(now, next_event);
                                happen(&s, &x, &seed, now);
                                span = random_next(&seed) % 8;
                                next_event = now +
                                             random_next(&seed) %
                                                             (span < 5                  ? 30 * MSEC
                                                                             : span < 7 ? SECOND
                                                                                        : 200 * SECOND);
                        } else if (s.running) {
                                now = end;
                                x.wish = any_wish(&seed);
                                schedule_end(&s, now, x.wish);
                                x.ended = now;
                        } else {
                                Cause cause;

                                now = latest(now, due);
                                cause = schedule_cause(&s, now);
                                check_begin(&x, now, cause);
                                n_passes[cause]++;
                                schedule_begin(&s, now);
                                x = (Truth){ .last_touch = x.last_touch, .wish = x.wish };
                                x.took = random_next(&seed) %
                                         (random_next(&seed) % 4 ? 50 * MSEC : SECOND);
                                end = now + x.took;
                        }
                }
                assert_true(n_passes[CAUSE_ROSTER] > 10);
                assert_true(n_passes[CAUSE_DRIFT] > 10);
                assert_true(n_passes[CAUSE_RESYNC] > 0);
                assert_true(n_passes[CAUSE_DUE] > 0);
        }
}

/* However fast agents die, the processor has three quarters of the time for others. */
static void test_drift_does_not_take_over(void **state) {
        uint64_t now = BEGIN + SECOND, busy = 0, begin = now;
        Schedule s = idle();

        (void)state;
        while (now < begin + 60 * SECOND) {
                schedule_mark(&s, CAUSE_DRIFT, now);
                now = schedule_due(&s);
                schedule_begin(&s, now);
                schedule_mark(&s, CAUSE_DRIFT, now + 100 * MSEC);
                now += 200 * MSEC;
                busy += 200 * MSEC;
                schedule_end(&s, now, UINT64_MAX);
        }
        assert_true(busy <= (now - begin) / 4 + 200 * MSEC);
        assert_true(busy >= (now - begin) / 5);
}

/* A pass that fails is made again after 1 s, then later and later; one that does not ends that. */
static void test_failed(void **state) {
        static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
        Schedule s = idle();
        uint64_t now = BEGIN;

        (void)state;
        for (int again = 0; again < 2; again++) {
                for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
                        schedule_begin(&s, now);
                        schedule_failed(&s, now);
                        assert_int_equal(schedule_due(&s), now + seconds[i] * SECOND);
                        now = schedule_due(&s);
                }
                schedule_begin(&s, now);
                schedule_end(&s, now, UINT64_MAX);
                assert_int_equal(schedule_due(&s), now + RESYNC);
        }
        /* What happens meanwhile is looked at as ever. */
        schedule_begin(&s, now);
        schedule_failed(&s, now);
        schedule_mark(&s, CAUSE_ROSTER, now + 100 * MSEC);
        assert_int_equal(schedule_due(&s), now + 175 * MSEC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_one_event),
                cmocka_unit_test(test_cap),
                cmocka_unit_test(test_asked),
                cmocka_unit_test(test_drift_rests),
                cmocka_unit_test(test_later),
                cmocka_unit_test(test_roster_settles),
                cmocka_unit_test(test_any_sequence),
                cmocka_unit_test(test_drift_does_not_take_over),
                cmocka_unit_test(test_failed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
