/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "schema/validator.h"

static Json *parse(const char *text) {
        Json *j = NULL;

        assert_int_equal(json_parse(text, strlen(text), &j), 0);
        return j;
}

typedef struct LoadCase {
        const char *schema;
        const char *message; /* NULL: loads */
} LoadCase;

static void loading(void **state) {
        static const LoadCase cases[] = {
                { "true", NULL },
                { "{}", NULL },
                { "{\"x-hint\": 5, \"title\": \"t\", \"$comment\": \"c\"}", NULL },
                { "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"}", NULL },
                { "{\"$schema\": \"https://json-schema.org/draft/2019-09/schema\"}",
                                "#: unknown dialect in $schema" },
                { "{\"minimun\": 5}", "#: unknown keyword \"minimun\"" },
                { "{\"properties\": {\"a/b\": {\"requird\": []}}}",
                                "#/properties/a~1b: unknown keyword \"requird\"" },
                { "{\"$defs\": {\"a\": {\"typ\": \"x\"}}}", "#/$defs/a: unknown keyword \"typ\"" },
                { "{\"type\": \"strin\"}", "#: type names no type" },
                { "{\"minLength\": -1}", "#: minLength must be a whole number" },
                { "{\"maximum\": \"5\"}", "#: maximum must be a number" },
                { "{\"pattern\": \"(\"}", "#: the pattern \"(\" does not compile: missing closing "
                                          "parenthesis" },
                { "{\"patternProperties\": {\"[\": true}}",
                                "#: the pattern \"[\" does not compile: missing terminating ] for "
                                "character class" },
                { "{\"required\": \"a\"}", "#: required must be a list of names" },
                { "{\"required\": [5]}", "#: required must be a list of names" },
                { "{\"items\": [true]}", "#/items: a schema must be an object, true or false" },
                { "{\"allOf\": []}", "#: allOf must be a list of schemas" },
                { "{\"$ref\": \"http://example.invalid/\"}",
                                "#: $ref must be a JSON pointer inside this document" },
                { "{\"$ref\": \"#/nowhere\"}", "#: $ref \"#/nowhere\" points nowhere" },
                { "{\"items\": {\"$id\": \"x\"}}", "#/items: $id is only allowed at the root" },
                { "{\"format\": \"email\"}", "#: only the format regex is known" },
                { "{\"uniqueItems\": 1}", "#: uniqueItems must be true or false" },
                { "{\"enum\": 1}", "#: enum must be a list" },
                { "5", "#: a schema must be an object, true or false" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *document = parse(cases[i].schema);
                _cleanup_schema_ Schema *schema = NULL;
                _cleanup_free_ char *message = NULL;
                int r;

                r = schema_new(document, SCHEMA_DRAFT_07, /* assert_format= */ true, &message,
                                &schema);
                if (cases[i].message) {
                        assert_int_equal(r, -EINVAL);
                        assert_string_equal(message, cases[i].message);
                } else
                        assert_int_equal(r, 0);
        }
}

/* "keyword instance property schema_path" of each error, one a line. */
static int write_error(const SchemaError *e, void *user) {
        StrBuf *b = user;

        strbuf_addf(b, "%s %s", schema_keyword_to_string(e->keyword), e->instance);
        if (e->property)
                strbuf_addf(b, " (%s)", e->property);
        strbuf_addf(b, " #%s\n", e->schema_path);
        return 0;
}

typedef struct ErrorCase {
        const char *schema;
        const char *instance;
        const char *errors;
} ErrorCase;

static void errors(void **state) {
        static const ErrorCase cases[] = {
                { "{\"type\": \"integer\", \"minimum\": 5}", "\"x\"", "type  #\n" },
                { "{\"type\": \"integer\", \"minimum\": 5, \"maximum\": 3}", "4",
                                "minimum  #\nmaximum  #\n" },
                { "{\"type\": \"integer\"}", "1.0", "" },
                { "{\"type\": \"integer\"}", "1.5", "type  #\n" },
                { "{\"properties\": {\"a\": {\"type\": \"object\", \"required\": [\"x\"]}}}",
                                "{\"a\": 5}", "type /a #/properties/a\n" },
                { "{\"properties\": {\"a\": {\"type\": \"object\", \"required\": [\"x\", \"y\"]}}}",
                                "{\"a\": {}}",
                                "required /a (x) #/properties/a\nrequired /a (y) "
                                "#/properties/a\n" },
                { "{\"additionalProperties\": false, \"properties\": {\"a/b\": {\"const\": 1}}}",
                                "{\"c~d\": 1, \"a/b\": 2}",
                                "additionalProperties  (c~d) #\nconst /a~1b #/properties/a~1b\n" },
                { "{\"items\": {\"$ref\": \"#/$defs/n\"}, \"$defs\": {\"n\": {\"enum\": [1]}}}",
                                "[1, 2]", "enum /1 #/$defs/n\n" },
                { "{\"propertyNames\": {\"pattern\": \"^a\"}}", "{\"b\": 1}",
                                "propertyNames /b (b) #/propertyNames\n" },
                { "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "5",
                                "anyOf  #\n" },
                { "{\"oneOf\": [true, true]}", "5", "oneOf  #\n" },
                { "{\"not\": {}}", "5", "not  #\n" },
                { "{\"if\": {\"type\": \"string\"}, \"then\": {\"minLength\": 2}}", "\"é\"",
                                "minLength  #/then\n" },
                { "{\"if\": {\"type\": \"string\"}, \"else\": {\"const\": 1}}", "2",
                                "const  #/else\n" },
                { "{\"maxItems\": 1, \"uniqueItems\": true}", "[1, 1]", "maxItems  #\n" },
                { "{\"uniqueItems\": true}", "[1, 1.0]", "uniqueItems  #\n" },
                { "{\"format\": \"regex\"}", "\"(\"", "format  #\n" },
                { "{\"$ref\": \"#/$defs/a\", \"maximum\": 1, \"$defs\": {\"a\": true}}", "5", "" },
                { "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"$ref\": "
                  "\"#/$defs/a\", \"maximum\": 1, \"$defs\": {\"a\": true}}",
                                "5", "maximum  #\n" },
                { "{\"minimum\": 18446744073709551615}", "18446744073709551614", "minimum  #\n" },
                { "{\"exclusiveMinimum\": -1}", "18446744073709551615", "" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ Json *document = parse(cases[i].schema);
                _cleanup_json_ Json *instance = parse(cases[i].instance);
                _cleanup_schema_ Schema *schema = NULL;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                _cleanup_free_ char *message = NULL;
                int r;

                r = schema_new(document, SCHEMA_DRAFT_07, /* assert_format= */ true, &message,
                                &schema);
                assert_int_equal(r, 0);
                r = schema_validate(schema, instance, write_error, &b);
                assert_string_equal(strbuf_text(&b), cases[i].errors);
                assert_int_equal(r, cases[i].errors[0] ? SCHEMA_INVALID : 0);
        }
}

static int stop_at_once(const SchemaError *e, void *user) {
        (void)e;
        ++*(int *)user;
        return 1;
}

static void a_handler_can_stop(void **state) {
        _cleanup_json_ Json *document = parse("{\"items\": false}"), *instance = parse("[1, 2, 3]");
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;
        int n = 0;

        (void)state;
        assert_int_equal(schema_new(document, SCHEMA_DRAFT_07, true, &message, &schema), 0);
        assert_int_equal(schema_validate(schema, instance, stop_at_once, &n), SCHEMA_INVALID);
        assert_int_equal(n, 1);
}

static void endless_references_end(void **state) {
        _cleanup_json_ Json *document = parse("{\"$ref\": \"#\"}"), *instance = parse("1");
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;

        (void)state;
        assert_int_equal(schema_new(document, SCHEMA_DRAFT_07, true, &message, &schema), 0);
        assert_int_equal(schema_validate(schema, instance, NULL, NULL), -ELOOP);
}

static void lookup_follows_references(void **state) {
        _cleanup_json_ Json *document =
                        parse("{\"properties\": {\"a\": {\"$ref\": \"#/$defs/x\"}}, "
                              "\"$defs\": {\"x\": {\"title\": \"found\"}}}");
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;
        const Json *part = NULL;

        (void)state;
        assert_int_equal(schema_new(document, SCHEMA_DRAFT_07, true, &message, &schema), 0);
        assert_int_equal(schema_lookup(schema, "/properties/a", &part), 0);
        assert_string_equal(json_get_string(part, "title"), "found");
        assert_int_equal(schema_lookup(schema, "/properties/b", &part), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(loading),
                cmocka_unit_test(errors),
                cmocka_unit_test(a_handler_can_stop),
                cmocka_unit_test(endless_references_end),
                cmocka_unit_test(lookup_follows_references),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
