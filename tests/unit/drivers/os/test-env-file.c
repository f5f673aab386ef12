/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/os/env-file.h"
#include "model/base/strv.h"

static void test_values(void **state _unused_) {
        static const struct {
                const char *text;
                const char *name;
                const char *value;
        } table[] = {
                { "A=1", "A", "1" },
                { "A=1\n", "A", "1" },
                { "\n\n# x\n  A=1\n", "A", "1" },
                { "A=", "A", "" },
                { "A=b=c", "A", "b=c" },
                { "A=one two", "A", "one two" },
                { "A= padded \t", "A", "padded" },
                { "A=' padded '", "A", " padded " },
                { "A=\"q'q\"", "A", "q'q" },
                { "A='q\"q'  ", "A", "q\"q" },
                { "A=''", "A", "" },
                { "A=$HOME `x` $(y) \\n", "A", "$HOME `x` $(y) \\n" },
                { "A=v # no comment", "A", "v # no comment" },
                { "A='v' \r\n", "A", "v" },
                { "A=1\nA=2", "A", "2" },
                { "_a9=x", "_a9", "x" },
                { "A=\xc3\xa9", "A", "\xc3\xa9" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **env = NULL;
                const char *problem = NULL;
                unsigned line = 0;

                assert_int_equal(env_file_parse(table[i].text, strlen(table[i].text), &env, &line,
                                                 &problem),
                                0);
                assert_string_equal(strv_env_get(env, table[i].name), table[i].value);
                assert_int_equal(strv_length(env), 1);
        }
}

static void test_problems(void **state _unused_) {
        static const struct {
                const char *text;
                size_t n; /* 0: up to the NUL */
                unsigned line;
                const char *problem;
        } table[] = {
                { "A=1\nB\n", 0, 2, "form NAME=VALUE" },
                { "export A=1", 0, 1, "name" },
                { "=x", 0, 1, "name" },
                { "1A=x", 0, 1, "name" },
                { "A =x", 0, 1, "name" },
                { "A-B=x", 0, 1, "name" },
                { "\n\nA=\"x\n\"", 0, 3, "not closed" },
                { "A='x' y", 0, 1, "follows" },
                { "TERM=x\nTMUX=x", 0, 2, "sets this variable" },
                { "MOSAIC_HOME='/x'", 0, 1, "sets this variable" },
                { "A='x''y'", 0, 1, "follows" },
                { "A=1\n# \0\n", 8, 2, "NUL" },
                { "A=x\0y", 5, 1, "NUL" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **env = NULL;
                const char *problem = NULL;
                unsigned line = 0;

                assert_int_equal(env_file_parse(table[i].text,
                                                 table[i].n ? table[i].n : strlen(table[i].text),
                                                 &env, &line, &problem),
                                -EINVAL);
                assert_int_equal(line, table[i].line);
                assert_non_null(strstr(problem, table[i].problem));
        }
}

/* One byte more, and execve(2) would refuse the whole environment. */
static void test_length(void **state _unused_) {
        static char text[VARIABLE_MAX + 2]; /* ends with a NUL, for strict readers of strings */
        _cleanup_strv_ char **env = NULL;
        const char *problem = NULL;
        unsigned line = 0;

        memset(text, 'x', sizeof(text) - 1);
        memcpy(text, "A=", 2);
        assert_int_equal(env_file_parse(text, VARIABLE_MAX - 1, &env, &line, &problem), 0);
        assert_int_equal(env_file_parse(text, VARIABLE_MAX, &env, &line, &problem), -EINVAL);
        assert_int_equal(line, 1);
        assert_non_null(strstr(problem, "longer"));
}

static void test_empty(void **state _unused_) {
        _cleanup_strv_ char **env = NULL;
        const char *problem;
        unsigned line;

        assert_int_equal(env_file_parse("", 0, &env, &line, &problem), 0);
        assert_int_equal(env_file_parse("\n#\n \t\n", 6, &env, &line, &problem), 0);
        assert_int_equal(strv_length(env), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_problems),
                cmocka_unit_test(test_length),
                cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
