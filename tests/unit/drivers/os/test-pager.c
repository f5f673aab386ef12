/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/os/pager.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

static void test_words(void **state _unused_) {
        static const struct {
                const char *own, *common, *words; /* joined by "|"; NULL: no pager */
        } cases[] = {
                { NULL, NULL, "less" },
                { NULL, "more", "more" },
                { "most", "more", "most" },
                { NULL, " less  -i\t-R ", "less|-i|-R" },
                { NULL, "less -p 'a b' $X;id", "less|-p|'a|b'|$X;id" },
                { "", "more", NULL },
                { NULL, "", NULL },
                { NULL, " \t", NULL },
                { NULL, "cat", NULL },
                { "cat", "more", NULL },
                { NULL, "cat -n", "cat|-n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strv_ char **words = NULL;
                _cleanup_strbuf_ StrBuf joined = STRBUF_NULL;

                assert_int_equal(pager_words(cases[i].own, cases[i].common, &words), 0);
                if (!cases[i].words) {
                        assert_null(words);
                        continue;
                }
                assert_non_null(words);
                for (char **w = words; *w; w++)
                        strbuf_addf(&joined, "%s%s", w == words ? "" : "|", *w);
                assert_string_equal(strbuf_text(&joined), cases[i].words);
        }
}

static void test_lines(void **state _unused_) {
        static const struct {
                const char *text;
                unsigned width;
                size_t lines;
        } cases[] = {
                { "", 10, 0 },
                { "\n", 10, 1 },
                { "a", 10, 1 },
                { "a\n\nb\n", 10, 3 },
                { "1234567890\n", 10, 1 },
                { "12345678901\n", 10, 2 },
                { "12345678901", 10, 2 },
                { "123456789012345678901\nx\n", 10, 4 },
                { "\033[1;31m1234567890\033[0m\n", 10, 1 },
                { "\033[1;31m12345678901\033[0m\n", 10, 2 },
                { "\033[1", 10, 1 },
                { "\xe4\xb8\xad\xe6\x96\x87\n", 4, 1 },
                { "\xe4\xb8\xad\xe6\x96\x87\n", 3, 2 },
                { "e\xcc\x81\n", 1, 1 },
                { "\xff\xff\xff\n", 2, 2 },
                { "\tx\n", 8, 2 },
                { "ab\n", 1, 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(pager_lines(cases[i].text, strlen(cases[i].text), cases[i].width),
                                cases[i].lines);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
