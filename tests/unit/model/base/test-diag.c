/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/diag.h"

static void counts_and_copies(void **state) {
        _cleanup_diags_ Diags d = DIAGS_NULL;
        char help[] = "help";

        (void)state;
        for (int i = 0; i < 9; i++) {
                Diag *x = diags_add(&d, i % 3 == 0 ? SEVERITY_ERROR : SEVERITY_WARNING, "code",
                                (Span){ (size_t)i, (size_t)i }, "/path", help, "number %d", i);

                assert_non_null(x);
                assert_true(x->related.start == SIZE_MAX);
        }
        help[0] = 'X';
        assert_int_equal(d.n_items, 9);
        assert_int_equal(d.n_errors, 3);
        assert_int_equal(d.n_warnings, 6);
        assert_string_equal(d.items[8].text, "number 8");
        assert_string_equal(d.items[0].help, "help");
}

static void add(Diags *d, const char *code, size_t start, const char *path, const char *text) {
        Span span = start == SIZE_MAX ? SPAN_NONE : (Span){ start, start + 1 };

        (void)diags_add(d, SEVERITY_ERROR, code, span, path, NULL, "%s", text);
}

static void sorts_stably_and_drops_repeats(void **state) {
        static const char *const expected[] = { "whole", "two", "three", "one", "five", "six" };
        _cleanup_diags_ Diags d = DIAGS_NULL;

        (void)state;
        add(&d, "a", 9, "/x", "one");
        add(&d, "a", 3, NULL, "two");
        add(&d, "b", 3, NULL, "three");
        add(&d, "a", 9, "/x", "again"); /* same code, place and path */
        add(&d, "a", 9, "/y", "five");  /* same place, another value is missing */
        add(&d, "c", SIZE_MAX, NULL, "whole");
        add(&d, "b", 9, "/x", "six");
        add(&d, "b", 3, NULL, "again");
        diags_sort(&d);
        assert_int_equal(d.n_items, ELEMENTSOF(expected));
        assert_int_equal(d.n_errors, ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                assert_string_equal(d.items[i].text, expected[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_and_copies),
                cmocka_unit_test(sorts_stably_and_drops_repeats),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
