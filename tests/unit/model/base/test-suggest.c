/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/base/cleanup.h"
#include "model/base/hash.h"
#include "model/base/pointer.h"
#include "model/base/suggest.h"

static void distances(void **state) {
        static const struct {
                const char *a, *b;
                size_t distance;
        } cases[] = {
                { "", "", 0 },
                { "a", "", 1 },
                { "workdir", "wrkdir", 1 },
                { "runtime", "runitme", 1 },
                { "env_files", "env-files", 0 },
                { "ENV", "env", 0 },
                { "abc", "xyz", 3 },
                { "kitten", "sitting", 3 },
                { "ab", "ba", 1 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(suggest_distance(cases[i].a, cases[i].b), cases[i].distance);
                assert_int_equal(suggest_distance(cases[i].b, cases[i].a), cases[i].distance);
        }
        assert_true(suggest_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                     "aaaa",
                                    "a") == SIZE_MAX);
}

static void the_nearest_wins(void **state) {
        Suggestion s = suggestion_init("cluade"), far = suggestion_init("xyz");

        (void)state;
        suggestion_offer(&s, "codex");
        assert_null(s.best);
        suggestion_offer(&s, "claudes");
        suggestion_offer(&s, "claude");
        suggestion_offer(&s, "clade");
        assert_string_equal(s.best, "claude");
        suggestion_offer(&far, "pi");
        assert_null(far.best);
}

static void hashes(void **state) {
        char hex[SHA256_HEX_SIZE];

        (void)state;
        sha256_hex("abc", 3, hex);
        assert_string_equal(
                        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        sha256_hex("", 0, hex);
        assert_string_equal(
                        hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void pointers(void **state) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        (void)state;
        pointer_add(&b, "a/b~c");
        pointer_add(&b, "");
        assert_string_equal(strbuf_text(&b), "/a~1b~0c/");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(distances),
                cmocka_unit_test(the_nearest_wins),
                cmocka_unit_test(hashes),
                cmocka_unit_test(pointers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
