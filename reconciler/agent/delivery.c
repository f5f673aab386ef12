/* SPDX-License-Identifier: MIT */
#include "reconciler/agent/delivery.h"

#include <string.h>

#include "model/base/parse.h"

#define POLL_FAST (20 * USEC_PER_MSEC)
#define POLL_READY (50 * USEC_PER_MSEC)
#define POLL_SLOW (250 * USEC_PER_MSEC)
#define YOUNG_USEC (500 * USEC_PER_MSEC)
#define FOCUS_USEC USEC_PER_SEC /* not more often is a program told that it has the focus */
#define PATIENCE_FAST (2 * USEC_PER_SEC) /* then it is looked at slowly */

/* How long the echo must stand still: 80 ms, and 1 ms for each KiB. */
#define SETTLE_USEC (80 * USEC_PER_MSEC)
/* So many bytes of a wrapped line tell our text. */
#define ENOUGH_TEXT 16
/* A runtime that gets a long text needs seconds to draw it. */
#define ECHO_USEC (15 * USEC_PER_SEC)
#define CONFIRM_USEC (20 * USEC_PER_SEC)

/* The key is pressed again after these times, each counted from the press before. */
static const uint64_t retries[] = {
        800 * USEC_PER_MSEC,
        1600 * USEC_PER_MSEC,
        3200 * USEC_PER_MSEC,
        6400 * USEC_PER_MSEC,
};

const char *delivery_result_to_string(DeliveryResult r) {
        static const char *const names[] = {
                [DELIVERY_NONE] = "none",
                [DELIVERY_SUBMITTED] = "submitted",
                [DELIVERY_QUEUED] = "queued",
                [DELIVERY_TYPED] = "typed",
                [DELIVERY_BLOCKED] = "blocked",
                [DELIVERY_NOT_READY] = "not-ready",
                [DELIVERY_NOT_DELIVERED] = "not-delivered",
                [DELIVERY_UNCERTAIN] = "uncertain",
        };
        _Static_assert(ELEMENTSOF(names) == _DELIVERY_RESULT_MAX, "a name for each");

        return r < _DELIVERY_RESULT_MAX ? names[r] : NULL;
}

void delivery_init(Delivery *d, const DeliveryOptions *options) {
        *d = (Delivery){ .options = *options };
}

static DeliveryStep end(Delivery *d, DeliveryResult result, const char *why, uint64_t now) {
        d->phase = PHASE_END;
        d->result = result;
        d->why = why;
        d->ended_usec = now;
        return DELIVERY_END;
}

static DeliveryStep wait_for(Delivery *d, uint64_t usec) {
        d->wait_usec = usec;
        return DELIVERY_WAIT;
}

static uint64_t settle_usec(const Delivery *d) {
        return SETTLE_USEC + d->options.size / 1024 * USEC_PER_MSEC;
}

/* What stands left of the cursor, and how far right the cursor is, as one number: it stays as it is
 * while the screen scrolls, and changes when somebody types. */
static uint64_t look_mark(const DeliveryLook *look) {
        uint64_t mark = UINT64_C(14695981039346656037) ^ look->screen->cursor_x;
        unsigned missing;
        size_t length, n;
        const char *line = screen_line(look->screen, look->screen->cursor_y, &length);

        n = screen_bytes(line, length, look->screen->cursor_x, &missing);
        for (size_t i = 0; i < n; i++)
                mark = (mark ^ (unsigned char)line[i]) * UINT64_C(1099511628211);
        return mark;
}

/* Somebody who reads the scrollback is not thrown out of it. */
static DeliveryStep leave_mode(Delivery *d, const DeliveryLook *look) {
        return look->screen->attached == 0 ? DELIVERY_LEAVE_MODE : wait_for(d, POLL_SLOW);
}

/* Only a cursor in the box proves that the box takes the keys. */
static DeliveryStep bring_cursor_back(Delivery *d, const DeliveryLook *look) {
        if (d->told_usec != 0 && look->now_usec - d->told_usec < FOCUS_USEC)
                return wait_for(d, POLL_FAST);
        d->told_usec = look->now_usec;
        d->x = look->screen->cursor_x;
        d->y = look->screen->cursor_y;
        return DELIVERY_FOCUS;
}

/* --- before anything is typed ----------------------------------------------------------------- */

static DeliveryStep give_up_ready(Delivery *d, const DeliveryLook *look) {
        if (!look->seen)
                return end(d, DELIVERY_NOT_READY, "its terminal could not be read", look->now_usec);
        if (look->screen->in_mode)
                return end(d, DELIVERY_NOT_READY, "somebody who is attached has it in copy mode",
                                look->now_usec);
        if (look->other_foreground)
                return end(d, DELIVERY_NOT_READY, "another program has its terminal",
                                look->now_usec);
        switch (look->verdict->state) {
        case SCREEN_WAITING:
                return end(d, DELIVERY_BLOCKED, "it waits for a person", look->now_usec);
        case SCREEN_DRAFT:
                return end(d, DELIVERY_BLOCKED, "somebody's text stands in its input box",
                                look->now_usec);
        case SCREEN_STARTING:
                return end(d, DELIVERY_NOT_READY, "it is still starting", look->now_usec);
        case SCREEN_BUSY:
                return end(d, DELIVERY_NOT_READY,
                                look->verdict->composer_empty
                                                ? "it is at work"
                                                : "it is at work and shows no empty input box",
                                look->now_usec);
        case SCREEN_IDLE:
        case SCREEN_UNKNOWN:
        case _SCREEN_STATE_MAX:
                break;
        }
        return end(d, DELIVERY_NOT_READY,
                        look->line_mode ? "it does not read its terminal key by key"
                        : look->verdict->unfocused
                                        ? "its cursor does not come back into its input box"
                                        : "it shows no empty input box",
                        look->now_usec);
}

/* May the text be pasted? What a young agent shows must last: some draw their box before they
 * read. */
static bool is_ready(Delivery *d, const DeliveryLook *look) {
        if (!look->seen || look->screen->in_mode || look->other_foreground || look->line_mode ||
                        !look->verdict->composer_empty) {
                d->empty = false;
                return false;
        }
        if (!d->empty) {
                d->empty = true;
                d->empty_usec = look->now_usec;
        }
        if (look->young && look->now_usec - d->empty_usec < YOUNG_USEC)
                return false;
        return !d->options.wait_idle || look->verdict->state == SCREEN_IDLE;
}

static DeliveryStep look_ready(Delivery *d, const DeliveryLook *look) {
        uint64_t waited = look->now_usec - d->options.now_usec;

        if (!look->alive)
                return end(d, DELIVERY_NOT_DELIVERED, "the agent ended", look->now_usec);
        if (is_ready(d, look)) {
                d->x = look->screen->cursor_x;
                d->y = look->screen->cursor_y;
                d->queued = look->verdict->busy;
                return DELIVERY_PASTE;
        }
        if (waited >= d->options.timeout_usec)
                return give_up_ready(d, look);
        if (look->seen && look->screen->in_mode)
                return leave_mode(d, look);
        if (look->seen && look->verdict->unfocused && !look->other_foreground && !look->line_mode)
                return bring_cursor_back(d, look);
        return wait_for(d, waited < PATIENCE_FAST ? POLL_READY : POLL_SLOW);
}

/* --- the text is on its way ------------------------------------------------------------------- */

static size_t without_blanks(const char *text, size_t size) {
        while (size > 0 && text[size - 1] == ' ')
                size--;
        return size;
}

static bool has_words(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z') ||
                                (text[i] >= 'a' && text[i] <= 'z'))
                        return true;
        return false;
}

/*
 * Does all of the text end at the cursor, or so much of it as no dialog shows by chance? Before
 * each line there may only be a margin or a prompt. A waiting sign is then a quotation: in the text
 * itself, or further up in the conversation.
 */
static bool is_behind_text(const Delivery *d, const DeliveryLook *look) {
        const char *text = d->options.text, *line;
        size_t size = d->options.size, length, n, found = 0;
        unsigned y = look->screen->cursor_y, missing;

        line = screen_line(look->screen, y, &length);
        n = without_blanks(line, screen_bytes(line, length, look->screen->cursor_x, &missing));
        /* A key that was taken for a new line left an empty one. */
        for (unsigned up = 0; n == 0 && up < d->presses && y > 0; up++)
                line = screen_line_trimmed(look->screen, --y, &n);
        for (;;) {
                size_t same = 0, whole = 0;

                size = without_blanks(text, size);
                while (whole < size && text[size - whole - 1] != '\n')
                        whole++;
                while (same < n && same < whole && line[n - same - 1] == text[size - same - 1])
                        same++;
                found += same;
                if (has_words(line, n - same) || (same < whole && found < ENOUGH_TEXT))
                        return false;
                if (found >= ENOUGH_TEXT || whole == size)
                        return found > 0;
                if (y == 0)
                        return false;
                size -= whole + 1;
                line = screen_line_trimmed(look->screen, --y, &n);
        }
}

/* A dialog: nothing may be pressed. */
static bool is_dialog(const Delivery *d, const DeliveryLook *look) {
        return look->verdict->state == SCREEN_WAITING && !is_behind_text(d, look);
}

/* Notes how the input box looks; whether that has not changed for long enough. */
static bool has_settled(Delivery *d, const DeliveryLook *look) {
        uint64_t mark = look_mark(look);

        if (!d->marked || mark != d->mark) {
                d->marked = true;
                d->mark = mark;
                d->mark_usec = look->now_usec;
        }
        return look->now_usec - d->mark_usec >= settle_usec(d);
}

static DeliveryStep press(Delivery *d, const DeliveryLook *look) {
        d->x = look->screen->cursor_x;
        d->y = look->screen->cursor_y;
        d->pressed_mark = d->mark;
        return DELIVERY_PRESS;
}

#define GONE "the text was gone before it was submitted"

static DeliveryStep look_echo(Delivery *d, const DeliveryLook *look) {
        bool late = look->now_usec - d->pasted_usec >= ECHO_USEC, settled;

        if (!look->alive)
                return end(d, DELIVERY_UNCERTAIN, "the agent ended while the text was typed",
                                look->now_usec);
        if (late)
                return end(d, DELIVERY_UNCERTAIN,
                                !look->seen ? "its terminal could not be read"
                                : is_dialog(d, look)
                                                ? "a dialog opened before the text was submitted; "
                                                  "it may still stand in the input box"
                                : !look->verdict->composer_empty && !look->verdict->unfocused
                                                ? "the input box does not come to rest"
                                : d->echoed ? GONE
                                            : "the text did not appear in the input box",
                                look->now_usec);
        if (!look->seen)
                return wait_for(d, POLL_FAST);
        if (look->screen->in_mode)
                return leave_mode(d, look);
        if (is_dialog(d, look) || look->other_foreground || look->line_mode) {
                d->marked = false;
                return wait_for(d, POLL_READY);
        }
        if (look->verdict->composer_empty || look->verdict->unfocused) {
                /* Somebody took it away. If nobody can have, the program drew its old box once
                 * more. */
                if (d->echoed && look->screen->attached > 0)
                        return end(d, DELIVERY_UNCERTAIN, GONE, look->now_usec);
                d->marked = false;
                return wait_for(d, POLL_FAST);
        }
        if (!d->marked)
                d->echoed_usec = look->now_usec;
        settled = has_settled(d, look);
        /* A look into the middle of a redraw shows no box either: it counts when seen twice. */
        d->echoed = d->echoed || d->mark_usec < look->now_usec;
        if (!settled)
                return wait_for(d, POLL_FAST);
        if (d->options.no_submit)
                return end(d, DELIVERY_TYPED, "as was asked for", look->now_usec);
        if (look->now_usec - d->mark_usec < d->options.submit_delay_usec)
                return wait_for(d, POLL_FAST);
        return press(d, look);
}

/* --- the key was pressed ---------------------------------------------------------------------- */

static DeliveryStep look_confirm(Delivery *d, const DeliveryLook *look) {
        uint64_t since = look->now_usec - d->pressed_usec;
        bool settled;

        if (look->seen && (look->verdict->composer_empty || look->other_foreground))
                return end(d, d->queued ? DELIVERY_QUEUED : DELIVERY_SUBMITTED,
                                look->verdict->composer_empty
                                                ? "the input box is empty again"
                                                : "a program that it started has the terminal",
                                look->now_usec);
        if (!look->alive)
                return end(d, DELIVERY_UNCERTAIN, "the agent ended while the text was submitted",
                                look->now_usec);
        if (since >= CONFIRM_USEC)
                return end(d, DELIVERY_UNCERTAIN,
                                look->seen && is_dialog(d, look)
                                                ? "a dialog is open, so whether the text was taken "
                                                  "cannot be seen"
                                                : "the input box did not become empty",
                                look->now_usec);
        if (!look->seen)
                return wait_for(d, POLL_FAST);
        if (look->screen->in_mode)
                return leave_mode(d, look);
        if (look->verdict->unfocused)
                return bring_cursor_back(d, look);
        if (is_dialog(d, look)) {
                d->marked = false;
                return wait_for(d, POLL_READY);
        }
        settled = has_settled(d, look);
        if (d->presses > ELEMENTSOF(retries) || since < retries[d->presses - 1] || !settled)
                return wait_for(d, POLL_FAST);
        /* It is pressed again while the box holds what it held; or, if the key made a new line of
         * it and nobody else can have typed, whatever it holds. */
        if (d->mark == d->pressed_mark || look->screen->attached == 0)
                return press(d, look);
        return wait_for(d, POLL_SLOW);
}

/* --- events ----------------------------------------------------------------------------------- */

static DeliveryStep decide(Delivery *d, const DeliveryLook *look) {
        switch (d->phase) {
        case PHASE_READY:
                return look_ready(d, look);
        case PHASE_ECHO:
                return look_echo(d, look);
        case PHASE_CONFIRM:
                return look_confirm(d, look);
        case PHASE_END:
                break;
        }
        return DELIVERY_END;
}

DeliveryStep delivery_look(Delivery *d, const DeliveryLook *look) {
        d->asked = decide(d, look);
        return d->asked;
}

static void reply_to_paste(Delivery *d, DeliveryReply reply, uint64_t now) {
        switch (reply) {
        case REPLY_MOVED:
                return; /* nothing was typed: look again */
        case REPLY_GONE:
                (void)end(d, DELIVERY_NOT_DELIVERED, "its terminal is gone", now);
                return;
        case REPLY_DONE:
        case REPLY_UNKNOWN: /* never a second time: if it was done it will be seen */
                d->phase = PHASE_ECHO;
                d->pasted_usec = now;
                return;
        }
}

static void reply_to_press(Delivery *d, DeliveryReply reply, uint64_t now) {
        switch (reply) {
        case REPLY_MOVED:
                /* What the box holds has to be looked at again. */
                d->marked = false;
                return;
        case REPLY_GONE:
                (void)end(d, DELIVERY_UNCERTAIN, "its terminal is gone, the text was not submitted",
                                now);
                return;
        case REPLY_DONE:
        case REPLY_UNKNOWN:
                d->phase = PHASE_CONFIRM;
                d->presses++;
                d->pressed_usec = now;
                return;
        }
}

void delivery_reply(Delivery *d, DeliveryReply reply, uint64_t now_usec) {
        switch (d->asked) {
        case DELIVERY_PASTE:
                reply_to_paste(d, reply, now_usec);
                break;
        case DELIVERY_PRESS:
                reply_to_press(d, reply, now_usec);
                break;
        case DELIVERY_LEAVE_MODE: /* the next look shows it */
        case DELIVERY_FOCUS:
        case DELIVERY_WAIT:
        case DELIVERY_END:
                break;
        }
        d->asked = DELIVERY_WAIT;
}

void delivery_give_up(Delivery *d, const char *why, uint64_t now_usec) {
        if (d->phase != PHASE_END)
                (void)end(d, d->phase == PHASE_READY ? DELIVERY_NOT_DELIVERED : DELIVERY_UNCERTAIN,
                                why, now_usec);
}
