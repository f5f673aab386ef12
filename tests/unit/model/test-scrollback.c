/* SPDX-License-Identifier: MIT */

/* Lines of panes: nothing of them acts on a terminal, and following reports each new line once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/strbuf.h"
#include "model/pane-line.h"
#include "model/scrollback.h"

/* --- one line --------------------------------------------------------------------------------- */

static const struct {
        const char *line;
        const char *plain;
        const char *styled; /* NULL: the same */
} lines[] = {
        { "", "", NULL },
        { "plain text", "plain text", NULL },
        { "blanks at the end   ", "blanks at the end", NULL },
        { "\033[31mred\033[39m plain", "red plain", "\033[31mred\033[0m plain" },
        { "\033[31mred", "red", "\033[31mred\033[0m" },
        { "\033[1;4;38;5;196mx\033[0m", "x", "\033[1m\033[4m\033[38;5;196mx\033[0m" },
        { "\033[38;2;1;2;3;7mx", "x", "\033[7m\033[38;2;1;2;3mx\033[0m" },
        { "\033[1m\033[22mx", "x", "x" },
        { "\033[44m  \033[0m", "", "\033[44m  \033[0m" },
        { "\033[31ma \033[0m  b", "a   b", "\033[31ma\033[0m   b" },
        /* What would move the cursor, name the window, ask the terminal, write the clipboard. */
        { "a\033[2J\033[Hb\033[6n", "ab", NULL },
        { "a\033]0;title\007b", "ab", NULL },
        { "a\033]52;c;cHduZWQ=\033\\b", "ab", NULL },
        { "a\033]8;;http://x/\033\\link\033]8;;\033\\", "alink", NULL },
        { "a\033Pq#0\033\\b\033_x\033\\c\033^y\033\\d", "abcd", NULL },
        { "a\033]0;never ends", "a", NULL },
        { "a\033(0b\033)Bc\033=d\033cE", "abcdE", NULL },
        { "a\033", "a", NULL },
        { "a\033[", "a", NULL },
        { "a\033[31", "a", NULL },
        { "a\033[?25hb", "ab", NULL },
        { "a\033[1\x01mb", "amb", NULL },
        { "a\rb\tc\bd\x7f"
          "e",
                        "abcde", NULL },
        { "a\xc2\x9b"
          "2Jb",
                        "a2Jb", NULL },
        { "a\x9b"
          "b\xff",
                        "a?b?", NULL },
        { "a\xe2\x80\xae"
          "b",
                        "ab", NULL },
        { "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad", "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad", NULL },
        { "\016lqk\017 lqk", "\xe2\x94\x8c\xe2\x94\x80\xe2\x94\x90 lqk", NULL },
};

static void test_lines(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_strbuf_ StrBuf plain = STRBUF_NULL, styled = STRBUF_NULL,
                                        alone = STRBUF_NULL;
                const char *line = lines[i].line;
                const char *expected = lines[i].styled ? lines[i].styled : lines[i].plain;
                PaneStyle style = PANE_STYLE_NULL, other = PANE_STYLE_NULL;

                pane_line_clean(line, strlen(line), &style, &plain, &styled);
                pane_line_clean(line, strlen(line), &other, &alone, NULL);
                if (strcmp(strbuf_text(&plain), lines[i].plain) != 0 ||
                                strcmp(strbuf_text(&alone), lines[i].plain) != 0)
                        fail_msg("line %zu: \"%s\" \"%s\"", i, strbuf_text(&plain),
                                        strbuf_text(&alone));
                if (strcmp(strbuf_text(&styled), expected) != 0)
                        fail_msg("line %zu with colours: \"%s\"", i, strbuf_text(&styled) + 1);
        }
}

/* Every byte after every other one: what comes out is printable UTF-8, or a colour of ours. */
static void test_no_byte_gets_through(void **state) {
        (void)state;
        for (unsigned a = 1; a < 256; a++)
                for (unsigned b = 1; b < 256; b++) {
                        const char line[] = { 'x', (char)a, (char)b, '[', '3', '1', 'm', 'y' };
                        _cleanup_strbuf_ StrBuf plain = STRBUF_NULL, styled = STRBUF_NULL;
                        PaneStyle style = PANE_STYLE_NULL;

                        pane_line_clean(line, sizeof(line), &style, &plain, &styled);
                        for (const char *p = strbuf_text(&plain); *p; p++)
                                assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
                        for (const char *p = strbuf_text(&styled); *p; p++)
                                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                                        assert_int_equal(strncmp(p, "\033[", 2), 0);
                }
}

/* A capture says a colour once for many lines; each of ours is complete. */
static void test_colours_carry_over(void **state) {
        static const char text[] = "\033[31mone\ntwo\033[39m\nthree\n\n\n";
        _cleanup_scrollback_ Scrollback s = SCROLLBACK_NULL;

        (void)state;
        assert_int_equal(scrollback_read(text, true, &s), 0);
        assert_int_equal(s.n_lines, 3);
        assert_string_equal(s.lines[0].styled, "\033[31mone\033[0m");
        assert_string_equal(s.lines[1].styled, "\033[31mtwo\033[0m");
        assert_string_equal(s.lines[1].plain, "two");
        assert_string_equal(s.lines[2].styled, "three");
}

/* --- following -------------------------------------------------------------------------------- */

static void collect(const ScrollbackLine *line, void *userdata) {
        StrBuf *b = userdata;

        strbuf_addf(b, "%s|", line->plain);
}

typedef struct Step {
        const char *screen; /* NULL: nothing changed */
        ssize_t moved;
        const char *reported;
        bool broken;
        bool unsure;
        size_t n_above;
} Step;

static void run_steps(const char *name, const char *first, const Step *steps) {
        _cleanup_scrollback_ Scrollback seen = SCROLLBACK_NULL;

        assert_int_equal(scrollback_read(first, false, &seen), 0);
        for (size_t i = 0; i < seen.n_lines; i++)
                seen.lines[i].reported = true;
        for (size_t i = 0; steps[i].reported; i++) {
                _cleanup_scrollback_ Scrollback now = SCROLLBACK_NULL;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                int r = 0;

                if (steps[i].screen) {
                        assert_int_equal(scrollback_read(steps[i].screen, false, &now), 0);
                        r = scrollback_follow(&seen, &now,
                                        &(const ScrollbackMove){ .moved = steps[i].moved,
                                                        .sure = !steps[i].unsure,
                                                        .n_above = steps[i].n_above },
                                        collect, &b);
                } else
                        scrollback_settle(&seen, collect, &b);
                if (strcmp(strbuf_text(&b), steps[i].reported) != 0)
                        fail_msg("%s, step %zu: \"%s\", expected \"%s\"", name, i, strbuf_text(&b),
                                        steps[i].reported);
                if (r != (steps[i].broken ? SCROLLBACK_BROKEN : 0))
                        fail_msg("%s, step %zu: outcome %d", name, i, r);
        }
}

static void test_follow(void **state) {
        (void)state;
        run_steps("lines that come", "a\nb\n",
                        (const Step[]){
                                        { "a\nb\nc\n", 0, "" },
                                        { "a\nb\nc\nd\n", 0, "c|" },
                                        { NULL, 0, "d|" },
                                        { NULL, 0, "" },
                                        { 0 },
                        });
        run_steps("the look moves on", "a\nb\nc\nd\n",
                        (const Step[]){
                                        { "c\nd\ne\nf\n", 2, "" },
                                        { "e\nf\ng\nh\n", 2, "e|f|" },
                                        { NULL, 0, "g|h|" },
                                        { 0 },
                        });
        run_steps("lines pushed out before they were seen twice", "a\nb\nc\n",
                        (const Step[]){
                                        { "c\nd\ne\n", 2, "" },
                                        { "e\nf\ng\n", 2, "d|e|" },
                                        { NULL, 0, "f|g|" },
                                        { 0 },
                        });
        run_steps("a spinner", "text\n- working 1\n[box]\n",
                        (const Step[]){
                                        { "text\n/ working 2\n[box]\n", 0, "" },
                                        { "text\n| working 3\n[box]\n", 0, "" },
                                        { "text\nanswer\n[box]\n", 0, "" },
                                        { NULL, 0, "answer|" },
                                        { 0 },
                        });
        run_steps("text above a box that moves down", "one\n[---]\n[   ]\n",
                        (const Step[]){
                                        { "one\ntwo\nthree\n[---]\n[   ]\n", 0, "" },
                                        { "one\ntwo\nthree\nfour\n[---]\n[   ]\n", 0,
                                                        "two|three|" },
                                        { NULL, 0, "four|" },
                                        { 0 },
                        });
        run_steps("a line that is written slowly", "a\n",
                        (const Step[]){
                                        { "a\nhel\n", 0, "" },
                                        { "a\nhello wo\n", 0, "" },
                                        { "a\nhello world\n", 0, "" },
                                        { "a\nhello world\nb\n", 0, "hello world|" },
                                        { 0 },
                        });
        run_steps("the same line again and again", "x\nx\nx\nx\n",
                        (const Step[]){
                                        { "x\nx\nx\nx\n", 3, "" },
                                        { NULL, 0, "x|x|x|" },
                                        { "x\nx\nx\nx\nx\n", 0, "" },
                                        { NULL, 0, "x|" },
                                        { 0 },
                        });
        run_steps("a look that begins above the last one", "c\nd\n",
                        (const Step[]){
                                        { "a\nb\nc\nd\ne\n", -3, "", false, true, 9 },
                                        { "a\nb\nc\nd\ne\nf\n", 0, "e|" },
                                        { "z\na\nb\nc\nd\ne\nf\n", -1, "f|" },
                                        { NULL, 0, "" },
                                        { 0 },
                        });
        run_steps("a prompt that comes again", "$\n",
                        (const Step[]){
                                        { "$ echo x\nx\n$\n", 0, "", true },
                                        { NULL, 0, "$ echo x|x|" },
                                        { 0 },
                        });
        run_steps("much after a prompt, which comes again", "$\n",
                        (const Step[]){
                                        { "$ run\na\nb\nc\n$\n", 0, "", true, true, 0 },
                                        { NULL, 0, "$ run|a|b|c|$|" },
                                        { 0 },
                        });
        run_steps("another screen", "a\nb\nc\n",
                        (const Step[]){
                                        { "p\nq\n", 0, "", true },
                                        { "a\nb\nc\nd\n", 0, "", true },
                                        { NULL, 0, "a|b|c|d|" },
                                        { 0 },
                        });
        run_steps("cleared", "a\nb\n",
                        (const Step[]){
                                        { "", 0, "", true },
                                        { "new\n", 0, "" },
                                        { NULL, 0, "new|" },
                                        { 0 },
                        });
}

/* Much text between two looks: each line once, in order. */
static void test_much(void **state) {
        _cleanup_scrollback_ Scrollback seen = SCROLLBACK_NULL;
        _cleanup_strbuf_ StrBuf out = STRBUF_NULL, expected = STRBUF_NULL;
        unsigned end = 0;

        (void)state;
        for (unsigned i = 0; i < 40; i++) {
                _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
                _cleanup_scrollback_ Scrollback now = SCROLLBACK_NULL;
                unsigned next = end + i * 17 % 90, begin = end > 150 ? end - 150 : 0;

                for (unsigned k = begin; k < next; k++)
                        strbuf_addf(&text, "line %u of %u\n", k, k % 7);
                assert_int_equal(scrollback_read(strbuf_text(&text), false, &now), 0);
                assert_true(scrollback_follow(&seen, &now,
                                            &(const ScrollbackMove){ .n_above = begin }, collect,
                                            &out) >= 0);
                end = next;
        }
        scrollback_settle(&seen, collect, &out);
        for (unsigned k = 0; k < end; k++)
                strbuf_addf(&expected, "line %u of %u|", k, k % 7);
        assert_string_equal(strbuf_text(&out), strbuf_text(&expected));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_no_byte_gets_through),
                cmocka_unit_test(test_colours_carry_over),
                cmocka_unit_test(test_follow),
                cmocka_unit_test(test_much),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
