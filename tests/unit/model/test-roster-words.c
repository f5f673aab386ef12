/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/roster-words.h"

static void paths(void **state) {
        static const struct {
                const char *text;
                const char *path; /* NULL: refused */
        } cases[] = {
                { "/", "/" },
                { "/a", "/a" },
                { "/a//b/./c/", "/a/b/c" },
                { "~", "/home/ana" },
                { "~/", "/home/ana" },
                { "~/src/x", "/home/ana/src/x" },
                { "/a/..b/c..", "/a/..b/c.." },
                { "/a/../b", NULL },
                { "/..", NULL },
                { "~bob/x", NULL },
                { "a/b", NULL },
                { "", NULL },
                { "./a", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *path = NULL;
                int r = word_expand_path(cases[i].text, "/home/ana/", &path);

                assert_int_equal(r, cases[i].path ? 0 : -EINVAL);
                if (cases[i].path)
                        assert_string_equal(path, cases[i].path);
        }
        assert_true(word_path_is_within("/a/b", "/a"));
        assert_true(word_path_is_within("/a", "/a"));
        assert_true(word_path_is_within("/a", "/"));
        assert_false(word_path_is_within("/ab", "/a"));
        assert_false(word_path_is_within("/a", "/a/b"));
}

static void placeholders(void **state) {
        static const struct {
                const char *text;
                const char *result; /* NULL: refused */
                PlaceholderState problem;
                size_t start, length;
        } cases[] = {
                { "plain", "plain", PLACEHOLDERS_FINE, 0, 0 },
                { "{name}@{workdir}={model}", "web@/w=m", PLACEHOLDERS_FINE, 0, 0 },
                { "{{name}", "{name}", PLACEHOLDERS_FINE, 0, 0 },
                { "{ name }", "{ name }", PLACEHOLDERS_FINE, 0, 0 },
                { "{\"a\": 1}", "{\"a\": 1}", PLACEHOLDERS_FINE, 0, 0 },
                { "${HOME}", "${HOME}", PLACEHOLDERS_FINE, 0, 0 },
                { "{", "{", PLACEHOLDERS_FINE, 0, 0 },
                { "{}", "{}", PLACEHOLDERS_FINE, 0, 0 },
                { "a{nme}b", NULL, PLACEHOLDER_UNKNOWN, 1, 5 },
                { "{names}", NULL, PLACEHOLDER_UNKNOWN, 0, 7 },
        };
        const Placeholders values = { .name = "web", .workdir = "/w", .model = "m" };
        const Placeholders no_model = { .name = "web", .workdir = "/w" };
        _cleanup_strbuf_ StrBuf unused = STRBUF_NULL;
        size_t start, length;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                PlaceholderState p;

                p = word_expand_placeholders(cases[i].text, &values, &b, &start, &length);
                assert_int_equal(p, cases[i].problem);
                if (cases[i].result)
                        assert_string_equal(strbuf_text(&b), cases[i].result);
                else {
                        assert_int_equal(start, cases[i].start);
                        assert_int_equal(length, cases[i].length);
                }
        }
        assert_int_equal(word_expand_placeholders("{model}", &no_model, &unused, &start, &length),
                        PLACEHOLDER_WITHOUT_MODEL);
}

static void hosts(void **state) {
        (void)state;
        assert_true(word_match_host("build-1", "build-1"));
        assert_true(word_match_host("build-1", "build-1.example.org"));
        assert_true(word_match_host("build-?", "BUILD-1.example.org"));
        assert_true(word_match_host("*.example.org", "build-1.example.org"));
        assert_true(word_match_host("[a-c]uild-*", "build-1"));
        assert_false(word_match_host("build", "build-1"));
        assert_false(word_match_host("build-1.example.org", "build-1"));
        assert_true(word_match_host("*", ""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths),
                cmocka_unit_test(placeholders),
                cmocka_unit_test(hosts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
