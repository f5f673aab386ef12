/* SPDX-License-Identifier: MIT */
#include "reconciler/agent/signs.h"

#include <string.h>

#include "model/base/parse.h"
#include "schema/pattern.h"

/* An agent at work moves: all five that we know draw a spinner. tmux counts whole seconds. */
#define ACTIVE_USEC (2 * USEC_PER_SEC)
/* A busy sign further up than this many lines from the bottom, on a screen that does not move, is a
 * quotation; so is an input box without a cursor. */
#define NEAR_LINES 10
#define STILL_USEC (4 * USEC_PER_SEC)
/* What lies further ahead than this was before the clock was set back. */
#define AHEAD_USEC (60 * USEC_PER_SEC)
/* How far up a draft of several lines may begin. */
#define DRAFT_LINES 20
/* And how far right; a prompt on the cursor's own line may be longer. */
#define HOME_MAX 16

typedef enum Which {
        WHICH_READY,
        WHICH_COMPOSER,
        WHICH_REST,
        WHICH_UNFOCUSED,
        WHICH_BUSY,
        WHICH_BUSY_TITLE,
        WHICH_WAITING,
        WHICH_WAITING_TITLE,
        _WHICH_MAX,
} Which;

_Static_assert(_WHICH_MAX == SIGN_PROBES, "one probe each");

struct Signs {
        const RuntimeTalk *talk;
        const char *text[_WHICH_MAX]; /* borrowed; NULL: there is none */
        Pattern *pattern[_WHICH_MAX]; /* NULL also if it does not compile */
};

const char *screen_state_to_string(ScreenState s) {
        static const char *const names[] = {
                [SCREEN_UNKNOWN] = "unknown",
                [SCREEN_STARTING] = "starting",
                [SCREEN_IDLE] = "idle",
                [SCREEN_BUSY] = "busy",
                [SCREEN_WAITING] = "waiting",
                [SCREEN_DRAFT] = "draft",
        };
        _Static_assert(ELEMENTSOF(names) == _SCREEN_STATE_MAX, "a name for each");

        return s < _SCREEN_STATE_MAX ? names[s] : NULL;
}

const char *screen_sign_to_string(ScreenSign s) {
        static const char *const names[] = {
                [SIGN_NONE] = "none",
                [SIGN_WAITING] = "waiting",
                [SIGN_WAITING_TITLE] = "waiting-title",
                [SIGN_BUSY] = "busy",
                [SIGN_BUSY_TITLE] = "busy-title",
                [SIGN_FOREGROUND] = "foreground",
                [SIGN_ACTIVITY] = "activity",
                [SIGN_COMPOSER] = "composer",
                [SIGN_UNFOCUSED] = "unfocused",
                [SIGN_READY] = "ready",
                [SIGN_AGE] = "age",
                [SIGN_ERROR] = "error",
        };
        _Static_assert(ELEMENTSOF(names) == _SCREEN_SIGN_MAX, "a name for each");

        return s < _SCREEN_SIGN_MAX ? names[s] : NULL;
}

Signs *signs_free(Signs *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < _WHICH_MAX; i++)
                pattern_free(s->pattern[i]);
        free(s);
        return NULL;
}

int signs_new(const RuntimeTalk *talk, Signs **ret) {
        _cleanup_(signs_freep) Signs *s = calloc(1, sizeof(Signs));

        if (!s)
                return -ENOMEM;
        s->talk = talk;
        s->text[WHICH_READY] = talk->ready_pattern;
        s->text[WHICH_COMPOSER] = talk->composer_pattern;
        s->text[WHICH_REST] = talk->composer_rest;
        s->text[WHICH_UNFOCUSED] = talk->composer_unfocused;
        s->text[WHICH_BUSY] = talk->busy_pattern;
        s->text[WHICH_BUSY_TITLE] = talk->busy_title;
        s->text[WHICH_WAITING] = talk->waiting_pattern;
        s->text[WHICH_WAITING_TITLE] = talk->waiting_title;
        for (size_t i = 0; i < _WHICH_MAX; i++) {
                int r = s->text[i] ? pattern_new(s->text[i], strlen(s->text[i]), PATTERN_PERL, NULL,
                                                     NULL, s->pattern + i)
                                   : 0;

                if (r == -ENOMEM)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

const RuntimeTalk *signs_talk(const AgentSpec *spec, const ObservedRun *run) {
        static const RuntimeTalk nothing;

        if (!run)
                return spec ? &spec->talk : &nothing;
        return spec && spec->runtime && run->runtime && strcmp(spec->runtime, run->runtime) == 0
                               ? &spec->talk
                               : &run->talk;
}

/* --- single patterns -------------------------------------------------------------------------- */

/* 1 found, 0 not (or there is no such pattern), negative errno. */
static int search(const Signs *s, Which which, const char *text, size_t length) {
        if (!s->text[which])
                return 0;
        return s->pattern[which] ? pattern_search(s->pattern[which], text, length) : -EINVAL;
}

static int search_title(const Signs *s, Which which, const Screen *screen) {
        const char *title = screen->title ? screen->title : "";

        return search(s, which, title, strlen(title));
}

static unsigned count_lines(const Screen *screen) {
        unsigned n = 0;

        for (const char *p = screen->text; p && (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

/* The lowest line that matches; *ret_above: lines with text below it. */
static int search_lines(const Signs *s,
                Which which,
                const Screen *screen,
                ScreenVerdict *ret,
                unsigned *ret_above) {
        unsigned above = 0;

        if (!s->text[which])
                return 0;
        for (unsigned y = count_lines(screen); y-- > 0;) {
                size_t length;
                const char *line = screen_line_trimmed(screen, y, &length);
                int r = search(s, which, line, length);

                if (r < 0)
                        return r;
                if (r > 0) {
                        ret->text = line;
                        ret->length = length;
                        ret->line = y + 1;
                        *ret_above = above;
                        return 1;
                }
                above += length > 0;
        }
        return 0;
}

/* Is the input box empty, if the cursor were at @x, @y? */
static int composer_at(const Signs *s, const Screen *screen, unsigned x, unsigned y) {
        _cleanup_free_ char *before = NULL;
        int r;

        r = screen_before(screen, x, y, &before);
        return r < 0 ? r : search(s, WHICH_COMPOSER, before, strlen(before));
}

static int rest_at(const Signs *s, const Screen *screen, unsigned x, unsigned y) {
        _cleanup_free_ char *after = NULL;
        int r;

        if (!s->text[WHICH_REST])
                return 1;
        r = screen_after(screen, x, y, &after);
        return r < 0 ? r : search(s, WHICH_REST, after, strlen(after));
}

/* Text in the input box: the box would be empty if the cursor stood further left, or further up and
 * left. */
static int find_draft(const Signs *s, const Screen *screen, ScreenVerdict *ret) {
        for (unsigned up = 0; up <= screen->cursor_y && up < DRAFT_LINES; up++) {
                unsigned y = screen->cursor_y - up, missing;
                size_t length;
                const char *line = screen_line_trimmed(screen, y, &length);
                unsigned end = up == 0 ? screen->cursor_x + 1 : screen->width;

                for (unsigned x = 0; x < end && (up == 0 || x <= HOME_MAX); x++) {
                        size_t begin = screen_bytes(line, length, x, &missing);
                        int r;

                        /* Further up there must be text; on the cursor's line blanks will do. */
                        if (missing > 0 || (up > 0 && begin == length))
                                break;
                        r = composer_at(s, screen, x, y);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                continue;
                        ret->text = line + begin;
                        ret->length = length - begin;
                        ret->line = y + 1;
                        return 1;
                }
        }
        return 0;
}

/* All times are of the wall clock. Since it was set back nothing has happened: for how long nobody
 * knows, and waiting until it is there again would be for ever. */
static uint64_t since(uint64_t now, uint64_t then) {
        if (then > now + AHEAD_USEC)
                return USEC_INFINITY;
        return now > then ? now - then : 0;
}

static uint64_t quiet(const ScreenFacts *f) {
        return since(f->now_usec, f->screen->activity_usec);
}

bool signs_young(const Signs *s, const ScreenFacts *f) {
        return since(f->now_usec, f->started_usec) < s->talk->ready_timeout_usec;
}

/* --- the judgement ---------------------------------------------------------------------------- */

static int decide(ScreenVerdict *v, ScreenState state, ScreenSign sign) {
        v->state = state;
        v->sign = sign;
        return 1;
}

static int decide_title(
                ScreenVerdict *v, ScreenState state, ScreenSign sign, const Screen *screen) {
        v->text = screen->title;
        v->length = screen->title ? strlen(screen->title) : 0;
        v->line = 0;
        return decide(v, state, sign);
}

static void forget_text(ScreenVerdict *v) {
        v->text = NULL;
        v->length = 0;
        v->line = 0;
}

/* 1 decided, 0 not, negative errno; so do the next ones. */
static int judge_waiting(const Signs *s, const Screen *screen, ScreenVerdict *v) {
        unsigned above;
        int r;

        if (v->composer_empty)
                return 0;
        r = search_lines(s, WHICH_WAITING, screen, v, &above);
        if (r != 0)
                return r < 0 ? r : decide(v, SCREEN_WAITING, SIGN_WAITING);
        r = search_title(s, WHICH_WAITING_TITLE, screen);
        return r <= 0 ? r : decide_title(v, SCREEN_WAITING, SIGN_WAITING_TITLE, screen);
}

static int judge_busy(const Signs *s, const ScreenFacts *f, ScreenVerdict *v) {
        unsigned above;
        int r;

        r = search_title(s, WHICH_BUSY_TITLE, f->screen);
        if (r != 0)
                return r < 0 ? r : decide_title(v, SCREEN_BUSY, SIGN_BUSY_TITLE, f->screen);
        r = search_lines(s, WHICH_BUSY, f->screen, v, &above);
        if (r < 0)
                return r;
        if (r > 0 && (above < NEAR_LINES || quiet(f) < STILL_USEC))
                return decide(v, SCREEN_BUSY, SIGN_BUSY);
        forget_text(v);
        return f->other_foreground ? decide(v, SCREEN_BUSY, SIGN_FOREGROUND) : 0;
}

static int judge_rest(const Signs *s, const ScreenFacts *f, ScreenVerdict *v) {
        bool young = signs_young(s, f), draft, ready;
        ScreenVerdict found = { 0 };
        unsigned above;
        int r;

        r = v->composer_empty || v->unfocused || !s->text[WHICH_COMPOSER]
                            ? 0
                            : find_draft(s, f->screen, &found);
        if (r < 0)
                return r;
        draft = r > 0;
        r = s->text[WHICH_COMPOSER] ? 0 : search_lines(s, WHICH_READY, f->screen, &found, &above);
        if (r < 0)
                return r;
        ready = r > 0;
        if (young && !v->composer_empty && !v->unfocused && !draft && !ready)
                return decide(v, SCREEN_STARTING, SIGN_AGE);
        if (draft) {
                v->text = found.text;
                v->length = found.length;
                v->line = found.line;
                return decide(v, SCREEN_DRAFT, SIGN_COMPOSER);
        }
        if (quiet(f) < ACTIVE_USEC)
                return decide(v, SCREEN_BUSY, SIGN_ACTIVITY);
        if (v->composer_empty) {
                v->text = screen_line_trimmed(f->screen, f->screen->cursor_y, &v->length);
                v->line = f->screen->cursor_y + 1;
                return decide(v, SCREEN_IDLE, SIGN_COMPOSER);
        }
        if (v->unfocused) {
                r = search_lines(s, WHICH_UNFOCUSED, f->screen, v, &above);
                return r < 0 ? r : decide(v, SCREEN_IDLE, SIGN_UNFOCUSED);
        }
        v->text = found.text;
        v->length = found.length;
        v->line = found.line;
        return ready ? decide(v, SCREEN_IDLE, SIGN_READY) : decide(v, SCREEN_UNKNOWN, SIGN_NONE);
}

static int judge(const Signs *s, const ScreenFacts *f, ScreenVerdict *v) {
        ScreenVerdict busy = { 0 }, box = { 0 };
        unsigned above;
        int r;

        r = composer_at(s, f->screen, f->screen->cursor_x, f->screen->cursor_y);
        if (r > 0)
                r = rest_at(s, f->screen, f->screen->cursor_x, f->screen->cursor_y);
        if (r < 0)
                return r;
        v->composer_empty = r > 0;
        r = v->composer_empty ? 0 : search_lines(s, WHICH_UNFOCUSED, f->screen, &box, &above);
        if (r < 0)
                return r;
        v->unfocused = r > 0 && above < NEAR_LINES;
        r = judge_busy(s, f, &busy);
        if (r < 0)
                return r;
        v->busy = r > 0;
        r = judge_waiting(s, f->screen, v);
        if (r != 0)
                return r;
        if (v->busy) {
                busy.composer_empty = v->composer_empty;
                busy.unfocused = v->unfocused;
                busy.busy = true;
                *v = busy;
                return 1;
        }
        return judge_rest(s, f, v);
}

int signs_judge(const Signs *s, const ScreenFacts *facts, ScreenVerdict *ret) {
        ScreenVerdict v = { 0 };
        int r;

        r = judge(s, facts, &v);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                v = (ScreenVerdict){ 0 };
                (void)decide(&v, SCREEN_UNKNOWN, SIGN_ERROR);
        }
        *ret = v;
        return 0;
}

/* --- probing ---------------------------------------------------------------------------------- */

int signs_probe(const Signs *s, const Screen *screen, SignProbe ret[static SIGN_PROBES]) {
        static const char *const names[_WHICH_MAX] = {
                [WHICH_READY] = "ready",
                [WHICH_COMPOSER] = "composer",
                [WHICH_REST] = "composer rest",
                [WHICH_UNFOCUSED] = "composer unfocused",
                [WHICH_BUSY] = "busy",
                [WHICH_BUSY_TITLE] = "busy title",
                [WHICH_WAITING] = "waiting",
                [WHICH_WAITING_TITLE] = "waiting title",
        };

        for (Which i = 0; i < _WHICH_MAX; i++) {
                SignProbe p = { .name = names[i], .pattern = s->text[i] };
                ScreenVerdict found = { 0 };
                unsigned above;

                switch (i) {
                case WHICH_COMPOSER:
                        p.found = composer_at(s, screen, screen->cursor_x, screen->cursor_y);
                        break;
                case WHICH_REST:
                        p.found = !p.pattern ? 0
                                             : rest_at(s, screen, screen->cursor_x,
                                                               screen->cursor_y);
                        break;
                case WHICH_BUSY_TITLE:
                case WHICH_WAITING_TITLE:
                        p.found = search_title(s, i, screen);
                        found.text = screen->title;
                        found.length = screen->title ? strlen(screen->title) : 0;
                        break;
                case WHICH_UNFOCUSED:
                case WHICH_READY:
                case WHICH_BUSY:
                case WHICH_WAITING:
                        p.found = search_lines(s, i, screen, &found, &above);
                        break;
                case _WHICH_MAX:
                        break;
                }
                if (p.found == -ENOMEM)
                        return p.found;
                if (p.found > 0 && (i == WHICH_COMPOSER || i == WHICH_REST)) {
                        found.text = screen_line_trimmed(screen, screen->cursor_y, &found.length);
                        found.line = screen->cursor_y + 1;
                }
                if (p.found > 0) {
                        p.line = found.line;
                        p.text = found.text;
                        p.length = found.length;
                }
                ret[i] = p;
        }
        return 0;
}
