/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/parse.h"
#include "model/base/yaml-bytes.h"
#include "model/base/yaml.h"

/* The code of the first error, or NULL; @size 0: strlen. */
static const char *first_code(const char *text, size_t size) {
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        const char *code;
        int r;

        r = yaml_load(text, size ? size : strlen(text), &diags, &doc);
        assert_true(r == 0 || r == YAML_INVALID);
        assert_true(r == 0 || diags.n_errors > 0);
        assert_int_equal(r == 0, doc != NULL);
        code = diags.n_items > 0 ? diags.items[0].code : NULL; /* static storage */
        return code;
}

typedef struct Case {
        const char *text;
        size_t size;
        const char *code; /* NULL: no finding */
} Case;

static void inputs(void **state) {
        static const Case cases[] = {
                { "a: b", 0, NULL },
                { "a: b\r\n", 0, NULL },
                { "\xef\xbb\xbf"
                  "a: b",
                                0, NULL },
                { "a: |", 0, NULL },
                { "key:", 0, NULL },
                { "{a: b, c: [1, 2]}", 0, NULL },
                { "\"<<\": 1", 0, NULL },
                { "a: \"\\u00e9\\n\"", 0, NULL },
                { "?  u:\t:\t", 0, "syntax" }, /* libfyaml 0.7: double free */
                { "a: \"\\", 0, "syntax" },    /* reads past the end */
                { "a: 'b", 0, "syntax" },
                { "%\xff", 0, "directive" }, /* endless loop */
                { "%YAML 1.2\n---\na: b", 0, "directive" },
                { "a: \xff", 0, "bad-encoding" }, /* silent truncation */
                { "a: \0b", 5, "bad-character" },
                { "a: \x1b[31m", 0, "bad-character" },
                { "a: \x7f", 0, "bad-character" },
                { "a: \xc2\x85", 0, "bad-character" },
                { "a: b # \xe2\x80\xae", 0, "bad-character" },
                { "a: \xef\xbb\xbf", 0, "bad-character" },
                { "a: b\rc: d", 0, "bad-character" },
                { "\xff\xfe"
                  "a\0",
                                4, "bad-encoding" },
                { "a\0:\0 \0b\0", 8, "bad-encoding" },
                { "", 0, "empty" },
                { "# nothing\n", 0, "empty" },
                { "---\n# nothing\n", 0, NULL }, /* an explicit document: one null */
                { "a: b\n---\nc: d", 0, "second-document" },
                { "a: &x b", 0, "anchor" },
                { "a: *x", 0, "alias" },
                { "a: &x [*x]", 0, "anchor" },
                { "a: !!int 5", 0, "tag" },
                { "!x a: 5", 0, "tag" },
                { "<<: {a: b}", 0, "merge-key" },
                { "a: 1\n\"a\": 2", 0, "duplicate-key" },
                { "1: a\n\"1\": b", 0, "duplicate-key" },
                { "? \n: a", 0, "bad-key" },
                { "~: a", 0, "bad-key" },
                { "[a]: b", 0, "bad-key" },
                { "{a: b}: c", 0, "bad-key" },
                { "a: \"\\0\"", 0, "nul-in-string" },
                { "a: .inf", 0, "bad-number" },
                { "a: [1, 2\nb: c", 0, "syntax" },
                { "a:\n\tb: c", 0, "syntax" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *code = first_code(cases[i].text, cases[i].size);

                if (!cases[i].code && code)
                        fail_msg("case %zu: %s", i, code);
                if (cases[i].code && (!code || strcmp(code, cases[i].code) != 0))
                        fail_msg("case %zu (%s): %s instead of %s", i, cases[i].text,
                                        code ? code : "nothing", cases[i].code);
        }
}

/* @head, then @n times @part, then @tail. */
static char *repeat(const char *head, const char *part, size_t n, const char *tail) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *s = NULL;

        strbuf_add(&b, head);
        for (size_t i = 0; i < n; i++)
                strbuf_add(&b, part);
        strbuf_add(&b, tail);
        assert_int_equal(strbuf_finish(&b, &s), 0);
        return s;
}

static void expect(char *text, const char *code) {
        const char *found = first_code(text, 0);

        if (!code)
                assert_null(found);
        else {
                assert_non_null(found);
                assert_string_equal(found, code);
        }
        free(text);
}

/* A mapping and @n lists in each other. */
static char *nested(size_t n) {
        _cleanup_free_ char *open = repeat("a: ", "[", n, "1");

        return repeat(open, "]", n, "\n");
}

/* Sanitizers and valgrind are slower by a factor that the test run knows. */
static long patience(void) {
        const char *factor = getenv("MOSAIC_TEST_PATIENCE");
        uint64_t v;

        return factor && parse_uint_range(factor, 1, 1000, &v) == 0 ? (long)v : 1;
}

static void limits(void **state) {
        struct timespec start, end;

        (void)state;
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &start), 0);
        expect(nested(63), NULL);
        expect(nested(64), "too-deep");
        expect(repeat("", "[", 60000, ""), "too-deep");
        expect(repeat("a: ", " [\n", 100000, ""), "too-deep");
        expect(repeat("", "[", 100000, ""), "line-too-long");
        expect(repeat("a: \"", "x", 1 << 20, "\""), "line-too-long");
        expect(repeat("a: \"", "x", YAML_LINE_MAX - 5, "\""), NULL);
        expect(repeat("a: |\n  b\n", "\n", YAML_BLANK_LINES_MAX, "  c\n"), NULL);
        expect(repeat("a: |\n  b\n", "\n", YAML_BLANK_LINES_MAX + 1, "  c\n"),
                        "too-many-blank-lines");
        expect(repeat("a: |\n  b\n", " \t\r\n", 300, "  c\n"), "too-many-blank-lines");
        expect(repeat("# ", "xxxxxxx\n#", 550000, ""), "too-large");
        expect(repeat("a:\n", "- &x [*x, *x]\n", 20000, ""), "anchor");
        expect(repeat("a:\n", "- 1\n", YAML_NODES_MAX, ""), "too-large");
        /* each on its own line: the library would read them all before it says a word */
        expect(repeat("a:\n", " [\n", YAML_BRACKETS_MAX, ""), "too-deep");
        expect(repeat("a:\n", " [\n", YAML_BRACKETS_MAX + 1, ""), "too-large");
        expect(repeat("a:\n", " {x: [\n", 500000, ""), "too-large");
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &end), 0);
        assert_true(end.tv_sec - start.tv_sec < 60 * patience());
}

/* An alias bomb: each list holds the one before ten times. */
static void bombs(void **state) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        (void)state;
        strbuf_add(&b, "a0: &a0 [x]\n");
        for (int i = 1; i < 12; i++) {
                strbuf_addf(&b, "a%d: &a%d [", i, i);
                for (int k = 0; k < 10; k++)
                        strbuf_addf(&b, "*a%d,", i - 1);
                strbuf_add(&b, "]\n");
        }
        assert_string_equal(first_code(strbuf_text(&b), 0), "anchor");
}

static void many_keys(void **state) {
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        for (int i = 0; i < 100000; i++)
                strbuf_addf(&b, "key%d: %d\n", i, i);
        assert_int_equal(yaml_load(strbuf_text(&b), b.length, &diags, &doc), 0);
        assert_int_equal(doc->root->n_children, 100000);
        assert_int_equal(diags.n_items, 0);
}

typedef struct SpanCase {
        const char *text;
        const char *pointer;
        const char *covers; /* the text of the value's span */
        size_t start;       /* SIZE_MAX: any */
} SpanCase;

static void spans(void **state) {
        static const SpanCase cases[] = {
                { "a: b", "/a", "b", 3 },
                { "a:   'b c'  ", "/a", "'b c'", 5 },
                { "a: \"é\"\nb: 5", "/a", "\"é\"", 3 },
                { "a: \"é\"\nb: 5", "/b", "5", 11 },
                { "a: \"\"", "/a", "\"\"", 3 },
                { "a: {b: [1, 22], c: d}", "/a", "{b: [1, 22], c: d}", 3 },
                { "a: {b: [1, 22], c: d}", "/a/b", "[1, 22]", 7 },
                { "a: {b: [1, 22], c: d}", "/a/b/1", "22", 11 },
                { "a:\n  - x\n  - y\nb: z\n", "/a/1", "y", 13 },
                { "a:\n  b:\n    c: d\n\n\nz: 1\n", "/a/b", "c: d", 12 },
                { "a:\nb: 1", "/a", "", 2 },
                { "a :\nb: 1", "/a", "", 3 },
                { "a: |\n  x\n  y\n\nb: 1", "/a", NULL, SIZE_MAX },
                { "x: [{a: 1}, b: 2]", "/x/1/b", "2", 15 },
                { "x: [{a: 1}, b: 2]", "/x/1", NULL, 12 },
                { "a~b/c: 1", "/a~0b~1c", "1", 7 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const SpanCase *c = &cases[i];
                _cleanup_yaml_doc_ YamlDoc *doc = NULL;
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_strbuf_ StrBuf pointer = STRBUF_NULL;
                const YamlNode *n;

                assert_int_equal(yaml_load(c->text, strlen(c->text), &diags, &doc), 0);
                n = yaml_find(doc->root, c->pointer);
                assert_non_null(n);
                if (c->start != SIZE_MAX && n->span.start != c->start)
                        fail_msg("case %zu: starts at %zu", i, n->span.start);
                if (c->covers && (n->span.end - n->span.start != strlen(c->covers) ||
                                                 memcmp(c->text + n->span.start, c->covers,
                                                                 strlen(c->covers)) != 0))
                        fail_msg("case %zu: covers %.*s", i, (int)(n->span.end - n->span.start),
                                        c->text + n->span.start);
                yaml_write_pointer(doc->root, n, &pointer);
                assert_string_equal(strbuf_text(&pointer), c->pointer);
        }
}

static void duplicates_name_both_places(void **state) {
        static const char text[] = "b: 1\na: 2\nb: 3\nb: 4\n";
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(yaml_load(text, strlen(text), &diags, &doc), 0);
        assert_int_equal(diags.n_errors, 2);
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(diags.items[i].related.start, 0);
        assert_int_equal(doc->root->n_children, 2);
        assert_int_equal(yaml_get(doc->root, "b")->integer, 1); /* the first one stays */
        assert_string_equal(doc->root->last->key->text, "a");
}

static void texts(void **state) {
        static const char text[] = "a: |\n  x\n\n  y\nb: >-\n  x\n  y\nc: |\n";
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(yaml_load(text, strlen(text), &diags, &doc), 0);
        assert_string_equal(yaml_get(doc->root, "a")->text, "x\n\ny\n");
        assert_string_equal(yaml_get(doc->root, "b")->text, "x y");
        assert_string_equal(yaml_get(doc->root, "c")->text, ""); /* not one NUL */
        assert_int_equal(yaml_get(doc->root, "c")->kind, YAML_STRING);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(inputs),
                cmocka_unit_test(limits),
                cmocka_unit_test(bombs),
                cmocka_unit_test(many_keys),
                cmocka_unit_test(spans),
                cmocka_unit_test(texts),
                cmocka_unit_test(duplicates_name_both_places),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
