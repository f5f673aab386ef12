/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/yaml.h"
#include "model/yaml-write.h"

static const struct {
        const char *text;
        const char *written; /* NULL: in double quotes, as it is */
} cases[] = {
        { "word", "word" },
        { "two words", "two words" },
        { "--model", "--model" },
        { "-x", "-x" },
        { "~/src", "~/src" },
        { "/usr/bin", "/usr/bin" },
        { "200%", "200%" },
        { "a@b", "a@b" },
        { "", NULL },
        { "-", NULL },
        { "--", NULL },
        { "---", NULL },
        { "---a", NULL },
        { "- a", NULL },
        { "~", NULL },
        { "null", NULL },
        { "true", NULL },
        { "1", NULL },
        { "0x1f", NULL },
        { "1e3", NULL },
        { ".inf", NULL },
        { "yes", "yes" },
        { "a: b", NULL },
        { "a:", NULL },
        { "a #b", NULL },
        { "#b", NULL },
        { "a,b", NULL },
        { "{name}", NULL },
        { "[x", NULL },
        { "&x", NULL },
        { "*x", NULL },
        { "!x", NULL },
        { "%x", NULL },
        { "@x", NULL },
        { "<<", NULL },
        { " a", NULL },
        { "a ", NULL },
        { "a  b", NULL },
        { "it's", NULL },
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "a\nb\tc", "\"a\\nb\\tc\"" },
        { "\x1b[31m", "\"\\u001b[31m\"" },
        { "\xe2\x80\xae"
          "x",
                        "\"\\u202ex\"" },
        { "\xc2\x9b", "\"\\u009b\"" },
        { "h\xc3\xa9", NULL },
        { "\xe6\x96\x87", NULL },
};

static void strings_are_written(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL, quoted = STRBUF_NULL;

                yaml_write_string(cases[i].text, &b);
                strbuf_addf(&quoted, "\"%s\"", cases[i].text);
                assert_string_equal(strbuf_text(&b), cases[i].written ?: strbuf_text(&quoted));
        }
}

/* As a key, as a value and inside brackets the loader reads what was written. */
static void strings_are_read_back(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_yaml_doc_ YamlDoc *doc = NULL;
                const YamlNode *n;

                strbuf_add(&b, "value: ");
                yaml_write_string(cases[i].text, &b);
                strbuf_add(&b, "\nlist: [a, ");
                yaml_write_string(cases[i].text, &b);
                strbuf_add(&b, ", b]\nkeys:\n  ");
                yaml_write_string(cases[i].text, &b);
                strbuf_add(&b, ": 1\n");
                if (yaml_load(strbuf_text(&b), b.length, &diags, &doc) != 0 || diags.n_items > 0)
                        fail_msg("%s: %s", strbuf_text(&b), diags.items[0].text);
                n = yaml_get(doc->root, "value");
                assert_int_equal(n->kind, YAML_STRING);
                assert_string_equal(n->text, cases[i].text);
                n = yaml_at(yaml_get(doc->root, "list"), 1);
                assert_int_equal(n->kind, YAML_STRING);
                assert_string_equal(n->text, cases[i].text);
                assert_string_equal(yaml_get(doc->root, "keys")->first->key->text, cases[i].text);
        }
}

static void lists_are_written(void **state) {
        _cleanup_json_builder_ JsonBuilder j = JSON_BUILDER_NULL;
        _cleanup_json_ Json *list = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        (void)state;
        json_open_array(&j, NULL);
        json_put_string(&j, NULL, "a");
        json_put_uint(&j, NULL, 143);
        json_put_string(&j, NULL, "143");
        json_put_bool(&j, NULL, true);
        json_open_array(&j, NULL);
        json_close(&j);
        json_close(&j);
        assert_int_equal(json_finish(&j, &list), 0);
        yaml_write_flow(list, &b);
        assert_string_equal(strbuf_text(&b), "[a, 143, \"143\", true, []]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strings_are_written),
                cmocka_unit_test(strings_are_read_back),
                cmocka_unit_test(lists_are_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
