/* SPDX-License-Identifier: MIT */

/* The table of checks: every row is whole, and an outcome carries the command that mends it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/check.h"

static void test_rows_are_whole(void **state _unused_) {
        for (int i = 0; i < _CHECK_KIND_MAX; i++) {
                const char *name = check_name((CheckKind)i);

                assert_non_null(name);
                assert_true(name[0] >= 'a' && name[0] <= 'z');
                assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
                assert_int_not_equal(check_shown_by((CheckKind)i), 0);
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(name, check_name((CheckKind)k));
        }
}

static void test_help_goes_with_what_is_amiss(void **state _unused_) {
        _cleanup_checks_ Checks c = CHECKS_NULL;

        assert_int_equal(checks_add(&c, CHECK_LINGER, CHECK_OK, "%d", 1), 0);
        assert_int_equal(checks_add(&c, CHECK_LINGER, CHECK_NOTE, "%d", 2), 0);
        assert_int_equal(checks_add_help(&c, CHECK_LINGER, CHECK_FAILED, "other", "%d", 3), 0);
        assert_int_equal(checks_add_help(&c, CHECK_LINGER, CHECK_UNKNOWN, NULL, "%d", 4), 0);
        assert_int_equal(c.n_items, 4);
        assert_null(c.items[0].help);
        assert_string_equal(c.items[1].help, "loginctl enable-linger");
        assert_string_equal(c.items[2].help, "other");
        assert_null(c.items[3].help);
        assert_string_equal(c.items[2].text, "3");
        for (int s = CHECK_OK; s <= CHECK_UNKNOWN; s++)
                assert_int_equal(checks_count(&c, (CheckState)s), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_are_whole),
                cmocka_unit_test(test_help_goes_with_what_is_amiss),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
