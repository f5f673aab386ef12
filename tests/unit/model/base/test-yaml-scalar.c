/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/yaml-scalar.h"
#include "model/json.h"

static const char *table; /* [token, type, value] a line; what another implementation makes of it */

static void check_line(const char *line, size_t size, unsigned *n_refused) {
        _cleanup_json_ Json *row = NULL;
        const char *token, *type;
        const Json *value;
        YamlScalar s;
        double number;

        if (json_parse(line, size, &row) < 0) {
                /* the other side rounds the largest number up, to one that fits no 64 bits */
                assert_non_null(strstr(line, "18446744073709551615"));
                return;
        }
        token = json_as_string(json_at(row, 0));
        type = json_as_string(json_at(row, 1));
        value = json_at(row, 2);
        assert_non_null(token);
        s = yaml_scalar(token);
        if (s.refused) {
                /* on purpose: infinity, not-a-number and what fits no 64 bits */
                assert_true(strcmp(type, "integer") == 0 || strcmp(type, "number") == 0);
                ++*n_refused;
                return;
        }
        switch (s.kind) {
        case YAML_NULL:
                assert_string_equal(type, "null");
                break;
        case YAML_BOOL:
                assert_string_equal(type, "boolean");
                assert_int_equal(json_as_bool(value), s.boolean);
                break;
        case YAML_INTEGER:
                number = s.negative ? (double)(int64_t)s.integer : (double)s.integer;
                if (strcmp(type, "integer") != 0 || number != json_as_double(value))
                        fail_msg("%s", token);
                break;
        case YAML_DOUBLE:
                if (strcmp(type, "number") != 0 || s.number != json_as_double(value))
                        fail_msg("%s", token);
                break;
        case YAML_STRING:
                if (strcmp(type, "string") != 0)
                        fail_msg("%s", token);
                break;
        case YAML_SEQUENCE:
        case YAML_MAPPING:
                fail();
        }
}

static void core_schema(void **state) {
        _cleanup_fclose_ FILE *f = fopen(table, "re");
        unsigned n = 0, n_refused = 0;
        _cleanup_free_ char *line = NULL;
        size_t room = 0;
        ssize_t size;

        (void)state;
        assert_non_null(f);
        while ((size = getline(&line, &room, f)) > 0) {
                check_line(line, (size_t)size, &n_refused);
                n++;
        }
        print_message("%u tokens, %u refused on purpose\n", n, n_refused);
        assert_true(n > 3800);
        assert_true(n_refused < n / 10);
}

static void refusals(void **state) {
        static const char *const refused[] = { ".inf", "-.INF", "+.Inf", ".nan", "1e400", "-1e999",
                "18446744073709551616", "-9223372036854775809", "0xffffffffffffffffff" };
        static const char *const fine[] = { "18446744073709551615", "-9223372036854775808", "1e308",
                ".infx", "-.nan", "0x", "0o8", "1e", "e5", ".", "+", "-" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                assert_non_null(yaml_scalar(refused[i]).refused);
        for (size_t i = 0; i < ELEMENTSOF(fine); i++)
                assert_null(yaml_scalar(fine[i]).refused);
        assert_int_equal((int64_t)yaml_scalar("-5").integer, -5);
        assert_int_equal(yaml_scalar("0o17").integer, 15);
        assert_int_equal(yaml_scalar("007").integer, 7);
        assert_false(yaml_scalar("-0").negative);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(core_schema),
                cmocka_unit_test(refusals),
        };

        if (argc != 2)
                return 2;
        table = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
