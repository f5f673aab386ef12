/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "reconciler/complain.h"

static void assert_said(const char *word, const char *want) {
        _cleanup_free_ char *text = NULL;
        FILE *saved = stderr;
        size_t n;

        stderr = open_memstream(&text, &n);
        assert_non_null(stderr);
        complain("no '%s' here", word);
        (void)fclose(stderr);
        stderr = saved;
        assert_string_equal(text, want);
}

static void test_words(void **state _unused_) {
        assert_said("web", "mosaic: no 'web' here\n");
        assert_said("\xc3\xb6", "mosaic: no '\xc3\xb6' here\n");
        assert_said("%s", "mosaic: no '%s' here\n");
        assert_said("", "mosaic: no '' here\n");
}

static void test_harmless(void **state _unused_) {
        assert_said("\033]0;x\a", "mosaic: no '?]0;x?' here\n");
        assert_said("a\nb\rc", "mosaic: no 'a?b?c' here\n");
        assert_said("\xc2\x9b", "mosaic: no '?' here\n");
        assert_said("\xff-\xc3", "mosaic: no '?-?' here\n");
        assert_said("\xe2\x80\xae", "mosaic: no '?' here\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_harmless),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
