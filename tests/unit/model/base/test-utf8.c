/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/utf8.h"

static void round_trip_of_every_character(void **state) {
        (void)state;
        for (uint32_t c = 0; c <= 0x110000; c++) {
                bool valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
                uint32_t again = 0;
                size_t n, m;
                char s[4];

                n = utf8_encode(c, s);
                assert_int_equal(n > 0, valid);
                if (!valid)
                        continue;
                m = utf8_decode(s, n, &again);
                if (m != n || again != c || (n > 1 && utf8_decode(s, n - 1, &again) != 0))
                        fail_msg("U+%04X", c);
        }
}

static void invalid_forms(void **state) {
        static const char *const forms[] = {
                "\x80",
                "\xc0\x80",
                "\xc1\xbf",
                "\xe0\x80\x80",
                "\xe0\x9f\xbf",
                "\xed\xa0\x80",
                "\xed\xbf\xbf",
                "\xf0\x80\x80\x80",
                "\xf4\x90\x80\x80",
                "\xf5\x80\x80\x80",
                "\xff",
                "\xfe",
                "\xc3",
                "\xe2\x82",
                "\xc3(",
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                assert_false(utf8_is_valid(forms[i], strlen(forms[i])));
        assert_true(utf8_is_valid("", 0));
        assert_true(utf8_is_valid("a\0b", 3));
}

static void lengths_and_widths(void **state) {
        (void)state;
        assert_int_equal(utf8_length("aé日\xff", 7), 4);
        assert_int_equal(utf8_width('a'), 1);
        assert_int_equal(utf8_width(0x301), 0);
        assert_int_equal(utf8_width(0x65e5), 2);
        assert_int_equal(utf8_width(0x1f600), 2);
        assert_int_equal(utf8_width(0x2500), 1);
}

static void unsafe_characters(void **state) {
        static const uint32_t unsafe[] = { 0, 9, 10, 0x1b, 0x7f, 0x85, 0x9f, 0x200e, 0x2028, 0x202e,
                0x2066, 0xfeff };
        static const uint32_t safe[] = { ' ', '~', 0xa0, 0xe9, 0x200d, 0x2030, 0x1f600 };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(unsafe); i++)
                assert_true(utf8_is_unsafe(unsafe[i]));
        for (size_t i = 0; i < ELEMENTSOF(safe); i++)
                assert_false(utf8_is_unsafe(safe[i]));
}

static void harmless_text(void **state) {
        static const struct {
                const char *text, *safe;
        } cases[] = {
                { "", "" },
                { "plain é 日", "plain é 日" },
                { "a\x1b[2Jb\n\t", "a?[2Jb??" },
                { "c1 \xc2\x9b and \x9b", "c1 ? and ?" },
                { "turned \u202e around", "turned ? around" },
                { "cut \xe6\x97", "cut ??" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                utf8_add_safe(&b, cases[i].text, strlen(cases[i].text));
                assert_string_equal(strbuf_text(&b), cases[i].safe);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_trip_of_every_character),
                cmocka_unit_test(invalid_forms),
                cmocka_unit_test(lengths_and_widths),
                cmocka_unit_test(unsafe_characters),
                cmocka_unit_test(harmless_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
