/* SPDX-License-Identifier: MIT */
#include "schema/compile.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/pointer.h"

#define NESTING_MAX 100

typedef struct Compiler {
        Schema *schema;
        StrBuf message;
        unsigned nesting;
} Compiler;

/* What a keyword's value must be. */
typedef enum Shape {
        SHAPE_ANY,
        SHAPE_NUMBER,
        SHAPE_COUNT,
        SHAPE_TRUE_FALSE,
        SHAPE_STRING,
        SHAPE_STRINGS,
        SHAPE_LIST,
        SHAPE_TYPES,
        SHAPE_PATTERN,
        SHAPE_REF,
        SHAPE_SCHEMA,
        SHAPE_SCHEMA_LIST,
        SHAPE_SCHEMA_MAP,
} Shape;

typedef struct KeywordInfo {
        const char *name;
        Shape shape;
        bool applicator;
} KeywordInfo;

static const KeywordInfo keywords[] = {
        [KEYWORD_FALSE] = { "false", SHAPE_ANY, false },
        [KEYWORD_REF] = { "$ref", SHAPE_REF, true },
        [KEYWORD_TYPE] = { "type", SHAPE_TYPES, false },
        [KEYWORD_CONST] = { "const", SHAPE_ANY, false },
        [KEYWORD_ENUM] = { "enum", SHAPE_LIST, false },
        [KEYWORD_MINIMUM] = { "minimum", SHAPE_NUMBER, false },
        [KEYWORD_MAXIMUM] = { "maximum", SHAPE_NUMBER, false },
        [KEYWORD_EXCLUSIVE_MINIMUM] = { "exclusiveMinimum", SHAPE_NUMBER, false },
        [KEYWORD_EXCLUSIVE_MAXIMUM] = { "exclusiveMaximum", SHAPE_NUMBER, false },
        [KEYWORD_MIN_LENGTH] = { "minLength", SHAPE_COUNT, false },
        [KEYWORD_MAX_LENGTH] = { "maxLength", SHAPE_COUNT, false },
        [KEYWORD_PATTERN] = { "pattern", SHAPE_PATTERN, false },
        [KEYWORD_FORMAT] = { "format", SHAPE_STRING, false },
        [KEYWORD_MIN_ITEMS] = { "minItems", SHAPE_COUNT, false },
        [KEYWORD_MAX_ITEMS] = { "maxItems", SHAPE_COUNT, false },
        [KEYWORD_UNIQUE_ITEMS] = { "uniqueItems", SHAPE_TRUE_FALSE, false },
        [KEYWORD_ITEMS] = { "items", SHAPE_SCHEMA, true },
        [KEYWORD_MIN_PROPERTIES] = { "minProperties", SHAPE_COUNT, false },
        [KEYWORD_MAX_PROPERTIES] = { "maxProperties", SHAPE_COUNT, false },
        [KEYWORD_REQUIRED] = { "required", SHAPE_STRINGS, true },
        [KEYWORD_PROPERTY_NAMES] = { "propertyNames", SHAPE_SCHEMA, true },
        [KEYWORD_PROPERTIES] = { "properties", SHAPE_SCHEMA_MAP, true },
        [KEYWORD_PATTERN_PROPERTIES] = { "patternProperties", SHAPE_SCHEMA_MAP, true },
        [KEYWORD_ADDITIONAL_PROPERTIES] = { "additionalProperties", SHAPE_SCHEMA, true },
        [KEYWORD_ALL_OF] = { "allOf", SHAPE_SCHEMA_LIST, true },
        [KEYWORD_ANY_OF] = { "anyOf", SHAPE_SCHEMA_LIST, true },
        [KEYWORD_ONE_OF] = { "oneOf", SHAPE_SCHEMA_LIST, true },
        [KEYWORD_NOT] = { "not", SHAPE_SCHEMA, true },
        [KEYWORD_IF] = { "if", SHAPE_SCHEMA, true },
        [KEYWORD_THEN] = { "then", SHAPE_SCHEMA, true },
        [KEYWORD_ELSE] = { "else", SHAPE_SCHEMA, true },
};
_Static_assert(ELEMENTSOF(keywords) == _SCHEMA_KEYWORD_MAX, "a row for each");

/* They say something to people and editors, and nothing about validity. */
static const char *const annotations[] = {
        "$comment",
        "$schema",
        "default",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
};

const char *schema_keyword_to_string(SchemaKeyword k) {
        return k < _SCHEMA_KEYWORD_MAX ? keywords[k].name : NULL;
}

bool schema_keyword_is_applicator(SchemaKeyword k) {
        return keywords[k].applicator;
}

int schema_regex_is_valid(const char *text, size_t size) {
        _cleanup_pattern_ Pattern *p = NULL;
        int r = pattern_new(text, size, PATTERN_PERL, NULL, NULL, &p);

        return r == -ENOMEM ? r : r == 0;
}

const SchemaNode *schema_rule_find(const SchemaRule *rule, const char *name) {
        size_t low = 0, high = rule->n_nodes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = strcmp(name, rule->names[middle]);

                if (r == 0)
                        return rule->nodes[middle];
                if (r < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

static void node_free(SchemaNode *n) {
        for (size_t i = 0; i < n->n_rules; i++) {
                SchemaRule *rule = &n->rules[i];

                for (size_t k = 0; k < rule->n_patterns; k++)
                        pattern_free(rule->patterns[k]);
                free(rule->patterns);
                free(rule->names);
                free(rule->nodes);
        }
        free(n->rules);
        free(n->path);
        free(n);
}

Schema *schema_free(Schema *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_nodes; i++)
                node_free(s->nodes[i]);
        free(s->nodes);
        json_free(s->document);
        free(s);
        return NULL;
}

/* --- references ------------------------------------------------------------------------------- */

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                return (c | 0x20) - 'a' + 10;
        return -1;
}

/* One part of a pointer: ~1, ~0 and, in a reference, %XX undone. */
static char *decode_part(const char *part, size_t n, bool percent) {
        char *s = malloc(n + 1);
        size_t k = 0;

        if (!s)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (percent && part[i] == '%' && i + 2 < n && hex_digit(part[i + 1]) >= 0 &&
                                hex_digit(part[i + 2]) >= 0) {
                        s[k++] = (char)(hex_digit(part[i + 1]) << 4 | hex_digit(part[i + 2]));
                        i += 2;
                } else
                        s[k++] = part[i];
        n = k;
        k = 0;
        for (size_t i = 0; i < n; i++)
                if (s[i] == '~' && i + 1 < n && (s[i + 1] == '0' || s[i + 1] == '1'))
                        s[k++] = s[++i] == '0' ? '~' : '/';
                else
                        s[k++] = s[i];
        s[k] = '\0';
        return s;
}

/* 0; -ENOENT; -ENOMEM. */
static int resolve_pointer(
                const Json *document, const char *pointer, bool percent, const Json **ret) {
        const Json *j = document;

        while (*pointer == '/') {
                size_t n = strcspn(pointer + 1, "/");
                _cleanup_free_ char *part = decode_part(pointer + 1, n, percent);

                if (!part)
                        return -ENOMEM;
                if (json_type_of(j) == JSON_ARRAY) {
                        size_t index = 0, digits = strspn(part, "0123456789");

                        if (digits == 0 || digits > 9 || part[digits])
                                return -ENOENT;
                        for (const char *p = part; *p; p++)
                                index = index * 10 + (size_t)(*p - '0');
                        j = json_at(j, index);
                } else
                        j = json_get(j, part);
                if (!j)
                        return -ENOENT;
                pointer += 1 + n;
        }
        if (*pointer)
                return -ENOENT;
        *ret = j;
        return 0;
}

const Json *schema_resolve(const Schema *s, const Json *object) {
        for (unsigned i = 0; i < NESTING_MAX && json_get_string(object, "$ref"); i++)
                if (resolve_pointer(s->document, json_get_string(object, "$ref") + 1,
                                    /* percent= */ true, &object) < 0)
                        return NULL;
        return object;
}

int schema_lookup(const Schema *s, const char *pointer, const Json **ret) {
        const Json *j;
        int r = resolve_pointer(s->document, pointer, /* percent= */ false, &j);

        if (r < 0)
                return r;
        *ret = schema_resolve(s, j);
        return *ret ? 0 : -ENOENT;
}

/* --- compiling -------------------------------------------------------------------------------- */

static int refuse(Compiler *c, const char *path, const char *format, ...) _printf_(3, 4);

static int refuse(Compiler *c, const char *path, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        strbuf_addf(&c->message, "#%s: %s", path, text);
        return -EINVAL;
}

static int compile(Compiler *c, const Json *json, const char *path, SchemaNode **ret);

static int compile_child(Compiler *c,
                const Json *json,
                const char *path,
                const char *keyword,
                const char *name,
                SchemaRule *rule) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        SchemaNode **slot;
        SchemaNode *node;
        int r;

        strbuf_add(&b, path);
        pointer_add(&b, keyword);
        if (name)
                pointer_add(&b, name);
        if (b.failed)
                return -ENOMEM;
        r = compile(c, json, strbuf_text(&b), &node);
        if (r < 0)
                return r;
        slot = array_grow(&rule->nodes, rule->n_nodes, sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        *slot = node;
        rule->n_nodes++;
        return 0;
}

static int add_pattern(Compiler *c, const Json *text, const char *path, SchemaRule *rule) {
        char message[PATTERN_MESSAGE_SIZE];
        Pattern *p, **slot;
        const char *s;
        size_t size;
        int r;

        s = json_as_bytes(text, &size);
        assert(s);
        r = pattern_new(s, size, PATTERN_ECMA, message, NULL, &p);
        if (r == -EINVAL)
                return refuse(c, path, "the pattern \"%s\" does not compile: %s", s, message);
        if (r < 0)
                return r;
        slot = array_grow(&rule->patterns, rule->n_patterns, sizeof(*slot));
        if (!slot) {
                pattern_free(p);
                return -ENOMEM;
        }
        *slot = p;
        rule->n_patterns++;
        return 0;
}

static int name_pattern(Compiler *c, const char *name, const char *path, SchemaRule *rule) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *text = NULL;
        int r;

        json_put_string(&b, NULL, name);
        r = json_finish(&b, &text);
        return r < 0 ? r : add_pattern(c, text, path, rule);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compile_map(Compiler *c, const char *path, SchemaRule *rule) {
        const char *keyword = keywords[rule->keyword].name;
        size_t n = json_length(rule->value), i = 0;
        int r;

        if (json_type_of(rule->value) != JSON_OBJECT)
                return refuse(c, path, "%s must be an object", keyword);
        rule->names = calloc(n + 1, sizeof(*rule->names));
        if (!rule->names)
                return -ENOMEM;
        for (JsonIter it = json_iter(rule->value); json_next(&it);)
                rule->names[i++] = it.key;
        qsort(rule->names, n, sizeof(*rule->names), compare_names);
        for (i = 0; i < n; i++) {
                const Json *child = json_get(rule->value, rule->names[i]);

                r = compile_child(c, child, path, keyword, rule->names[i], rule);
                if (r < 0)
                        return r;
                if (rule->keyword != KEYWORD_PATTERN_PROPERTIES)
                        continue;
                r = name_pattern(c, rule->names[i], path, rule);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compile_list(Compiler *c, const char *path, SchemaRule *rule) {
        const char *keyword = keywords[rule->keyword].name;

        if (json_type_of(rule->value) != JSON_ARRAY || json_length(rule->value) == 0)
                return refuse(c, path, "%s must be a list of schemas", keyword);
        for (size_t i = 0; i < json_length(rule->value); i++) {
                char index[24];
                int r;

                (void)snprintf(index, sizeof(index), "%zu", i);
                r = compile_child(c, json_at(rule->value, i), path, keyword, index, rule);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool add_type(const char *name, unsigned *types) {
        static const struct {
                const char *name;
                JsonType type;
        } names[] = {
                { "null", JSON_NULL },
                { "boolean", JSON_BOOL },
                { "integer", JSON_INTEGER },
                { "number", JSON_DOUBLE },
                { "string", JSON_STRING },
                { "array", JSON_ARRAY },
                { "object", JSON_OBJECT },
        };

        for (size_t i = 0; name && i < ELEMENTSOF(names); i++)
                if (strcmp(names[i].name, name) == 0) {
                        *types |= 1u << names[i].type;
                        return true;
                }
        return false;
}

static int compile_types(Compiler *c, const char *path, SchemaRule *rule) {
        bool ok = true;

        if (json_type_of(rule->value) == JSON_ARRAY)
                for (size_t i = 0; i < json_length(rule->value); i++)
                        ok = add_type(json_as_string(json_at(rule->value, i)), &rule->types) && ok;
        else
                ok = add_type(json_as_string(rule->value), &rule->types);
        return ok && rule->types ? 0 : refuse(c, path, "type names no type");
}

static int compile_ref(Compiler *c, const char *path, SchemaRule *rule) {
        const char *ref = json_as_string(rule->value);
        const Json *target;
        SchemaNode **slot;
        int r;

        if (!ref || ref[0] != '#' || (ref[1] != '\0' && ref[1] != '/'))
                return refuse(c, path, "$ref must be a JSON pointer inside this document");
        r = resolve_pointer(c->schema->document, ref + 1, /* percent= */ true, &target);
        if (r == -ENOENT)
                return refuse(c, path, "$ref \"%s\" points nowhere", ref);
        if (r < 0)
                return r;
        slot = array_grow(&rule->nodes, rule->n_nodes, sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        r = compile(c, target, ref + 1, slot);
        if (r < 0)
                return r;
        rule->n_nodes++;
        return 0;
}

static int compile_strings(Compiler *c, const char *path, const SchemaRule *rule) {
        bool ok = json_type_of(rule->value) == JSON_ARRAY;

        for (size_t i = 0; ok && i < json_length(rule->value); i++)
                ok = json_as_string(json_at(rule->value, i));
        return ok ? 0 : refuse(c, path, "%s must be a list of names", keywords[rule->keyword].name);
}

static int compile_count(Compiler *c, const char *path, SchemaRule *rule) {
        uint64_t v;

        if (json_as_uint64(rule->value, &v) < 0 || v > SIZE_MAX)
                return refuse(c, path, "%s must be a whole number", keywords[rule->keyword].name);
        rule->count = v;
        return 0;
}

static int compile_rule(Compiler *c, const char *path, SchemaRule *rule) {
        const char *name = keywords[rule->keyword].name;
        JsonType type = json_type_of(rule->value);

        switch (keywords[rule->keyword].shape) {
        case SHAPE_ANY:
                return 0;
        case SHAPE_NUMBER:
                if (type == JSON_INTEGER || type == JSON_DOUBLE)
                        return 0;
                return refuse(c, path, "%s must be a number", name);
        case SHAPE_COUNT:
                return compile_count(c, path, rule);
        case SHAPE_TRUE_FALSE:
                return type == JSON_BOOL ? 0 : refuse(c, path, "%s must be true or false", name);
        case SHAPE_STRING:
                return type == JSON_STRING ? 0 : refuse(c, path, "%s must be a string", name);
        case SHAPE_STRINGS:
                return compile_strings(c, path, rule);
        case SHAPE_LIST:
                return type == JSON_ARRAY ? 0 : refuse(c, path, "%s must be a list", name);
        case SHAPE_TYPES:
                return compile_types(c, path, rule);
        case SHAPE_PATTERN:
                if (type != JSON_STRING)
                        return refuse(c, path, "%s must be a string", name);
                return add_pattern(c, rule->value, path, rule);
        case SHAPE_REF:
                return compile_ref(c, path, rule);
        case SHAPE_SCHEMA:
                return compile_child(c, rule->value, path, name, NULL, rule);
        case SHAPE_SCHEMA_LIST:
                return compile_list(c, path, rule);
        case SHAPE_SCHEMA_MAP:
                return compile_map(c, path, rule);
        }
        return -EINVAL;
}

/* Definitions are compiled too: an unknown keyword in one that nothing refers to is still an
 * error. */
static int compile_definitions(
                Compiler *c, const Json *map, const char *path, const char *keyword) {
        SchemaRule unused = { 0 };
        int r = 0;

        if (json_type_of(map) != JSON_OBJECT)
                return refuse(c, path, "%s must be an object", keyword);
        for (JsonIter it = json_iter(map); r == 0 && json_next(&it);)
                r = compile_child(c, it.value, path, keyword, it.key, &unused);
        free(unused.nodes);
        return r;
}

/* Keywords that are no rules. 1: @key is not one of them. */
static int compile_other(Compiler *c, const SchemaNode *node, const char *key, const Json *value) {
        for (size_t i = 0; i < ELEMENTSOF(annotations); i++)
                if (strcmp(annotations[i], key) == 0)
                        return 0;
        if (strncmp(key, "x-", 2) == 0)
                return 0;
        if (strcmp(key, "$defs") == 0 || strcmp(key, "definitions") == 0)
                return compile_definitions(c, value, node->path, key);
        if (strcmp(key, "$id") == 0) {
                if (node->path[0] != '\0')
                        return refuse(c, node->path, "$id is only allowed at the root");
                return 0;
        }
        return 1;
}

static int find_keyword(const char *name) {
        for (int i = KEYWORD_REF; i < _SCHEMA_KEYWORD_MAX; i++)
                if (strcmp(keywords[i].name, name) == 0)
                        return i;
        return -1;
}

static int add_rule(Compiler *c, SchemaNode *node, SchemaKeyword keyword, const Json *value) {
        SchemaRule *rule;
        int r;

        if (keyword == KEYWORD_FORMAT) {
                const char *format = json_as_string(value);

                if (!c->schema->assert_format)
                        return format ? 0 : refuse(c, node->path, "format must be a string");
                if (!format || strcmp(format, "regex") != 0)
                        return refuse(c, node->path, "only the format regex is known");
        }
        if (keyword == KEYWORD_UNIQUE_ITEMS && json_type_of(value) == JSON_BOOL &&
                        !json_as_bool(value))
                return 0;
        rule = array_grow(&node->rules, node->n_rules, sizeof(*rule));
        if (!rule)
                return -ENOMEM;
        node->n_rules++;
        rule->keyword = keyword;
        rule->value = value;
        r = compile_rule(c, node->path, rule);
        if (r < 0)
                return r;
        if (keyword == KEYWORD_ADDITIONAL_PROPERTIES)
                node->additional = rule->nodes[0];
        else if (keyword == KEYWORD_THEN)
                node->then = rule->nodes[0];
        else if (keyword == KEYWORD_ELSE)
                node->otherwise = rule->nodes[0];
        if (keyword == KEYWORD_PROPERTIES || keyword == KEYWORD_PATTERN_PROPERTIES ||
                        keyword == KEYWORD_ADDITIONAL_PROPERTIES)
                node->has_members = true;
        return 0;
}

static int compare_rules(const void *a, const void *b) {
        const SchemaRule *x = a, *y = b;

        return (int)x->keyword - (int)y->keyword;
}

static int compile_members(Compiler *c, SchemaNode *node) {
        bool only_ref = c->schema->dialect == SCHEMA_DRAFT_07 && json_has(node->json, "$ref");
        int r;

        for (JsonIter it = json_iter(node->json); json_next(&it);) {
                int keyword = find_keyword(it.key);

                if (keyword < 0) {
                        r = compile_other(c, node, it.key, it.value);
                        if (r > 0)
                                return refuse(c, node->path, "unknown keyword \"%s\"", it.key);
                } else if (only_ref && keyword != KEYWORD_REF)
                        r = 0;
                else
                        r = add_rule(c, node, (SchemaKeyword)keyword, it.value);
                if (r < 0)
                        return r;
        }
        if (node->n_rules > 1)
                qsort(node->rules, node->n_rules, sizeof(*node->rules), compare_rules);
        return 0;
}

static int compile(Compiler *c, const Json *json, const char *path, SchemaNode **ret) {
        bool object = json_type_of(json) == JSON_OBJECT;
        Schema *s = c->schema;
        SchemaNode *node, **slot;
        int r;

        if (!object && json_type_of(json) != JSON_BOOL)
                return refuse(c, path, "a schema must be an object, true or false");
        for (size_t i = 0; i < s->n_nodes && object; i++)
                if (s->nodes[i]->json == json) {
                        *ret = s->nodes[i];
                        return 0;
                }
        if (c->nesting == NESTING_MAX)
                return refuse(c, path, "nested too deep");
        node = calloc(1, sizeof(*node));
        if (!node)
                return -ENOMEM;
        slot = array_grow(&s->nodes, s->n_nodes, sizeof(*slot));
        if (!slot) {
                free(node);
                return -ENOMEM;
        }
        *slot = node;
        s->n_nodes++;
        node->path = strdup(path);
        if (!node->path)
                return -ENOMEM;
        if (!object)
                node->is_false = !json_as_bool(json);
        else {
                node->json = json;
                c->nesting++;
                r = compile_members(c, node);
                c->nesting--;
                if (r < 0)
                        return r;
        }
        *ret = node;
        return 0;
}

static int choose_dialect(Compiler *c) {
        const Json *document = c->schema->document;
        const char *name = json_get_string(document, "$schema");

        if (!json_has(document, "$schema"))
                return 0;
        if (name && (strcmp(name, "http://json-schema.org/draft-07/schema#") == 0 ||
                                    strcmp(name, "http://json-schema.org/draft-07/schema") == 0))
                c->schema->dialect = SCHEMA_DRAFT_07;
        else if (name && strcmp(name, "https://json-schema.org/draft/2020-12/schema") == 0)
                c->schema->dialect = SCHEMA_DRAFT_2020_12;
        else
                return refuse(c, "", "unknown dialect in $schema");
        return 0;
}

int schema_new(Json *document,
                SchemaDialect dialect,
                bool assert_format,
                char **ret_message,
                Schema **ret) {
        _cleanup_schema_ Schema *s = NULL;
        Compiler c = { 0 };
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->document = json_share(document);
        s->dialect = dialect;
        s->assert_format = assert_format;
        c.schema = s;
        r = choose_dialect(&c);
        if (r == 0)
                r = compile(&c, document, "", &s->root);
        if (r == -EINVAL) {
                int q = strbuf_finish(&c.message, ret_message);

                return q < 0 ? q : -EINVAL;
        }
        strbuf_done(&c.message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
