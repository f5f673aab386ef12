/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/parse.h"
#include "reconciler/agent/signs.h"

#define RULE "────────────\n"
#define NOW (1000 * USEC_PER_SEC)
#define LONG_AGO (900 * USEC_PER_SEC)

static char text_ready[] = "^> ready", text_composer_pi[] = "─{8,}[^\\n]*\\n$",
            text_rest_pi[] = "^\\n─{8,}", text_composer_claude[] = "\\n❯[ \\x{a0}]$",
            text_busy[] = "esc to interrupt", text_title[] = "^[⠁-⣿]",
            text_composer_gemini[] = "\\n > $", text_rest_gemini[] = "^ +Type your",
            text_unfocused[] = "^ > +Type your", text_waiting[] = "Do you want to",
            text_prompt[] = "[$#] $", text_faulty[] = "(";

static const RuntimeTalk talk_pi = {
        .composer_pattern = text_composer_pi,
        .composer_rest = text_rest_pi,
        .ready_timeout_usec = 20 * USEC_PER_SEC,
};
static const RuntimeTalk talk_claude = {
        .composer_pattern = text_composer_claude,
        .busy_pattern = text_busy,
        .busy_title = text_title,
        .waiting_pattern = text_waiting,
        .ready_timeout_usec = 20 * USEC_PER_SEC,
};
static const RuntimeTalk talk_gemini = {
        .composer_pattern = text_composer_gemini,
        .composer_rest = text_rest_gemini,
        .composer_unfocused = text_unfocused,
        .busy_pattern = text_busy,
        .waiting_pattern = text_waiting,
        .ready_timeout_usec = 40 * USEC_PER_SEC,
};
static const RuntimeTalk talk_shell = {
        .composer_pattern = text_prompt,
        .ready_timeout_usec = 10 * USEC_PER_SEC,
};
static const RuntimeTalk talk_ready = { .ready_pattern = text_ready };
static const RuntimeTalk talk_none = { 0 };
static const RuntimeTalk talk_faulty = { .busy_pattern = text_faulty };

typedef struct Case {
        const char *what;
        const RuntimeTalk *talk;
        const char *text;
        unsigned x, y;
        ScreenState state;
        ScreenSign sign;
        const char *evidence; /* NULL: none */
        unsigned line;
        bool composer_empty;
        const char *title;
        uint64_t quiet_sec; /* 0: long */
        uint64_t age_sec;   /* 0: long */
        uint64_t back_sec;  /* and after all that the clock was set back by so much */
        bool foreground, unfocused;
} Case;

static const Case cases[] = {
        { "pi, empty", &talk_pi, "hi\n" RULE "\n" RULE, 0, 2, SCREEN_IDLE, SIGN_COMPOSER, "", 3,
                        true },
        { "pi, draft", &talk_pi, "hi\n" RULE "a draft\n" RULE, 7, 2, SCREEN_DRAFT, SIGN_COMPOSER,
                        "a draft", 3, false },
        { "pi, the cursor at the begin of a draft", &talk_pi, RULE "a draft\n" RULE, 0, 1,
                        SCREEN_DRAFT, SIGN_COMPOSER, "a draft", 2, false },
        { "pi, two lines, the cursor at the begin", &talk_pi, RULE "\nsecond\n" RULE, 0, 1,
                        SCREEN_DRAFT, SIGN_COMPOSER, "", 2, false },
        { "pi, two lines", &talk_pi, RULE "first\nsecond\n" RULE, 6, 2, SCREEN_DRAFT, SIGN_COMPOSER,
                        "first", 2, false },
        { "pi, somebody types now", &talk_pi, RULE "a dra\n" RULE, 5, 1, SCREEN_DRAFT,
                        SIGN_COMPOSER, "a dra", 2, false, .quiet_sec = 1 },
        { "pi, just written to", &talk_pi, RULE "\n" RULE, 0, 1, SCREEN_BUSY, SIGN_ACTIVITY, NULL,
                        0, true, .quiet_sec = 1 },
        { "pi, no composer yet", &talk_pi, "\n\n", 0, 0, SCREEN_STARTING, SIGN_AGE, NULL, 0, false,
                        .age_sec = 2, .quiet_sec = 1 },
        { "pi, written to, then the clock was set back", &talk_pi, RULE "\n" RULE, 0, 1,
                        SCREEN_IDLE, SIGN_COMPOSER, "", 2, true, .quiet_sec = 1, .back_sec = 600 },
        { "pi, the clock was set back a little", &talk_pi, RULE "\n" RULE, 0, 1, SCREEN_BUSY,
                        SIGN_ACTIVITY, NULL, 0, true, .quiet_sec = 1, .back_sec = 5 },
        { "pi, started, then the clock was set back", &talk_pi, "oops\n\n", 0, 1, SCREEN_UNKNOWN,
                        SIGN_NONE, NULL, 0, false, .age_sec = 2, .back_sec = 600 },
        { "pi, no composer for long", &talk_pi, "oops\n\n", 0, 1, SCREEN_UNKNOWN, SIGN_NONE, NULL,
                        0, false },
        { "claude, empty", &talk_claude, RULE "❯ \n" RULE, 2, 1, SCREEN_IDLE, SIGN_COMPOSER, "❯", 2,
                        true },
        { "claude, blanks that tmux never wrote", &talk_claude, RULE "❯\n" RULE, 2, 1, SCREEN_IDLE,
                        SIGN_COMPOSER, "❯", 2, true },
        { "claude, a suggestion behind the cursor", &talk_claude, RULE "❯ Try \"fix it\"\n", 2, 1,
                        SCREEN_IDLE, SIGN_COMPOSER, "❯ Try \"fix it\"", 2, true },
        { "claude, draft of wide characters", &talk_claude, RULE "❯ 漢字\n", 6, 1, SCREEN_DRAFT,
                        SIGN_COMPOSER, "漢字", 2, false },
        { "claude, busy by its line", &talk_claude, "* Thinking (esc to interrupt)\n" RULE "❯ \n",
                        2, 2, SCREEN_BUSY, SIGN_BUSY, "* Thinking (esc to interrupt)", 1, true },
        { "claude, busy by its title", &talk_claude, RULE "❯ \n", 2, 1, SCREEN_BUSY,
                        SIGN_BUSY_TITLE, "⠂ work", 0, true, .title = "⠂ work" },
        { "claude, dialog", &talk_claude, "Do you want to proceed?\n ❯ 1. Yes\n", 3, 1,
                        SCREEN_WAITING, SIGN_WAITING, "Do you want to proceed?", 1, false },
        { "claude, dialog while busy", &talk_claude,
                        "esc to interrupt\nDo you want to proceed?\n ❯ 1. Yes\n", 3, 2,
                        SCREEN_WAITING, SIGN_WAITING, "Do you want to proceed?", 2, false },
        { "claude, a question in the transcript", &talk_claude, "Do you want to go?\n" RULE "❯ \n",
                        2, 2, SCREEN_IDLE, SIGN_COMPOSER, "❯", 3, true },
        { "a quotation far up", &talk_claude,
                        "esc to interrupt\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" RULE "❯ \n", 2, 11,
                        SCREEN_IDLE, SIGN_COMPOSER, "❯", 12, true },
        { "the same line on a screen that moves", &talk_claude,
                        "esc to interrupt\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" RULE "❯ \n", 2, 11,
                        SCREEN_BUSY, SIGN_BUSY, "esc to interrupt", 1, true, .quiet_sec = 3 },
        { "gemini, empty", &talk_gemini, "\n >   Type your message\n\n~\n", 3, 1, SCREEN_IDLE,
                        SIGN_COMPOSER, " >   Type your message", 2, true },
        { "gemini, the cursor below its box", &talk_gemini, "\n >   Type your message\n\n~\n", 0, 4,
                        SCREEN_IDLE, SIGN_UNFOCUSED, " >   Type your message", 2, false,
                        .age_sec = 2, .unfocused = true },
        { "gemini, so and busy", &talk_gemini, "esc to interrupt\n >   Type your message\n\n~\n", 0,
                        4, SCREEN_BUSY, SIGN_BUSY, "esc to interrupt", 1, false,
                        .unfocused = true },
        { "gemini, so and just written to", &talk_gemini, "\n >   Type your message\n\n~\n", 0, 4,
                        SCREEN_BUSY, SIGN_ACTIVITY, NULL, 0, false, .quiet_sec = 1,
                        .unfocused = true },
        { "gemini, so and a dialog", &talk_gemini, "\n >   Type your message\nDo you want to go?\n",
                        0, 3, SCREEN_WAITING, SIGN_WAITING, "Do you want to go?", 3, false,
                        .unfocused = true },
        { "gemini, so with a draft", &talk_gemini, "\n > mine\n\n~\n", 0, 4, SCREEN_DRAFT,
                        SIGN_COMPOSER, "mine", 2, false },
        { "gemini, the cursor at the begin of a draft", &talk_gemini, "\n > mine\n\n~\n", 3, 1,
                        SCREEN_DRAFT, SIGN_COMPOSER, "mine", 2, false },
        { "gemini, a quotation far up", &talk_gemini,
                        " >   Type your message\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", 0, 11,
                        SCREEN_DRAFT, SIGN_COMPOSER, "  Type your message", 1, false },
        { "shell, prompt", &talk_shell, "ls\nana@host:~$ \n", 12, 1, SCREEN_IDLE, SIGN_COMPOSER,
                        "ana@host:~$", 2, true },
        { "shell, draft behind a long prompt", &talk_shell,
                        "ana@host:~/a/rather/long/path$ rm -rf\n", 37, 0, SCREEN_DRAFT,
                        SIGN_COMPOSER, "rm -rf", 1, false },
        { "shell, something runs", &talk_shell, "ana@host:~$ make\n", 0, 1, SCREEN_BUSY,
                        SIGN_FOREGROUND, NULL, 0, false, .foreground = true },
        { "only a ready pattern", &talk_ready, "> ready\n", 0, 1, SCREEN_IDLE, SIGN_READY,
                        "> ready", 1, false },
        { "no patterns", &talk_none, "text\n", 0, 1, SCREEN_UNKNOWN, SIGN_NONE, NULL, 0, false },
        { "no patterns, but it moves", &talk_none, "text\n", 0, 1, SCREEN_BUSY, SIGN_ACTIVITY, NULL,
                        0, false, .quiet_sec = 1 },
        { "a faulty pattern", &talk_faulty, "text\n", 0, 1, SCREEN_UNKNOWN, SIGN_ERROR, NULL, 0,
                        false },
        { "bytes that are no text", &talk_claude, "\xff\n", 0, 1, SCREEN_UNKNOWN, SIGN_ERROR, NULL,
                        0, false },
        { "an empty screen", &talk_claude, "", 0, 0, SCREEN_UNKNOWN, SIGN_NONE, NULL, 0, false },
};

static void check_evidence(const Case *c, const ScreenVerdict *v) {
        if (!c->evidence) {
                assert_null(v->text);
                return;
        }
        assert_non_null(v->text);
        assert_int_equal(v->length, strlen(c->evidence));
        assert_memory_equal(v->text, c->evidence, v->length);
}

static void judgements(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = cases + i;
                _cleanup_screen_ Screen screen = {
                        .text = strdup(c->text),
                        .title = strdup(c->title ? c->title : "host"),
                        .width = 80,
                        .height = 24,
                        .cursor_x = c->x,
                        .cursor_y = c->y,
                        .activity_usec = NOW - (c->quiet_sec ? c->quiet_sec : 500) * USEC_PER_SEC,
                };
                const ScreenFacts facts = {
                        .screen = &screen,
                        .now_usec = NOW - c->back_sec * USEC_PER_SEC,
                        .started_usec = NOW - (c->age_sec ? c->age_sec * USEC_PER_SEC : LONG_AGO),
                        .other_foreground = c->foreground,
                };
                _cleanup_(signs_freep) Signs *signs = NULL;
                ScreenVerdict v;

                assert_int_equal(signs_new(c->talk, &signs), 0);
                assert_int_equal(signs_judge(signs, &facts, &v), 0);
                if (v.state != c->state || v.sign != c->sign ||
                                v.composer_empty != c->composer_empty ||
                                v.unfocused != c->unfocused)
                        fail_msg("%s: %s by %s", c->what, screen_state_to_string(v.state),
                                        screen_sign_to_string(v.sign));
                assert_int_equal(v.line, c->line);
                check_evidence(c, &v);
        }
}

/* A pattern that was corrected in the roster counts for an agent that runs, but not one of another
 * runtime. */
static void whose_words(void **state) {
        char pi[] = "pi", claude[] = "claude";
        AgentSpec spec = { .runtime = pi };
        ObservedRun run = { .runtime = pi };

        (void)state;
        assert_ptr_equal(signs_talk(&spec, &run), &spec.talk);
        assert_ptr_equal(signs_talk(NULL, &run), &run.talk);
        assert_ptr_equal(signs_talk(&spec, NULL), &spec.talk);
        assert_non_null(signs_talk(NULL, NULL));
        spec.runtime = claude;
        assert_ptr_equal(signs_talk(&spec, &run), &run.talk);
        run.runtime = NULL;
        assert_ptr_equal(signs_talk(&spec, &run), &run.talk);
}

static void probes(void **state) {
        char text[] = "esc to interrupt\n" RULE "❯ \n", title[] = "idle";
        Screen screen = { .text = text, .title = title, .cursor_x = 2, .cursor_y = 2, .width = 80 };
        _cleanup_(signs_freep) Signs *signs = NULL;
        SignProbe p[SIGN_PROBES];

        (void)state;
        assert_int_equal(signs_new(&talk_claude, &signs), 0);
        assert_int_equal(signs_probe(signs, &screen, p), 0);
        for (size_t i = 0; i < SIGN_PROBES; i++) {
                bool busy = strcmp(p[i].name, "busy") == 0;
                bool composer = strcmp(p[i].name, "composer") == 0;

                assert_int_equal(p[i].found, busy || composer);
                assert_int_equal(p[i].line, busy ? 1 : composer ? 3 : 0);
        }
}

static void cells(void **state) {
        unsigned missing;

        (void)state;
        assert_int_equal(screen_bytes("abc", 3, 2, &missing), 2);
        assert_int_equal(missing, 0);
        assert_int_equal(screen_bytes("漢字", 6, 2, &missing), 3);
        assert_int_equal(screen_bytes("漢字", 6, 3, &missing), 3);
        assert_int_equal(screen_bytes("e\xcc\x81x", 4, 1, &missing), 3); /* with its accent */
        assert_int_equal(screen_bytes("ab", 2, 5, &missing), 2);
        assert_int_equal(missing, 3);
        assert_int_equal(screen_bytes("", 0, 0, &missing), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(judgements),
                cmocka_unit_test(whose_words),
                cmocka_unit_test(probes),
                cmocka_unit_test(cells),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
