/* SPDX-License-Identifier: MIT */

/*
 * Screens judged, and a message delivered by what was judged. The input is a runtime's patterns,
 * then a series of looks, each with what became of the deed. Whatever the screen shows: the text is
 * pasted once and only into an empty input box, and the key is never pressed into a dialog.
 */

#include "model/base/parse.h"
#include "model/talk.h"
#include "reconciler/agent/delivery.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

#define TEXT "hello" /* what is delivered */

/* --- the judgement ---------------------------------------------------------------------------- */

static bool is_within(const char *part, size_t n, const char *whole) {
        return whole && part >= whole && part + n <= whole + strlen(whole);
}

static void check_verdict(const Signs *signs, const ScreenFacts *f, const ScreenVerdict *v) {
        ScreenVerdict again;
        SignProbe probes[SIGN_PROBES];

        assert(v->state < _SCREEN_STATE_MAX && v->sign < _SCREEN_SIGN_MAX);
        assert(screen_state_to_string(v->state) && screen_sign_to_string(v->sign));
        if (v->text)
                assert(is_within(v->text, v->length, f->screen->text) ||
                                is_within(v->text, v->length, f->screen->title) || v->length == 0);
        /* An empty input box means that no dialog has the keys; a draft that it is not empty. */
        assert(v->state != SCREEN_WAITING || !v->composer_empty);
        assert(!v->unfocused || !v->composer_empty);
        assert(v->state != SCREEN_DRAFT || !v->composer_empty);
        assert(v->state != SCREEN_IDLE || !v->busy);
        assert(signs_judge(signs, f, &again) == 0);
        assert(memcmp(&again, v, sizeof(again)) == 0 || again.state == v->state);
        if (v->sign == SIGN_ERROR) {
                assert(v->state == SCREEN_UNKNOWN && !v->composer_empty);
                return;
        }
        /* The same patterns, one by one. */
        assert(signs_probe(signs, f->screen, probes) == 0);
        for (size_t i = 0; i < SIGN_PROBES; i++) {
                if (strncmp(probes[i].name, "waiting", 7) == 0 && probes[i].found > 0)
                        assert(v->state == SCREEN_WAITING || v->composer_empty || v->unfocused);
                if (strcmp(probes[i].name, "composer") == 0 && v->composer_empty)
                        assert(probes[i].found > 0);
        }
}

/* --- the protocol ----------------------------------------------------------------------------- */

typedef struct Course {
        Delivery d;
        bool pasted; /* it may have been */
        unsigned presses;
} Course;

static void check_step(const Course *c, const DeliveryLook *look, DeliveryStep step) {
        const ScreenVerdict *v = look->verdict;

        switch (step) {
        case DELIVERY_PASTE:
                assert(!c->pasted && look->alive && look->seen && !look->screen->in_mode);
                assert(!look->other_foreground && !look->line_mode && v->composer_empty);
                assert(c->d.x == look->screen->cursor_x && c->d.y == look->screen->cursor_y);
                assert(!c->d.options.wait_idle || v->state == SCREEN_IDLE);
                break;
        case DELIVERY_FOCUS:
                assert(look->seen && look->alive && !look->screen->in_mode && v->unfocused);
                assert(c->d.x == look->screen->cursor_x && c->d.y == look->screen->cursor_y);
                break;
        case DELIVERY_PRESS:
                assert(c->pasted && look->alive && look->seen && !look->screen->in_mode);
                assert(!v->composer_empty && !v->unfocused && !look->other_foreground);
                /* Not into a dialog; a text that holds the words of one has to stand there. */
                assert(v->state != SCREEN_WAITING || strstr(look->screen->text, TEXT));
                assert(!c->d.options.no_submit);
                assert(c->d.x == look->screen->cursor_x && c->d.y == look->screen->cursor_y);
                break;
        case DELIVERY_LEAVE_MODE:
                assert(look->seen && look->screen->in_mode && look->screen->attached == 0);
                break;
        case DELIVERY_WAIT:
                assert(c->d.wait_usec > 0 && c->d.wait_usec <= USEC_PER_SEC);
                break;
        case DELIVERY_END:
                assert(c->d.result != DELIVERY_NONE && c->d.why);
                break;
        }
}

static void check_end(const Course *c) {
        bool typed = c->d.result == DELIVERY_UNCERTAIN || c->d.result == DELIVERY_TYPED ||
                     c->d.result == DELIVERY_SUBMITTED || c->d.result == DELIVERY_QUEUED;

        assert(typed == c->pasted);
        if (c->d.result == DELIVERY_SUBMITTED || c->d.result == DELIVERY_QUEUED)
                assert(c->presses > 0);
        if (c->d.result == DELIVERY_TYPED)
                assert(c->presses == 0 && c->d.options.no_submit);
}

static void reply(Course *c, Input *in, DeliveryStep step, uint64_t now) {
        DeliveryReply r = (DeliveryReply)input_choose(in, 4);

        if (step == DELIVERY_PASTE && (r == REPLY_DONE || r == REPLY_UNKNOWN))
                c->pasted = true;
        if (step == DELIVERY_PRESS && (r == REPLY_DONE || r == REPLY_UNKNOWN))
                c->presses++;
        delivery_reply(&c->d, r, now);
}

/* One look at a screen that the input draws. */
static void look(Course *c, Input *in, const Signs *signs, uint64_t now) {
        unsigned flags = input_byte(in), more = input_byte(in);
        Screen screen = { .width = 40, .height = 10 };
        DeliveryLook l = { .now_usec = now, .screen = &screen };
        ScreenFacts facts = { .screen = &screen, .now_usec = now };
        ScreenVerdict verdict;
        DeliveryStep step;

        screen.cursor_x = input_choose(in, 41);
        screen.cursor_y = input_choose(in, 11);
        screen.in_mode = (flags & 7) == 7;
        screen.attached = flags >> 3 & 1;
        screen.activity_usec = flags & 0x10 ? now : 0;
        l.seen = (more & 7) != 7;
        l.alive = (more & 0x38) != 0x38;
        l.other_foreground = facts.other_foreground = (more & 0xc0) == 0xc0;
        l.line_mode = (flags & 0xe0) == 0xe0;
        l.young = flags & 0x20;
        facts.started_usec = l.young ? now : 0;
        screen.title = input_text(in, 30);
        screen.text = input_text(in, 400);
        assert(signs_judge(signs, &facts, &verdict) == 0);
        check_verdict(signs, &facts, &verdict);
        l.verdict = &verdict;
        step = delivery_look(&c->d, &l);
        check_step(c, &l, step);
        if (c->d.phase != PHASE_END)
                reply(c, in, step, now);
        screen_done(&screen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        Course c = { .pasted = false };
        DeliveryOptions options = { .now_usec = 1000 * USEC_PER_SEC };
        RuntimeTalk talk = { .ready_timeout_usec = USEC_PER_SEC };
        _cleanup_(signs_freep) Signs *signs = NULL;
        unsigned flags = input_byte(&in);
        uint64_t now = options.now_usec;

        options.text = TEXT;
        options.size = sizeof(TEXT) - 1;
        options.wait_idle = flags & 1;
        options.no_submit = (flags & 6) == 6;
        options.timeout_usec = (flags >> 4) * USEC_PER_SEC;
        if (flags & 8) {
                talk.composer_pattern = strdup("\\n> $");
                talk.waiting_pattern = strdup("Allow\\?|\\[y/n\\]");
                talk.busy_pattern = strdup("esc to interrupt");
                talk.waiting_title = strdup("needs you");
                talk.composer_unfocused = strdup("^> Type here");
        } else {
                talk.composer_pattern = input_text(&in, 40);
                talk.composer_rest = input_text(&in, 40);
                talk.waiting_pattern = input_text(&in, 40);
                talk.busy_pattern = input_text(&in, 40);
        }
        assert(signs_new(&talk, &signs) == 0);
        delivery_init(&c.d, &options);
        for (unsigned i = 0; i < 64 && in.at < in.n && c.d.phase != PHASE_END; i++) {
                look(&c, &in, signs, now);
                now += (uint64_t)input_byte(&in) * 100 * USEC_PER_MSEC;
        }
        if (c.d.phase != PHASE_END)
                delivery_give_up(&c.d, "the input is over", now);
        assert(c.d.phase == PHASE_END);
        check_end(&c);
        runtime_talk_done(&talk);
        return 0;
}
