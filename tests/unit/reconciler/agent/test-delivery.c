/* SPDX-License-Identifier: MIT */

/*
 * The protocol against a simulated pane: what it does in named situations, and what must hold
 * whatever happens at whatever moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "model/base/parse.h"
#include "reconciler/agent/delivery.h"

#define MSEC USEC_PER_MSEC
#define BEGIN (UINT64_C(1000) * USEC_PER_SEC)

/* A pane with an input box. */
typedef struct Sim {
        uint64_t now;
        bool unfocused; /* the cursor has left the box until it is told of the focus or typed to */
        bool deaf;      /* to that */
        bool quoted;    /* somewhere on the screen stands what a dialog says */
        bool gone, dead, in_mode, dialog, busy, foreground, young, starting, line_mode;
        unsigned attached;
        unsigned scroll;     /* how far down the box is */
        char box[64];        /* what it holds */
        char pending[64];    /* pasted, not taken yet */
        uint64_t pending_at; /* when it is taken */
        uint64_t echo_lag;
        unsigned ignore_enters;
        bool newline_enter; /* the next Enter makes a new line */
        unsigned redraws;   /* looks after the paste that see no box, only a half-drawn screen */

        unsigned n_told, n_pastes, n_approved, n_submitted;
        bool human_typed;
        char submitted[64];

        char text[256];
        Screen screen;
        ScreenVerdict verdict;
} Sim;

static const char message[] = "hello";

static void insert(Sim *s, const char *text) {
        size_t length = strlen(s->box);

        (void)snprintf(s->box + length, sizeof(s->box) - length, "%s", text);
}

static void take_pending(Sim *s) {
        if (*s->pending && s->now >= s->pending_at) {
                s->unfocused = false;
                insert(s, s->pending);
                *s->pending = '\0';
        }
}

static void show(Sim *s, DeliveryLook *look) {
        unsigned y = s->scroll + 1, x = 2 + (unsigned)strlen(s->box);
        size_t n = 0;

        take_pending(s);
        x = 2 + (unsigned)strlen(s->box);
        for (unsigned i = 0; i < s->scroll; i++)
                n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%u\n", i);
        if (s->dialog) {
                (void)snprintf(s->text + n, sizeof(s->text) - n, "proceed?\n > 1. Yes\n");
                x = 3;
        } else
                (void)snprintf(s->text + n, sizeof(s->text) - n, "----\n> %s\n", s->box);
        s->screen = (Screen){
                .text = s->text,
                .width = 80,
                .height = 24,
                .cursor_x = x,
                .cursor_y = y,
                .attached = s->attached,
                .dead = s->dead,
                .in_mode = s->in_mode,
        };
        s->verdict = (ScreenVerdict){
                .composer_empty = !s->dialog && !*s->box && !s->starting,
                .busy = s->busy,
                .state = s->dialog || (s->quoted && *s->box) ? SCREEN_WAITING
                         : s->busy                           ? SCREEN_BUSY
                         : s->starting                       ? SCREEN_STARTING
                         : *s->box                           ? SCREEN_DRAFT
                                                             : SCREEN_IDLE,
        };
        if (s->unfocused && !s->dialog) {
                s->screen.cursor_x = 0;
                s->screen.cursor_y = y + 1;
                s->verdict.unfocused = s->verdict.composer_empty;
                s->verdict.composer_empty = false;
        }
        if (s->n_pastes > 0 && s->redraws > 0) {
                s->redraws--;
                s->screen.cursor_x = 0;
                s->verdict.composer_empty = false;
                s->verdict.state = SCREEN_UNKNOWN;
        }
        *look = (DeliveryLook){
                .now_usec = s->now,
                .seen = !s->gone,
                .alive = !s->dead,
                .other_foreground = s->foreground,
                .line_mode = s->line_mode,
                .young = s->young,
                .screen = &s->screen,
                .verdict = &s->verdict,
        };
}

/* What tmux compares before it acts. */
static bool guard(Sim *s, const Delivery *d) {
        DeliveryLook look;

        show(s, &look);
        return !s->in_mode && s->screen.cursor_x == d->x && s->screen.cursor_y == d->y;
}

static DeliveryReply paste(Sim *s, const Delivery *d) {
        if (s->dead)
                return REPLY_GONE;
        if (!guard(s, d))
                return REPLY_MOVED;
        s->n_pastes++;
        if (!s->dialog) {
                (void)stpcpy(s->pending, message);
                s->pending_at = s->now + s->echo_lag;
        }
        return REPLY_DONE;
}

static DeliveryReply press(Sim *s, const Delivery *d) {
        if (s->dead)
                return REPLY_GONE;
        if (!guard(s, d))
                return REPLY_MOVED;
        s->unfocused = false;
        if (s->dialog) {
                s->n_approved++;
                s->dialog = false;
        } else if (s->ignore_enters > 0)
                s->ignore_enters--;
        else if (s->newline_enter) {
                s->newline_enter = false;
                insert(s, "~");
        } else if (*s->box) {
                s->n_submitted++;
                (void)stpcpy(s->submitted, s->box);
                *s->box = '\0';
        }
        return REPLY_DONE;
}

typedef void (*Event)(Sim *s, const Delivery *d, DeliveryStep step, void *userdata);

/* Runs it to its end; @before is called before each deed, @every before each look. */
static DeliveryResult run(Sim *s, Delivery *d, Event every, Event before, void *userdata) {
        unsigned n = 0;

        for (;;) {
                DeliveryLook look;
                DeliveryStep step;

                assert_true(n++ < 10000);
                if (every)
                        every(s, d, DELIVERY_WAIT, userdata);
                show(s, &look);
                step = delivery_look(d, &look);
                s->now += 3 * MSEC;
                if (before)
                        before(s, d, step, userdata);
                switch (step) {
                case DELIVERY_WAIT:
                        s->now += d->wait_usec;
                        break;
                case DELIVERY_LEAVE_MODE:
                        s->in_mode = false;
                        delivery_reply(d, REPLY_DONE, s->now);
                        break;
                case DELIVERY_FOCUS:
                        s->n_told++;
                        if (guard(s, d))
                                s->unfocused = s->unfocused && s->deaf;
                        delivery_reply(d, REPLY_DONE, s->now);
                        break;
                case DELIVERY_PASTE:
                        delivery_reply(d, paste(s, d), s->now);
                        break;
                case DELIVERY_PRESS:
                        delivery_reply(d, press(s, d), s->now);
                        break;
                case DELIVERY_END:
                        return d->result;
                }
        }
}

static DeliveryOptions options(void) {
        return (DeliveryOptions){
                .now_usec = BEGIN,
                .timeout_usec = 5 * USEC_PER_SEC,
                .text = message,
                .size = sizeof(message) - 1,
        };
}

static Sim sim(void) {
        return (Sim){ .now = BEGIN, .echo_lag = 30 * MSEC };
}

/* --- named situations ------------------------------------------------------------------------- */

static void plain(void **state) {
        DeliveryOptions o = options();
        Sim s = sim();
        Delivery d;

        (void)state;
        delivery_init(&d, &o);
        assert_int_equal(run(&s, &d, NULL, NULL, NULL), DELIVERY_SUBMITTED);
        assert_int_equal(d.presses, 1);
        assert_string_equal(s.submitted, message);
        /* What may not be trusted at once takes half a second more. */
        assert_true(s.now - BEGIN < 300 * MSEC);
        s = sim();
        s.young = true;
        delivery_init(&d, &o);
        assert_int_equal(run(&s, &d, NULL, NULL, NULL), DELIVERY_SUBMITTED);
        assert_true(s.now - BEGIN > 500 * MSEC);
}

static void ends(void **state) {
        static const struct {
                const char *what;
                Sim sim;
                bool wait_idle, no_submit;
                DeliveryResult result;
                unsigned pastes, presses, submitted;
        } cases[] = {
                { "busy", { .busy = true }, false, false, DELIVERY_QUEUED, 1, 1, 1 },
                { "busy, but only if idle", { .busy = true }, true, false, DELIVERY_NOT_READY, 0, 0,
                                0 },
                { "dialog", { .dialog = true }, false, false, DELIVERY_BLOCKED, 0, 0, 0 },
                { "draft", { .box = "mine" }, false, false, DELIVERY_BLOCKED, 0, 0, 0 },
                { "starting", { .starting = true }, false, false, DELIVERY_NOT_READY, 0, 0, 0 },
                { "dead", { .dead = true }, false, false, DELIVERY_NOT_DELIVERED, 0, 0, 0 },
                { "not to be read", { .gone = true }, false, false, DELIVERY_NOT_READY, 0, 0, 0 },
                { "a pager", { .foreground = true }, false, false, DELIVERY_NOT_READY, 0, 0, 0 },
                { "it reads no keys", { .line_mode = true }, false, false, DELIVERY_NOT_READY, 0, 0,
                                0 },
                { "copy mode", { .in_mode = true }, false, false, DELIVERY_SUBMITTED, 1, 1, 1 },
                { "copy mode of somebody", { .in_mode = true, .attached = 1 }, false, false,
                                DELIVERY_NOT_READY, 0, 0, 0 },
                { "no submit", { 0 }, false, true, DELIVERY_TYPED, 1, 0, 0 },
                { "two lost keys", { .ignore_enters = 2 }, false, false, DELIVERY_SUBMITTED, 1, 3,
                                1 },
                { "all keys lost", { .ignore_enters = 99 }, false, false, DELIVERY_UNCERTAIN, 1, 5,
                                0 },
                { "the key made a new line", { .newline_enter = true }, false, false,
                                DELIVERY_SUBMITTED, 1, 2, 1 },
                { "a new line, and somebody may have typed",
                                { .newline_enter = true, .attached = 1 }, false, false,
                                DELIVERY_UNCERTAIN, 1, 1, 0 },
                { "the cursor elsewhere", { .unfocused = true }, false, false, DELIVERY_SUBMITTED,
                                1, 1, 1 },
                { "and it stays there", { .unfocused = true, .deaf = true }, false, false,
                                DELIVERY_NOT_READY, 0, 0, 0 },
                { "a quotation of a dialog", { .quoted = true, .ignore_enters = 1 }, false, false,
                                DELIVERY_SUBMITTED, 1, 2, 1 },
                { "slow echo", { .echo_lag = 9 * USEC_PER_SEC }, false, false, DELIVERY_SUBMITTED,
                                1, 1, 1 },
                { "a look into a redraw", { .echo_lag = 200 * MSEC, .redraws = 1, .attached = 1 },
                                false, false, DELIVERY_SUBMITTED, 1, 1, 1 },
                { "a slow redraw", { .echo_lag = 200 * MSEC, .redraws = 3 }, false, false,
                                DELIVERY_SUBMITTED, 1, 1, 1 },
                { "the same, or somebody took the text away",
                                { .echo_lag = 200 * MSEC, .redraws = 3, .attached = 1 }, false,
                                false, DELIVERY_UNCERTAIN, 1, 0, 0 },
                { "no echo", { .echo_lag = 99 * USEC_PER_SEC }, false, false, DELIVERY_UNCERTAIN, 1,
                                0, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DeliveryOptions o = options();
                Sim s = cases[i].sim;
                Delivery d;

                s.now = BEGIN;
                o.wait_idle = cases[i].wait_idle;
                o.no_submit = cases[i].no_submit;
                delivery_init(&d, &o);
                if (run(&s, &d, NULL, NULL, NULL) != cases[i].result ||
                                d.presses != cases[i].presses || s.n_pastes != cases[i].pastes ||
                                s.n_submitted != cases[i].submitted)
                        fail_msg("%s: %s, %s; %u pastes, %u presses, %u submitted", cases[i].what,
                                        delivery_result_to_string(d.result), d.why, s.n_pastes,
                                        d.presses, s.n_submitted);
                assert_int_equal(s.n_approved, 0);
                assert_non_null(d.why);
                assert_true(s.now - BEGIN < 45 * USEC_PER_SEC);
        }
}

/* Between the decision and the deed. */
static void open_dialog(Sim *s, const Delivery *d, DeliveryStep step, void *userdata) {
        DeliveryStep *when = userdata;

        (void)d;
        if (step == *when && s->n_approved + s->n_submitted == 0)
                s->dialog = true;
}

static void dialogs_in_between(void **state) {
        static const DeliveryStep steps[] = { DELIVERY_PASTE, DELIVERY_PRESS };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                DeliveryStep when = steps[i];
                DeliveryOptions o = options();
                Sim s = sim();
                Delivery d;

                delivery_init(&d, &o);
                assert_int_equal(run(&s, &d, NULL, open_dialog, &when),
                                steps[i] == DELIVERY_PASTE ? DELIVERY_BLOCKED : DELIVERY_UNCERTAIN);
                assert_int_equal(s.n_approved, 0);
                assert_int_equal(s.n_submitted, 0);
        }
}

/* After the paste a waiting pattern matches. Is the key pressed? */
static void waiting_signs(void **state) {
        static const char labelled[] = "[from box:operator to web #12ab]\n2";
        static const struct {
                const char *text, *screen;
                unsigned x, y;
                bool pressed;
        } cases[] = {
                { labelled, "Proceed?\n\n> [from box:operator to web #12ab]\n  2\n", 3, 3, true },
                { labelled, "#Proceed?\n \n| > [from box:oper\n| ator to web #12ab]\n| 2\n", 3, 4,
                                true },
                { labelled, "Proceed?\n> 2\n", 3, 1, false }, /* it went into the dialog */
                { labelled, "Proceed?\n> 1. Yes\n", 3, 1, false },
                { labelled, "Proceed? to web #12ab]\n> 2\n", 3, 1, false },
                { labelled, "> [from box:operator to web #12ab] yes\n  2\n", 3, 1, false },
                { labelled, "  2\n", 3, 0, false },
                { "go on with the work", "Do you want that?\n> go on with the work\n", 21, 1,
                                true },
                { "go on with the work", "Proceed? go on with the work\n", 28, 0, false },
                { "go on with the work", "> the work\n", 10, 0, false },
                { "yes", "Proceed?\n> yes\n", 5, 1, true }, /* all there is */
                { "yes", "Proceed? yes\n", 12, 0, false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DeliveryOptions o = options();
                ScreenVerdict verdict = { .composer_empty = true, .state = SCREEN_IDLE };
                Screen screen = {
                        .text = (char[]){ "> \n" }, .width = 80, .height = 24, .cursor_x = 2
                };
                DeliveryLook look = { .now_usec = BEGIN,
                        .seen = true,
                        .alive = true,
                        .screen = &screen,
                        .verdict = &verdict };
                _cleanup_free_ char *text = strdup(cases[i].screen);
                bool pressed = false;
                Delivery d;

                o.text = cases[i].text;
                o.size = strlen(o.text);
                delivery_init(&d, &o);
                assert_int_equal(delivery_look(&d, &look), DELIVERY_PASTE);
                delivery_reply(&d, REPLY_DONE, BEGIN);
                verdict = (ScreenVerdict){ .state = SCREEN_WAITING };
                screen.text = text;
                screen.cursor_x = cases[i].x;
                screen.cursor_y = cases[i].y;
                for (unsigned k = 0; k < 100 && !pressed; k++) {
                        look.now_usec += 20 * MSEC;
                        pressed = delivery_look(&d, &look) == DELIVERY_PRESS;
                }
                if (pressed != cases[i].pressed)
                        fail_msg("case %zu: %s", i, pressed ? "pressed" : "not pressed");
        }
}

/* tmux does not answer: the text may have been pasted, so it never is again. */
static void no_answer(void **state) {
        for (unsigned was_done = 0; was_done < 2; was_done++) {
                DeliveryOptions o = options();
                Sim s = sim();
                DeliveryLook look;
                Delivery d;

                (void)state;
                delivery_init(&d, &o);
                show(&s, &look);
                assert_int_equal(delivery_look(&d, &look), DELIVERY_PASTE);
                if (was_done)
                        assert_int_equal(paste(&s, &d), REPLY_DONE);
                delivery_reply(&d, REPLY_UNKNOWN, s.now);
                assert_int_equal(run(&s, &d, NULL, NULL, NULL),
                                was_done ? DELIVERY_SUBMITTED : DELIVERY_UNCERTAIN);
                assert_int_equal(s.n_pastes, was_done);
        }
}

static void given_up(void **state) {
        DeliveryOptions o = options();
        Delivery d;

        (void)state;
        delivery_init(&d, &o);
        delivery_give_up(&d, "x", BEGIN);
        assert_int_equal(d.result, DELIVERY_NOT_DELIVERED);
        delivery_init(&d, &o);
        d.phase = PHASE_ECHO;
        delivery_give_up(&d, "x", BEGIN);
        assert_int_equal(d.result, DELIVERY_UNCERTAIN);
        delivery_give_up(&d, "y", BEGIN);
        assert_string_equal(d.why, "x");
}

/* --- whatever happens ------------------------------------------------------------------------- */

static uint32_t next(uint32_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 17;
        *seed ^= *seed << 5;
        return *seed;
}

static void misfortune(Sim *s, const Delivery *d, DeliveryStep step, void *userdata) {
        uint32_t *seed = userdata;

        (void)d;
        (void)step;
        if (next(seed) % 6 != 0)
                return;
        switch (next(seed) % 14) {
        case 0:
                s->dialog = !s->dialog;
                break;
        case 1:
                s->dialog = false;
                break;
        case 2:
                s->in_mode = true;
                break;
        case 3:
                s->scroll = next(seed) % 5;
                break;
        case 4:
                s->ignore_enters = next(seed) % 3;
                break;
        case 5:
                s->newline_enter = true;
                break;
        case 6:
                s->gone = !s->gone;
                break;
        case 7:
                s->busy = !s->busy;
                break;
        case 8:
                s->foreground = next(seed) % 4 == 0 && !*s->box && !*s->pending;
                break;
        case 9:
                s->echo_lag = next(seed) % 500 * MSEC;
                break;
        case 10:
                if (next(seed) % 4 == 0)
                        s->attached = next(seed) % 2;
                if (s->attached && !s->dialog && next(seed) % 4 == 0) {
                        insert(s, "h");
                        s->human_typed = true;
                }
                break;
        case 12:
                s->quoted = !s->quoted;
                break;
        case 11: /* somebody detached */
                s->unfocused = true;
                break;
        default:
                s->dead = s->dead || next(seed) % 50 == 0;
        }
}

static void whatever_happens(void **state) {
        unsigned counts[_DELIVERY_RESULT_MAX] = { 0 };

        (void)state;
        for (uint32_t i = 1; i <= 20000; i++) {
                uint32_t seed = i * 2654435761u | 1;
                DeliveryOptions o = options();
                Sim s = sim();
                Delivery d;

                o.submit_delay_usec = next(&seed) % 3 * 100 * MSEC;
                delivery_init(&d, &o);
                run(&s, &d, misfortune, misfortune, &seed);
                counts[d.result]++;
                if (s.n_pastes > 1 || s.n_approved > 0 || s.n_submitted > (s.human_typed ? 2 : 1))
                        fail_msg("seed %u: %u pastes, %u approved, %u submitted", i, s.n_pastes,
                                        s.n_approved, s.n_submitted);
                switch (d.result) {
                case DELIVERY_SUBMITTED:
                case DELIVERY_QUEUED:
                        /* The new line is what a lost key left at its end. */
                        if (!s.human_typed && !s.foreground &&
                                        (s.n_submitted != 1 ||
                                                        strncmp(s.submitted, message,
                                                                        strlen(message)) != 0))
                                fail_msg("seed %u: submitted '%s'", i, s.submitted);
                        break;
                case DELIVERY_BLOCKED:
                case DELIVERY_NOT_READY:
                case DELIVERY_NOT_DELIVERED:
                        assert_int_equal(s.n_pastes, 0);
                        break;
                case DELIVERY_UNCERTAIN:
                        assert_int_equal(s.n_pastes, 1);
                        break;
                case DELIVERY_NONE:
                case DELIVERY_TYPED:
                case _DELIVERY_RESULT_MAX:
                        fail_msg("seed %u: ended as %s", i, delivery_result_to_string(d.result));
                }
        }
        /* The simulation reaches them all. */
        assert_true(counts[DELIVERY_SUBMITTED] > 100);
        assert_true(counts[DELIVERY_QUEUED] > 100);
        assert_true(counts[DELIVERY_BLOCKED] > 10);
        assert_true(counts[DELIVERY_NOT_DELIVERED] > 10);
        assert_true(counts[DELIVERY_UNCERTAIN] > 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain),
                cmocka_unit_test(ends),
                cmocka_unit_test(dialogs_in_between),
                cmocka_unit_test(waiting_signs),
                cmocka_unit_test(no_answer),
                cmocka_unit_test(given_up),
                cmocka_unit_test(whatever_happens),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
