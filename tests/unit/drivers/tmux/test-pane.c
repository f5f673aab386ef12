/* SPDX-License-Identifier: MIT */

/* What tmux is asked about a pane, and which answers are believed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/tmux/pane.h"

#define FACTS "w facts 2000 0 1700000000 120 50 200 4096 3 7 0\n"

static const struct {
        const char *output;
        int result;
        const char *text; /* NULL: nothing new */
} answers[] = {
        { FACTS "w text\none\ntwo\nw end\n", 0, "one\ntwo\n" },
        { FACTS "w text\nw end\n", 0, "" },
        { FACTS "w end\n", 0, NULL },
        { "w gone\n", PANE_GONE, NULL },
        /* What the agent prints is no line of ours. */
        { FACTS "w text\nx end\nw endless\nend\nw end\n", -EBADMSG, NULL },
        { FACTS "w text\nx end\n w end\nw end\n", 0, "x end\n w end\n" },
        { FACTS "w text\nw gone\nw end\n", 0, "w gone\n" },
        /* Cut short, garbled, empty. */
        { "", -EBADMSG, NULL },
        { FACTS, -EBADMSG, NULL },
        { FACTS "w text\none\n", -EBADMSG, NULL },
        { FACTS "w text\none\nw end", -EBADMSG, NULL },
        { FACTS "one\nw end\n", -EBADMSG, NULL },
        { FACTS "w end\nmore\n", -EBADMSG, NULL },
        { "one\nw end\n", -EBADMSG, NULL },
        { "w facts 2000 0 1700000000 120 50 200 4096 3 7\nw end\n", -EBADMSG, NULL },
        { "w facts 2000 0 1700000000 120 50 200 4096 3 7 0 1\nw end\n", -EBADMSG, NULL },
        { "w facts 2000 0 1700000000 -1 50 200 4096 3 7 0\nw end\n", -EBADMSG, NULL },
        { "w facts 2000 0 1700000000 x 50 200 4096 3 7 0\nw end\n", -EBADMSG, NULL },
        /* A number that does not apply is empty. */
        { "w facts 2000 0  120 50 200 4096 3 7 \nw end\n", 0, NULL },
};

static void test_answers(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
                _cleanup_pane_look_ PaneLook l = PANE_LOOK_NULL;
                int r = pane_look_parse(answers[i].output, "w", &l);

                if (r != answers[i].result)
                        fail_msg("answer %zu: %d", i, r);
                if (r != 0) {
                        assert_null(l.signature);
                        continue;
                }
                assert_int_equal(l.history, 120);
                assert_int_equal(l.history_limit, 2000);
                assert_int_equal(l.height, 50);
                assert_false(l.dead);
                if (answers[i].text)
                        assert_string_equal(l.text, answers[i].text);
                else
                        assert_null(l.text);
        }
}

static void test_commands(void **state) {
        PaneTarget target = { .agent = "web", .session_id = "$3", .pane_id = "%5" };
        static const char *const wrong_panes[] = { "", "%", "5", "%5;", "%5 ", "%x", "=web:" };
        _cleanup_free_ char *all = NULL, *changed = NULL;

        (void)state;
        assert_int_equal(pane_look_commands("default", &target, 400, NULL, "w", &all), 0);
        /* One line: what is not ours any more is not read. */
        assert_ptr_equal(strchr(all, '\n'), all + strlen(all) - 1);
        assert_non_null(strstr(all, "'#{==:#{@mosaic},default:web:$3}'"));
        assert_non_null(strstr(all, "capture-pane -p -e -J -S -400 -t '%5'"));
        assert_null(strstr(all, "!=:"));
        assert_int_equal(pane_look_commands("default", &target, 400, "1 2 3", "w", &changed), 0);
        assert_non_null(strstr(changed, ",1 2 3}'"));

        /* Nothing that could mean something to tmux gets there. */
        for (size_t i = 0; i < ELEMENTSOF(wrong_panes); i++) {
                _cleanup_free_ char *text = NULL;
                PaneTarget wrong = target;

                wrong.pane_id = wrong_panes[i];
                assert_int_equal(pane_look_commands("default", &wrong, 1, NULL, "w", &text),
                                -EINVAL);
                assert_null(text);
        }
        target.session_id = "$3' ; kill-server ; '";
        assert_int_equal(pane_look_commands("default", &target, 1, NULL, "w", &all), -EINVAL);
        target.session_id = "$3";
        assert_int_equal(pane_look_commands("default", &target, 1, "1}", "w", &all), -EINVAL);
        target.agent = "web}";
        assert_int_equal(pane_look_commands("default", &target, 1, NULL, "w", &all), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_commands),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
