/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/tmux/command.h"

/* What tmux itself makes of these words is checked in tests/integration/terminal. */
static void test_quote(void **state _unused_) {
        static const struct {
                const char *word;
                const char *quoted;
        } table[] = {
                { "", "''" },
                { "plain", "'plain'" },
                { "a b;c", "'a b;c'" },
                { "it's", "'it'\\''s'" },
                { "'", "''\\'''" },
                { "\\", "'\\'" },
                { "$HOME ~ #{x} \"", "'$HOME ~ #{x} \"'" },
                { "a\n # b", "'a'\"\\n\"' # b'" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                tmux_quote(&b, table[i].word);
                assert_string_equal(strbuf_text(&b), table[i].quoted);
        }
}

static void test_new_session(void **state _unused_) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        assert_int_equal(
                        tmux_command_new_session(&b, "default", "web", 220, 50, "/it's/keeper"), 0);
        assert_string_equal(strbuf_text(&b),
                        "new-session -d -s 'web' -x 220 -y 50 '/it'\\''s/keeper' 'web' ; "
                        "set-option -F -t '=web:' @mosaic 'default:web:#{session_id}'\n");
        assert_int_equal(tmux_command_new_session(&b, "0a1b2c3d", "_holder", 1, 2, "/k"), 0);
        assert_non_null(strstr(strbuf_text(&b),
                        "\nnew-session -d -s '_holder' -x 1 -y 2 '/k' '--hold' ; "
                        "set-option -F -t '=_holder:' @mosaic '0a1b2c3d:_holder:#{session_id}'\n"));
}

static void test_new_session_refused(void **state _unused_) {
        static const struct {
                const char *fleet;
                const char *name;
        } table[] = {
                { "", "web" },
                { "#{pid}", "web" },
                { "a'b", "web" },
                { "a:b", "web" },
                { "default", "" },
                { "default", "Web" },
                { "default", "a.b" },
                { "default", "a;b" },
                { "default", "#{pid}" },
                { "default", "_other" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                assert_int_equal(tmux_command_new_session(
                                                 &b, table[i].fleet, table[i].name, 80, 24, "/k"),
                                -EINVAL);
                assert_string_equal(strbuf_text(&b), "");
        }
}

static void test_new_window(void **state _unused_) {
        static const char *const bad[] = { "", "$", "3", "$3x", "$x", "$3:", "%3" };
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        assert_int_equal(tmux_command_new_window(&b, "$3", "web", "/k"), 0);
        assert_string_equal(strbuf_text(&b), "new-window -t '$3:' '/k' 'web'\n");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(tmux_command_new_window(&b, bad[i], "web", "/k"), -EINVAL);
        assert_int_equal(tmux_command_new_window(&b, "$3", "we b", "/k"), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quote),
                cmocka_unit_test(test_new_session),
                cmocka_unit_test(test_new_session_refused),
                cmocka_unit_test(test_new_window),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
