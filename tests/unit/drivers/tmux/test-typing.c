/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "drivers/tmux/typing.h"

static const TypingPane pane = {
        .agent = "web",
        .session_id = "$3",
        .pane_id = "%7",
        .pane_pid = 4711,
        .x = 2,
        .y = 40,
};

#define IF_OURS                                                                                    \
        "if-shell -F -t '%7' '#{==:#{@mosaic} #{pane_pid} #{pane_dead},default:web:$3 4711 0}' { "
#define IF_STILL "if-shell -F -t '%7' '#{==:#{cursor_x} #{cursor_y} #{pane_in_mode},2 40 0}' { "

static void command_lines(void **state) {
        _cleanup_strbuf_ StrBuf paste = STRBUF_NULL, press = STRBUF_NULL, focus = STRBUF_NULL,
                                leave = STRBUF_NULL;

        (void)state;
        assert_int_equal(typing_paste_command(&paste, "default", &pane, "b", "W"), 0);
        assert_string_equal(strbuf_text(&paste), IF_OURS IF_STILL
                        "paste-buffer -p -r -d -b 'b' -t '%7' ; display-message -p 'W "
                        "done' } { delete-buffer -b 'b' ; display-message -p 'W "
                        "moved' } } { delete-buffer -b 'b' ; display-message -p 'W "
                        "gone' }\n");
        assert_int_equal(typing_press_command(&press, "default", &pane, "Enter", "W"), 0);
        assert_string_equal(strbuf_text(&press), IF_OURS IF_STILL
                        "send-keys -t '%7' -- 'Enter' ; display-message -p 'W done' } { "
                        "display-message -p 'W moved' } } { display-message -p 'W "
                        "gone' }\n");
        assert_int_equal(typing_focus_command(&focus, "default", &pane, "W"), 0);
        assert_string_equal(strbuf_text(&focus), IF_OURS IF_STILL
                        "send-keys -t '%7' -H 1b 5b 49 ; display-message -p 'W done' } { "
                        "display-message -p 'W moved' } } { display-message -p 'W gone' }\n");
        assert_int_equal(typing_leave_command(&leave, "default", &pane, "W"), 0);
        assert_string_equal(strbuf_text(&leave), IF_OURS
                        "if-shell -F -t '%7' '#{pane_in_mode}' { send-keys -t '%7' -X cancel } "
                        "; display-message -p 'W done' } { display-message -p 'W gone' }\n");
}

/* What a roster or a run file says never becomes a command. */
static void hostile_words(void **state) {
        static const struct {
                const char *fleet, *agent, *session, *pane;
        } cases[] = {
                { "de fault", "web", "$3", "%7" },
                { "default", "We#{b}", "$3", "%7" },
                { "default", "web", "3", "%7" },
                { "default", "web", "$3;", "%7" },
                { "default", "web", "$3", "7" },
                { "default", "web", "$3", "%" },
                { "default", "web", "$3", "%7'" },
        };
        _cleanup_strbuf_ StrBuf key = STRBUF_NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                TypingPane p = pane;

                p.agent = cases[i].agent;
                p.session_id = cases[i].session;
                p.pane_id = cases[i].pane;
                assert_int_equal(typing_paste_command(&b, cases[i].fleet, &p, "b", "W"), -EINVAL);
                assert_int_equal(typing_press_command(&b, cases[i].fleet, &p, "k", "W"), -EINVAL);
                assert_int_equal(typing_focus_command(&b, cases[i].fleet, &p, "W"), -EINVAL);
                assert_int_equal(typing_leave_command(&b, cases[i].fleet, &p, "W"), -EINVAL);
                assert_int_equal(b.length, 0);
        }
        assert_int_equal(typing_press_command(&key, "default", &pane, "a' ; kill-server", "W"), 0);
        assert_non_null(strstr(strbuf_text(&key), "-- 'a'\\'' ; kill-server' ;"));
}

static void buffers(void **state) {
        char name[TYPING_BUFFER_SIZE];

        (void)state;
        typing_buffer_name(name, "web", "0a1b2c3d");
        assert_string_equal(name, "mosaic-send-web-0a1b2c3d");
        assert_true(typing_buffer_is_of(name, "web"));
        assert_false(typing_buffer_is_of("mosaic-send-web-2-0a1b2c3d", "web"));
        assert_true(typing_buffer_is_of("mosaic-send-web-2-0a1b2c3d", "web-2"));
        assert_false(typing_buffer_is_of("mosaic-send-web-0a1b2c3", "web"));
        assert_false(typing_buffer_is_of("mosaic-send-web-0A1B2C3D", "web"));
        assert_false(typing_buffer_is_of("buffer0001", "web"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(command_lines),
                cmocka_unit_test(hostile_words),
                cmocka_unit_test(buffers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
