/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/strv.h"
#include "model/json.h"

static Json *parse(const char *text) {
        Json *j = NULL;

        assert_int_equal(json_parse(text, strlen(text), &j), 0);
        return j;
}

static void strictness(void **state) {
        static const struct {
                const char *text;
                size_t size; /* 0: strlen */
                int result;
        } cases[] = {
                { "null", 0, 0 },
                { " {\"a\": [1, -2.5e3, true]} \n", 0, 0 },
                { "18446744073709551615", 0, 0 },
                { "-9223372036854775808", 0, 0 },
                { "18446744073709551616", 0, -EINVAL }, /* json-c would clamp it */
                { "-9223372036854775809", 0, -EINVAL },
                { "123456789012345678901234567890.5", 0, 0 },
                { "123456789012345678901234567890", 0, -EINVAL },
                { "NaN", 0, -EINVAL },
                { "[Infinity]", 0, -EINVAL },
                { "[1.]", 0, -EINVAL },
                { "[.5]", 0, -EINVAL },
                { "[01]", 0, -EINVAL },
                { "[+1]", 0, -EINVAL },
                { "[1,]", 0, -EINVAL },
                { "{\"a\":1,}", 0, -EINVAL },
                { "{'a':1}", 0, -EINVAL },
                { "True", 0, -EINVAL },
                { "[1] 2", 0, -EINVAL },
                { "[1]x", 0, -EINVAL },
                { "[", 0, -EINVAL },
                { "", 0, -EINVAL },
                { "\"a\nb\"", 0, -EINVAL }, /* a raw control character */
                { "\"a\\qb\"", 0, -EINVAL },
                { "\"\xff\"", 0, -EINVAL },
                { "1\0", 2, -EINVAL },
                { "// c\n1", 0, -EINVAL },
                { "\f1", 0, -EINVAL },
                { "-", 0, -EINVAL },
                { "-0", 0, 0 },
                { "1e+", 0, -EINVAL },
                { "tru", 0, -EINVAL },
                { "nullx", 0, -EINVAL },
                { "[1 2]", 0, -EINVAL },
                { "[,1]", 0, -EINVAL },
                { "[]]", 0, -EINVAL },
                { "{1:2}", 0, -EINVAL },
                { "{\"a\" 1}", 0, -EINVAL },
                { "{\"a\":}", 0, -EINVAL },
                { "{,}", 0, -EINVAL },
                { "{\"a\\u0000\":1}", 0, -EINVAL }, /* would be the key "a" */
                { "\"abc", 0, -EINVAL },
                { "\"\\", 0, -EINVAL },
                { "\"\\u00", 0, -EINVAL },
                { "\"\\u12g4\"", 0, -EINVAL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *j = NULL;
                size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);
                int r = json_parse(cases[i].text, size, &j);

                if (r != cases[i].result)
                        print_error("text: %s\n", cases[i].text);
                assert_int_equal(r, cases[i].result);
        }
}

/* Every escape, halves of pairs, and what ends too early at each byte. */
static void strings(void **state) {
        static const struct {
                const char *text;
                const char *value; /* NULL: refused */
        } cases[] = {
                { "\"\"", "" },
                { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
                { "\"a\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"",
                                "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z" },
                { "\"\\ud83dx\"", "\xef\xbf\xbdx" },
                { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                                        "A" },
                { "\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
                { "\"\\u00g0\"", NULL },
                { "\"\\u00\"", NULL },
                { "\"\\ud83d\\u00\"", NULL },
                { "\"\\\"", NULL },
                { "\"\\", NULL },
                { "\"\\u", NULL },
                { "\"a", NULL },
                { "\"\t\"", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *j = NULL;
                int r = json_parse(cases[i].text, strlen(cases[i].text), &j);

                if (r != (cases[i].value ? 0 : -EINVAL))
                        print_error("text: %s\n", cases[i].text);
                assert_int_equal(r, cases[i].value ? 0 : -EINVAL);
                if (cases[i].value)
                        assert_string_equal(json_as_string(j), cases[i].value);
        }
}

/* Every beginning of a text is refused, and a key that occurs twice has its last value. */
static void beginnings(void **state) {
        static const char text[] =
                        "{\"a\\\"\": [1, -2.50, \"x\\u00e9\", true, false, null], \"b\": "
                        "{}, \"b\": 18446744073709551615}";
        _cleanup_json_ Json *j = NULL;
        uint64_t u;

        (void)state;
        for (size_t n = 0; n < sizeof(text) - 1; n++) {
                _cleanup_json_ Json *part = NULL;

                assert_int_equal(json_parse(text, n, &part), -EINVAL);
        }
        j = parse(text);
        assert_int_equal(json_length(json_get(j, "a\"")), 6);
        assert_int_equal(json_get_uint64(j, "b", &u), 0);
        assert_true(u == UINT64_MAX);
}

static void nesting_has_a_limit(void **state) {
        char text[2 * JSON_DEPTH_MAX + 4];

        (void)state;
        for (size_t n = JSON_DEPTH_MAX; n <= JSON_DEPTH_MAX + 1; n++) {
                _cleanup_json_ Json *j = NULL;

                memset(text, '[', n);
                memset(text + n, ']', n);
                assert_int_equal(json_parse(text, 2 * n, &j), n <= JSON_DEPTH_MAX ? 0 : -EFBIG);
        }
}

static void getters(void **state) {
        _cleanup_json_ Json *j =
                        parse("{\"s\":\"x\",\"n\":null,\"i\":-5,\"u\":18446744073709551615,"
                              "\"d\":2.0,\"e\":2.5,\"b\":true,\"l\":[\"a\",\"b\"],\"m\":[1],"
                              "\"z\":\"a\\u0000b\"}");
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *copy = NULL;
        uint64_t u;
        int64_t i;
        bool b;

        (void)state;
        assert_string_equal(json_get_string(j, "s"), "x");
        assert_null(json_get_string(j, "i"));
        assert_null(json_get_string(j, "z")); /* a NUL inside */
        assert_null(json_get(j, "n"));
        assert_true(json_has(j, "n"));
        assert_false(json_has(j, "nothing"));
        assert_int_equal(json_as_int64(json_get(j, "i"), &i), 0);
        assert_int_equal(i, -5);
        assert_int_equal(json_get_uint64(j, "i", &u), -ERANGE);
        assert_int_equal(json_get_uint64(j, "u", &u), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(json_as_int64(json_get(j, "u"), &i), -ERANGE);
        assert_int_equal(json_as_int64(json_get(j, "d"), &i), 0);
        assert_int_equal(json_as_int64(json_get(j, "e"), &i), -EINVAL);
        assert_int_equal(json_as_int64(json_get(j, "s"), &i), -EINVAL);
        assert_int_equal(json_get_uint64(j, "n", &u), -ENOENT);
        assert_int_equal(json_get_bool(j, "b", &b), 0);
        assert_true(b);
        assert_int_equal(json_get_bool(j, "i", &b), -EINVAL);
        assert_int_equal(json_get_strv(j, "l", &list), 0);
        assert_int_equal(strv_length(list), 2);
        assert_int_equal(json_get_strv(j, "m", &list), -EINVAL);
        assert_int_equal(json_get_strdup(j, "s", /* optional= */ false, &copy), 0);
        assert_string_equal(copy, "x");
        assert_int_equal(json_get_strdup(j, "nothing", /* optional= */ false, &copy), -ENOENT);
        assert_int_equal(json_get_strdup(j, "i", /* optional= */ true, &copy), -EINVAL);
        free(copy);
        assert_int_equal(json_get_strdup(j, "n", /* optional= */ true, &copy), 0);
        assert_null(copy);
        assert_int_equal(json_length(j), 10);
        assert_null(json_at(j, 0));
        assert_null(json_at(json_get(j, "l"), 2));
        assert_null(json_get(NULL, "x"));
}

static void writing(void **state) {
        _cleanup_json_ Json *j =
                        parse("{\"b\":[1,{\"z\":1.10,\"a\":1e2}],\"a\":{},\"c\":[],"
                              "\"\\u001b\\u007f\\u0085\":\"/\\n\\t\\\"\\\\\\u0007é\",\"n\":null}");
        _cleanup_free_ char *plain = NULL, *canonical = NULL, *pretty = NULL;

        (void)state;
        assert_int_equal(json_to_text(j, JSON_PLAIN, &plain), 0);
        assert_string_equal(plain,
                        "{\"b\":[1,{\"z\":1.10,\"a\":1e2}],\"a\":{},\"c\":[],"
                        "\"\\u001b\\u007f\\u0085\":\"/\\n\\t\\\"\\\\\\u0007é\",\"n\":null}");
        assert_int_equal(json_to_text(j, JSON_CANONICAL, &canonical), 0);
        assert_string_equal(canonical,
                        "{\"\\u001b\\u007f\\u0085\":\"/\\n\\t\\\"\\\\\\u0007é\",\"a\":{},"
                        "\"b\":[1,{\"a\":1e2,\"z\":1.10}],\"c\":[],\"n\":null}");
        assert_int_equal(json_to_text(json_get(j, "b"), JSON_PRETTY, &pretty), 0);
        assert_string_equal(pretty, "[\n  1,\n  {\n    \"z\": 1.10,\n    \"a\": 1e2\n  }\n]");
}

static void equality(void **state) {
        static const struct {
                const char *a, *b;
                bool equal;
        } cases[] = {
                { "1", "1.0", true },
                { "[1e2]", "[100]", true },
                { "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true },
                { "{\"a\":null}", "{\"b\":null}", false },
                { "-1", "18446744073709551615", false },
                { "18446744073709551615", "18446744073709551615", true },
                { "true", "1", false },
                { "\"a\\u0000b\"", "\"a\\u0000c\"", false },
                { "null", "null", true },
                { "[]", "{}", false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *a = parse(cases[i].a), *b = parse(cases[i].b);

                assert_int_equal(json_equal(a, b), cases[i].equal);
        }
}

static void building(void **state) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        char *list[] = { (char[]){ "x" }, NULL };
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ Json *j = NULL;

        (void)state;
        json_open_object(&b, NULL);
        json_put_uint(&b, "u", UINT64_MAX);
        json_put_int(&b, "i", -1);
        json_put_bool(&b, "b", false);
        json_put_null(&b, "n");
        json_put_string(&b, "no", NULL);
        json_put_stringf(&b, "f", "%d%%", 5);
        json_put_double(&b, "d", 0.1, NULL);
        json_put_double(&b, "t", 1.5, "1.50");
        json_put_strv(&b, "l", list);
        json_put_strv(&b, "e", NULL);
        json_open_array(&b, "o");
        json_put_json(&b, NULL, parse("{\"x\":1}"));
        json_close(&b);
        json_close(&b);
        assert_int_equal(json_finish(&b, &j), 0);
        assert_int_equal(json_to_text(j, JSON_PLAIN, &text), 0);
        assert_string_equal(text,
                        "{\"u\":18446744073709551615,\"i\":-1,\"b\":false,\"n\":null,\"no\":null,"
                        "\"f\":\"5%\",\"d\":0.1,\"t\":1.50,\"l\":[\"x\"],\"e\":[],\"o\":[{\"x\":1}]"
                        "}");
}

static void building_wrongly(void **state) {
        Json *j = NULL;

        (void)state;
        for (int i = 0; i < 6; i++) {
                _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

                switch (i) {
                case 0: /* nothing at all */
                        break;
                case 1: /* left open */
                        json_open_object(&b, NULL);
                        break;
                case 2: /* closed too often */
                        json_open_array(&b, NULL);
                        json_close(&b);
                        json_close(&b);
                        break;
                case 3: /* a key in an array */
                        json_open_array(&b, NULL);
                        json_put_null(&b, "key");
                        json_close(&b);
                        break;
                case 4: /* no key in an object */
                        json_open_object(&b, NULL);
                        json_put_json(&b, NULL, parse("[1]"));
                        json_close(&b);
                        break;
                case 5: /* not UTF-8 */
                        json_put_string(&b, NULL, "\xff");
                        break;
                }
                assert_int_equal(json_finish(&b, &j), -EINVAL);
        }
        assert_null(j);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strictness),
                cmocka_unit_test(strings),
                cmocka_unit_test(beginnings),
                cmocka_unit_test(nesting_has_a_limit),
                cmocka_unit_test(getters),
                cmocka_unit_test(writing),
                cmocka_unit_test(equality),
                cmocka_unit_test(building),
                cmocka_unit_test(building_wrongly),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
