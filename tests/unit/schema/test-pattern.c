/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "schema/pattern.h"

typedef struct Case {
        PatternDialect dialect;
        const char *pattern;
        const char *text;
        int found; /* 1, 0, or a negative errno; -EINVAL with text NULL: does not compile */
} Case;

static void searches(void **state) {
        static const Case cases[] = {
                { PATTERN_PERL, "^> $", "> ", 1 },
                { PATTERN_PERL, "^> $", "x> ", 0 },
                { PATTERN_PERL, "[⠋⠙]", "x⠙y", 1 },
                { PATTERN_PERL, "\\x{2819}", "⠙", 1 },
                { PATTERN_PERL, "\\d", "٣", 0 }, /* ASCII only */
                { PATTERN_PERL, "(", NULL, -EINVAL },
                { PATTERN_PERL, "a\\Cb", NULL, -EINVAL }, /* single bytes would break UTF-8 */
                { PATTERN_PERL, "a", "\xff", -EINVAL },
                { PATTERN_PERL, "(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", -EOVERFLOW },
                { PATTERN_PERL, "((a{1,100}){1,100}){1,100}", NULL, -EINVAL },
                { PATTERN_ECMA, "^\\u00e9$", "é", 1 },
                { PATTERN_ECMA, "^\\u{1f600}$", "😀", 1 },
                { PATTERN_ECMA, "^a$", "a\n", 0 },
                { PATTERN_PERL, "^a$", "a\n", 1 },
                { PATTERN_ECMA, "[]", "a", 0 },
                { PATTERN_ECMA, "^[^]$", "\n", 1 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                _cleanup_pattern_ Pattern *p = NULL;
                char message[PATTERN_MESSAGE_SIZE] = "";
                size_t offset = SIZE_MAX;
                int r;

                r = pattern_new(c->pattern, strlen(c->pattern), c->dialect, message, &offset, &p);
                if (!c->text) {
                        assert_int_equal(r, c->found);
                        assert_true(message[0] && offset <= strlen(c->pattern));
                        continue;
                }
                assert_int_equal(r, 0);
                r = pattern_search(p, c->text, strlen(c->text));
                if (r != c->found)
                        print_error("pattern %s, text %s\n", c->pattern, c->text);
                assert_int_equal(r, c->found);
        }
}

static void long_patterns_are_refused(void **state) {
        _cleanup_pattern_ Pattern *p = NULL;
        char text[5000];

        (void)state;
        memset(text, 'a', sizeof(text));
        assert_int_equal(pattern_new(text, sizeof(text), PATTERN_PERL, NULL, NULL, &p), -EINVAL);
        assert_null(p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(searches),
                cmocka_unit_test(long_patterns_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
