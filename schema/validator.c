/* SPDX-License-Identifier: MIT */
#include "schema/validator.h"

#include <assert.h>
#include <string.h>

#include "model/base/pointer.h"
#include "model/base/utf8.h"
#include "schema/compile.h"

#define DEPTH_MAX 200

/* Where in the instance: a chain of frames on the stack, turned into text only for an error. */
typedef struct Place {
        const struct Place *parent;
        const char *key; /* NULL: an element */
        size_t index;
} Place;

typedef struct Run {
        const Schema *schema;
        SchemaErrorHandler handler;
        void *user;
        unsigned quiet; /* inside anyOf, not, if ...: a failure there is no error yet */
        unsigned depth;
} Run;

static void write_place(const Place *place, StrBuf *b) {
        if (!place->parent)
                return;
        write_place(place->parent, b);
        if (!place->key) {
                strbuf_addf(b, "/%zu", place->index);
                return;
        }
        pointer_add(b, place->key);
}

/* Reports, unless quiet. Always returns SCHEMA_INVALID or an error. */
static int fail(Run *run,
                const SchemaNode *node,
                SchemaKeyword keyword,
                const Json *value,
                const Place *place,
                const char *property) {
        _cleanup_strbuf_ StrBuf instance = STRBUF_NULL;
        SchemaError error = {
                .keyword = keyword,
                .property = property,
                .value = value,
                .schema = node->json,
                .schema_path = node->path,
        };
        int r;

        if (run->quiet > 0 || !run->handler)
                return SCHEMA_INVALID;
        write_place(place, &instance);
        if (instance.failed)
                return -ENOMEM;
        error.instance = strbuf_text(&instance);
        r = run->handler(&error, run->user);
        return r < 0 ? r : r > 0 ? -ECANCELED : SCHEMA_INVALID;
}

static int check(Run *run, const SchemaNode *node, const Json *value, const Place *place);

/* Whether @value passes, without reporting. 0, SCHEMA_INVALID, or an error. */
static int probe(Run *run, const SchemaNode *node, const Json *value, const Place *place) {
        int r;

        run->quiet++;
        r = check(run, node, value, place);
        run->quiet--;
        return r;
}

static bool has_type(const Json *value, unsigned types) {
        JsonType t = json_type_of(value);
        double d;

        if (types & 1u << t)
                return true;
        if (t == JSON_INTEGER)
                return types & 1u << JSON_DOUBLE;
        if (t != JSON_DOUBLE || !(types & 1u << JSON_INTEGER))
                return false;
        d = json_as_double(value);
        return __builtin_trunc(d) == d; /* 1.0 is an integer */
}

static bool in_enum(const Json *value, const Json *list) {
        for (size_t i = 0; i < json_length(list); i++)
                if (json_equal(value, json_at(list, i)))
                        return true;
        return false;
}

static bool is_number(const Json *value) {
        return json_type_of(value) == JSON_INTEGER || json_type_of(value) == JSON_DOUBLE;
}

/* -1, 0 or 1; exact for integers. */
static int compare_numbers(const Json *a, const Json *b) {
        int64_t ia, ib;
        uint64_t ua, ub;
        double da, db;

        if (json_as_int64(a, &ia) == 0 && json_as_int64(b, &ib) == 0)
                return ia < ib ? -1 : ia > ib;
        if (json_as_uint64(a, &ua) == 0 && json_as_uint64(b, &ub) == 0)
                return ua < ub ? -1 : ua > ub;
        da = json_as_double(a);
        db = json_as_double(b);
        return da < db ? -1 : da > db;
}

static bool are_unique(const Json *array) {
        size_t n = json_length(array);

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        if (json_equal(json_at(array, i), json_at(array, k)))
                                return false;
        return true;
}

/* 1 or 0, or -ENOMEM. A text that takes the pattern past its limits does not match. */
static int matches(const Pattern *p, const char *text, size_t size) {
        int r = pattern_search(p, text, size);

        return r == -ENOMEM ? r : r == 1;
}

/* Keywords that look at the value alone. 1 passes (or does not apply), 0 fails, negative errno. */
static int assertion(const SchemaRule *rule, const Json *value) {
        const Json *limit = rule->value;
        const char *text;
        size_t size;

        switch (rule->keyword) {
        case KEYWORD_TYPE:
                return has_type(value, rule->types);
        case KEYWORD_CONST:
                return json_equal(value, limit);
        case KEYWORD_ENUM:
                return in_enum(value, limit);
        case KEYWORD_MINIMUM:
                return !is_number(value) || compare_numbers(value, limit) >= 0;
        case KEYWORD_MAXIMUM:
                return !is_number(value) || compare_numbers(value, limit) <= 0;
        case KEYWORD_EXCLUSIVE_MINIMUM:
                return !is_number(value) || compare_numbers(value, limit) > 0;
        case KEYWORD_EXCLUSIVE_MAXIMUM:
                return !is_number(value) || compare_numbers(value, limit) < 0;
        case KEYWORD_MIN_LENGTH:
                text = json_as_bytes(value, &size);
                return !text || utf8_length(text, size) >= rule->count;
        case KEYWORD_MAX_LENGTH:
                text = json_as_bytes(value, &size);
                return !text || utf8_length(text, size) <= rule->count;
        case KEYWORD_PATTERN:
                text = json_as_bytes(value, &size);
                if (!text)
                        return 1;
                return matches(rule->patterns[0], text, size);
        case KEYWORD_FORMAT:
                text = json_as_bytes(value, &size);
                if (!text)
                        return 1;
                return schema_regex_is_valid(text, size);
        case KEYWORD_MIN_ITEMS:
                return json_type_of(value) != JSON_ARRAY || json_length(value) >= rule->count;
        case KEYWORD_MAX_ITEMS:
                return json_type_of(value) != JSON_ARRAY || json_length(value) <= rule->count;
        case KEYWORD_UNIQUE_ITEMS:
                return json_type_of(value) != JSON_ARRAY || are_unique(value);
        case KEYWORD_MIN_PROPERTIES:
                return json_type_of(value) != JSON_OBJECT || json_length(value) >= rule->count;
        case KEYWORD_MAX_PROPERTIES:
                return json_type_of(value) != JSON_OBJECT || json_length(value) <= rule->count;
        case KEYWORD_FALSE:
        case KEYWORD_REF:
        case KEYWORD_ITEMS:
        case KEYWORD_REQUIRED:
        case KEYWORD_PROPERTY_NAMES:
        case KEYWORD_PROPERTIES:
        case KEYWORD_PATTERN_PROPERTIES:
        case KEYWORD_ADDITIONAL_PROPERTIES:
        case KEYWORD_ALL_OF:
        case KEYWORD_ANY_OF:
        case KEYWORD_ONE_OF:
        case KEYWORD_NOT:
        case KEYWORD_IF:
        case KEYWORD_THEN:
        case KEYWORD_ELSE:
        case _SCHEMA_KEYWORD_MAX:
                break;
        }
        assert(!"no assertion");
        return -EINVAL;
}

/* Adds one outcome to another: errors win, then invalid. */
#define MERGE(total, r)                                                                            \
        do {                                                                                       \
                int _r = (r);                                                                      \
                if (_r < 0)                                                                        \
                        return _r;                                                                 \
                if (_r > 0)                                                                        \
                        (total) = _r;                                                              \
        } while (0)

static int check_items(Run *run, const SchemaRule *rule, const Json *value, const Place *place) {
        int total = 0;

        for (size_t i = 0; json_type_of(value) == JSON_ARRAY && i < json_length(value); i++) {
                Place p = { .parent = place, .index = i };

                MERGE(total, check(run, rule->nodes[0], json_at(value, i), &p));
        }
        return total;
}

static int check_required(Run *run,
                const SchemaNode *node,
                const SchemaRule *rule,
                const Json *value,
                const Place *place) {
        int total = 0;

        if (json_type_of(value) != JSON_OBJECT)
                return 0;
        for (size_t i = 0; i < json_length(rule->value); i++) {
                const char *name = json_as_string(json_at(rule->value, i));

                if (!json_has(value, name))
                        MERGE(total, fail(run, node, KEYWORD_REQUIRED, value, place, name));
        }
        return total;
}

/* What a name must be is mostly a pattern: it needs no JSON string to be looked at. 1 passes, 0
 * fails, -ENOMEM, -ENOTSUP: there is more to look at. */
static int name_assertions(const SchemaNode *node, const char *name) {
        for (size_t i = 0; i < node->n_rules; i++) {
                const SchemaRule *rule = &node->rules[i];
                int r;

                if (rule->keyword == KEYWORD_TYPE) {
                        if (!(rule->types & 1u << JSON_STRING))
                                return 0;
                } else if (rule->keyword != KEYWORD_PATTERN)
                        return -ENOTSUP;
                else {
                        r = matches(rule->patterns[0], name, strlen(name));
                        if (r != 1)
                                return r;
                }
        }
        return node->is_false ? 0 : 1;
}

/* The name as a value of its own. 1 passes, 0 fails, negative errno. */
static int probe_name(Run *run, const SchemaNode *node, const char *name, const Place *place) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *text = NULL;
        int r;

        json_put_string(&b, NULL, name);
        r = json_finish(&b, &text);
        if (r < 0)
                return r;
        r = probe(run, node, text, place);
        return r < 0 ? r : r == 0;
}

/* The error is about the name; @place is that of the member, so that it can be found. */
static int check_property_names(
                Run *run, const SchemaRule *rule, const Json *value, const Place *place) {
        const SchemaNode *node = rule->nodes[0];
        int total = 0;

        for (JsonIter it = json_iter(value); json_next(&it);) {
                Place p = { .parent = place, .key = it.key };
                int r = name_assertions(node, it.key);

                if (r == -ENOTSUP)
                        r = probe_name(run, node, it.key, &p);
                if (r < 0)
                        return r;
                if (r == 0)
                        MERGE(total, fail(run, node, KEYWORD_PROPERTY_NAMES, it.value, &p, it.key));
        }
        return total;
}

/* properties, patternProperties and additionalProperties, member by member: in the order of the
 * file. */
static int check_member(Run *run,
                const SchemaNode *node,
                const char *key,
                const Json *value,
                const Json *object,
                const Place *place) {
        Place p = { .parent = place, .key = key };
        bool known = false;
        int total = 0;

        for (size_t i = 0; i < node->n_rules; i++) {
                const SchemaRule *rule = &node->rules[i];

                if (rule->keyword == KEYWORD_PROPERTIES) {
                        const SchemaNode *child = schema_rule_find(rule, key);

                        if (child) {
                                known = true;
                                MERGE(total, check(run, child, value, &p));
                        }
                } else if (rule->keyword == KEYWORD_PATTERN_PROPERTIES)
                        for (size_t k = 0; k < rule->n_nodes; k++) {
                                int r = matches(rule->patterns[k], key, strlen(key));

                                if (r < 0)
                                        return r;
                                if (r == 0)
                                        continue;
                                known = true;
                                MERGE(total, check(run, rule->nodes[k], value, &p));
                        }
        }
        if (known || !node->additional)
                return total;
        if (node->additional->is_false)
                MERGE(total, fail(run, node, KEYWORD_ADDITIONAL_PROPERTIES, object, place, key));
        else
                MERGE(total, check(run, node->additional, value, &p));
        return total;
}

static int check_members(Run *run, const SchemaNode *node, const Json *value, const Place *place) {
        int total = 0;

        for (JsonIter it = json_iter(value); json_next(&it);)
                MERGE(total, check_member(run, node, it.key, it.value, value, place));
        return total;
}

static int count_matches(Run *run,
                const SchemaRule *rule,
                const Json *value,
                const Place *place,
                size_t enough,
                size_t *ret) {
        size_t n = 0;

        for (size_t i = 0; i < rule->n_nodes && n < enough; i++) {
                int r = probe(run, rule->nodes[i], value, place);

                if (r < 0)
                        return r;
                if (r == 0)
                        n++;
        }
        *ret = n;
        return 0;
}

/* Keywords that hand the value to other schemas. 0, SCHEMA_INVALID, or an error. */
static int applicator(Run *run,
                const SchemaNode *node,
                const SchemaRule *rule,
                const Json *value,
                const Place *place) {
        size_t n = 0;
        int r, total = 0;

        switch (rule->keyword) {
        case KEYWORD_REF:
                return check(run, rule->nodes[0], value, place);
        case KEYWORD_ALL_OF:
                for (size_t i = 0; i < rule->n_nodes; i++)
                        MERGE(total, check(run, rule->nodes[i], value, place));
                return total;
        case KEYWORD_ANY_OF:
        case KEYWORD_ONE_OF:
                r = count_matches(run, rule, value, place, rule->keyword == KEYWORD_ANY_OF ? 1 : 2,
                                &n);
                if (r < 0)
                        return r;
                return n == 1 ? 0 : fail(run, node, rule->keyword, value, place, NULL);
        case KEYWORD_NOT:
                r = probe(run, rule->nodes[0], value, place);
                if (r < 0)
                        return r;
                return r > 0 ? 0 : fail(run, node, rule->keyword, value, place, NULL);
        case KEYWORD_IF:
                r = probe(run, rule->nodes[0], value, place);
                if (r < 0)
                        return r;
                if (r == 0)
                        return node->then ? check(run, node->then, value, place) : 0;
                return node->otherwise ? check(run, node->otherwise, value, place) : 0;
        case KEYWORD_ITEMS:
                return check_items(run, rule, value, place);
        case KEYWORD_REQUIRED:
                return check_required(run, node, rule, value, place);
        case KEYWORD_PROPERTY_NAMES:
                return check_property_names(run, rule, value, place);
        case KEYWORD_PROPERTIES:
        case KEYWORD_PATTERN_PROPERTIES:
        case KEYWORD_ADDITIONAL_PROPERTIES: /* together: check_members() */
        case KEYWORD_THEN:
        case KEYWORD_ELSE:
                return 0;
        case KEYWORD_FALSE:
        case KEYWORD_TYPE:
        case KEYWORD_CONST:
        case KEYWORD_ENUM:
        case KEYWORD_MINIMUM:
        case KEYWORD_MAXIMUM:
        case KEYWORD_EXCLUSIVE_MINIMUM:
        case KEYWORD_EXCLUSIVE_MAXIMUM:
        case KEYWORD_MIN_LENGTH:
        case KEYWORD_MAX_LENGTH:
        case KEYWORD_PATTERN:
        case KEYWORD_FORMAT:
        case KEYWORD_MIN_ITEMS:
        case KEYWORD_MAX_ITEMS:
        case KEYWORD_UNIQUE_ITEMS:
        case KEYWORD_MIN_PROPERTIES:
        case KEYWORD_MAX_PROPERTIES:
        case _SCHEMA_KEYWORD_MAX:
                break;
        }
        assert(!"no applicator");
        return -EINVAL;
}

/* The rules stand in the order of the enum: the type first, and after a failure there nothing else
 * is said about the value; sizes before what is inside. */
static int check_rules(Run *run, const SchemaNode *node, const Json *value, const Place *place) {
        bool too_many = false;
        int r, total = 0;

        for (size_t i = 0; i < node->n_rules; i++) {
                const SchemaRule *rule = &node->rules[i];

                if (schema_keyword_is_applicator(rule->keyword)) {
                        MERGE(total, applicator(run, node, rule, value, place));
                        if (total > 0 && run->quiet > 0)
                                return total;
                        continue;
                }
                if (rule->keyword == KEYWORD_UNIQUE_ITEMS && too_many)
                        continue; /* quadratic, and there is an error already */
                r = assertion(rule, value);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                MERGE(total, fail(run, node, rule->keyword, value, place, NULL));
                if (rule->keyword == KEYWORD_TYPE || run->quiet > 0)
                        return total;
                if (rule->keyword == KEYWORD_MAX_ITEMS)
                        too_many = true;
        }
        if (json_type_of(value) == JSON_OBJECT && node->has_members)
                MERGE(total, check_members(run, node, value, place));
        return total;
}

static int check(Run *run, const SchemaNode *node, const Json *value, const Place *place) {
        int r;

        if (node->is_false)
                return fail(run, node, KEYWORD_FALSE, value, place, NULL);
        if (++run->depth > DEPTH_MAX)
                return -ELOOP;
        r = check_rules(run, node, value, place);
        run->depth--;
        return r;
}

static int run_validation(const Schema *s,
                const SchemaNode *node,
                const Json *instance,
                SchemaErrorHandler handler,
                void *user) {
        Run run = { .schema = s, .handler = handler, .user = user };
        Place root = { 0 };
        int r;

        r = check(&run, node, instance, &root);
        return r == -ECANCELED ? SCHEMA_INVALID : r;
}

int schema_validate(const Schema *s, const Json *instance, SchemaErrorHandler handler, void *user) {
        return run_validation(s, s->root, instance, handler, user);
}

int schema_validate_part(const Schema *s,
                const char *pointer,
                const Json *instance,
                SchemaErrorHandler handler,
                void *user) {
        const Json *part;
        int r = schema_lookup(s, pointer, &part);

        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_nodes; i++)
                if (s->nodes[i]->json == part)
                        return run_validation(s, s->nodes[i], instance, handler, user);
        return -ENOENT;
}
