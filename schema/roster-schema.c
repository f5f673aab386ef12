/* SPDX-License-Identifier: MIT */
#include "model/roster-schema.h"

#include <assert.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/pointer.h"
#include "model/base/suggest.h"
#include "model/yaml-json.h"
#include "schema/pattern.h"
#include "schema/validator.h"

#define ERRORS_MAX 100

/* Written by framework/embed.py from schema/roster.schema.json. */
extern const unsigned char roster_schema_json[];
extern const size_t roster_schema_json_size;

struct RosterSchema {
        Schema *schema;
};

RosterSchema *roster_schema_free(RosterSchema *s) {
        if (!s)
                return NULL;
        schema_free(s->schema);
        free(s);
        return NULL;
}

int roster_schema_new(RosterSchema **ret) {
        _cleanup_roster_schema_ RosterSchema *s = NULL;
        _cleanup_json_ Json *document = NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = json_parse((const char *)roster_schema_json, roster_schema_json_size, &document);
        if (r < 0)
                return r;
        r = schema_new(document, SCHEMA_DRAFT_07, /* assert_format= */ true, &message, &s->schema);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

bool roster_pattern_matches_empty(const char *pattern) {
        _cleanup_pattern_ Pattern *p = NULL;

        if (pattern_new(pattern, strlen(pattern), PATTERN_PERL, NULL, NULL, &p) < 0)
                return false;
        return pattern_search(p, "", 0) == 1;
}

/* --- collecting ------------------------------------------------------------------------------- */

/* A SchemaError that outlives the validation; the schema parts are borrowed from the schema. */
typedef struct Found {
        SchemaKeyword keyword;
        char *instance;
        char *property;
        const Json *schema;
        bool answered; /* another finding says it better */
} Found;

typedef struct Collection {
        const Schema *schema;
        const YamlNode *root;
        Diags *diags;
        Found *items;
        size_t n_items;
        int error;
} Collection;

static void collection_done(Collection *c) {
        for (size_t i = 0; i < c->n_items; i++) {
                free(c->items[i].instance);
                free(c->items[i].property);
        }
        free(c->items);
}

static int collect(const SchemaError *error, void *user) {
        Collection *c = user;
        Found *f;

        if (c->n_items >= ERRORS_MAX)
                return 1;
        f = array_grow(&c->items, c->n_items, sizeof(*f));
        if (!f)
                return c->error = -ENOMEM;
        c->n_items++;
        f->keyword = error->keyword;
        f->schema = error->schema;
        f->instance = strdup(error->instance);
        f->property = error->property ? strdup(error->property) : NULL;
        if (!f->instance || (error->property && !f->property))
                return c->error = -ENOMEM;
        return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

typedef struct WordPair {
        const char *theirs;
        const char *ours;
} WordPair;

/* What other tools call it. */
static const WordPair foreign_words[] = {
        { "after_agents", "after" },
        { "args_append", "args" },
        { "argv", "command" },
        { "cmd", "command" },
        { "cwd", "workdir" },
        { "depends_on", "after" },
        { "dir", "workdir" },
        { "directory", "workdir" },
        { "env_file", "env_files" },
        { "environment", "env" },
        { "hosts", "host" },
        { "path", "workdir" },
        { "requires", "after" },
        { "resources", "limits" },
        { "restart_policy", "restart" },
        { "secrets", "credentials" },
        { "services", "agents" },
        { "settings", "defaults" },
        { "tags", "labels" },
        { "timeout", "stop_timeout" },
        { "type", "runtime" },
        { "working_dir", "workdir" },
        { "working_directory", "workdir" },
};

/* Words that are kept for later, each with its own sentence. */
static const WordPair reserved_words[] = {
        { "on_loss", "what happens when a machine is lost is a person's decision: write the agent "
                     "for another machine with host:" },
        { "pool", "agents are bound to machines by host: (a name, a pattern or a list), not to a "
                  "pool" },
        { "replicas", "write one entry per copy: each coding agent needs a working tree of its "
                      "own" },
        { "select", "agents are bound to machines by host: (a name, a pattern or a list), not by "
                    "selection" },
};

/* Words that are keys, but not of an agent. */
static const WordPair misplaced_words[] = {
        { "cmd", "a command belongs to a runtime: runtimes: {NAME: {command: [...]}}; args: of an "
                 "agent are put behind it" },
        { "command", "a command belongs to a runtime: runtimes: {NAME: {command: [...]}}; args: of "
                     "an agent are put behind it" },
};

static const char *find_word(const WordPair *words, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(words[i].theirs, word) == 0)
                        return words[i].ours;
        return NULL;
}

/* The key that may have been meant; NULL if none is near. */
static const char *nearest_key(const Json *schema, const char *word) {
        const Json *properties = json_get(schema, "properties");
        Suggestion s = suggestion_init(word);
        const char *foreign;

        foreign = find_word(foreign_words, ELEMENTSOF(foreign_words), word);
        if (foreign && json_has(properties, foreign))
                return foreign;
        for (JsonIter it = json_iter(properties); json_next(&it);)
                suggestion_offer(&s, it.key);
        return s.best;
}

/* --- wording ---------------------------------------------------------------------------------- */

static const char *last_part(const char *pointer) {
        const char *slash = strrchr(pointer, '/');

        return slash ? slash + 1 : "";
}

static bool is_index(const char *part) {
        return part[0] != '\0' && part[strspn(part, "0123456789")] == '\0';
}

/* What the sentence is about: "each value of env", "delay", the roster. */
static void write_subject(const Found *f, const YamlNode *node, StrBuf *b) {
        const char *subject = json_get_string(f->schema, "x-subject");

        if (subject)
                strbuf_add(b, subject);
        else if (f->instance[0] == '\0')
                strbuf_add(b, "the roster");
        else if (node && node->key)
                strbuf_addf(b, "\"%s\"", node->key->text);
        else if (is_index(last_part(f->instance)))
                strbuf_add(b, "each entry");
        else
                strbuf_addf(b, "\"%s\"", last_part(f->instance));
}

static void write_list(const Json *list, StrBuf *b) {
        size_t n = json_length(list);

        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        strbuf_add(b, i + 1 == n ? " or " : ", ");
                json_write(json_at(list, i), JSON_PLAIN, b);
        }
}

/* Words of an enum without the quotes of JSON. */
static void write_words(const Json *list, StrBuf *b) {
        size_t n = json_length(list);

        for (size_t i = 0; i < n; i++) {
                const char *word = json_as_string(json_at(list, i));

                if (!word) {
                        strbuf_done(b);
                        write_list(list, b);
                        return;
                }
                strbuf_addf(b, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", word);
        }
}

static const char *type_phrase(const char *type) {
        static const WordPair phrases[] = {
                { "array", "a list" },
                { "boolean", "true or false" },
                { "integer", "a whole number" },
                { "null", "empty" },
                { "number", "a number" },
                { "object", "a mapping" },
                { "string", "a string" },
        };

        return find_word(phrases, ELEMENTSOF(phrases), type);
}

/* What the value must be, from the hint or from the keyword itself. */
static void write_wanted(const Found *f, StrBuf *b) {
        const char *hint = json_get_string(f->schema, "x-hint");
        const Json *value = json_get(f->schema, schema_keyword_to_string(f->keyword));
        const char *type = json_as_string(value);

        if (json_has(f->schema, "enum"))
                write_words(json_get(f->schema, "enum"), b);
        else if (hint)
                strbuf_add(b, hint);
        else if (f->keyword == KEYWORD_TYPE && type)
                strbuf_add(b, type_phrase(type));
        else if (f->keyword == KEYWORD_CONST)
                json_write(value, JSON_PLAIN, b);
        else
                strbuf_addf(b, "of the form that %s describes",
                                schema_keyword_to_string(f->keyword));
}

/* Whether the plain scalar would be fine as a string with @suffix behind it. */
static int fits_as_string(const Found *f, const YamlNode *node, const char *suffix, bool *ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *text = NULL, *document = NULL;
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        *ret = false;
        if (!node->plain || !node->text || !node->text[0] ||
                        (node->kind != YAML_BOOL && node->kind != YAML_INTEGER &&
                                        node->kind != YAML_DOUBLE))
                return 0;
        json_put_stringf(&b, NULL, "%s%s", node->text, suffix);
        r = json_finish(&b, &text);
        if (r < 0)
                return r;
        /* strings are described without references, so the part stands for itself */
        document = json_share((Json *)(uintptr_t)f->schema);
        r = schema_new(document, SCHEMA_DRAFT_07, /* assert_format= */ true, &message, &schema);
        if (r == -EINVAL)
                return 0;
        if (r < 0)
                return r;
        r = schema_validate(schema, text, NULL, NULL);
        if (r < 0)
                return r;
        *ret = r == 0;
        return 0;
}

/* Values of env may be secrets: they are shown in the excerpt on a terminal and nowhere else. */
static bool is_secret_place(const char *pointer) {
        return strstr(pointer, "/env/") || strstr(pointer, "/credentials/");
}

static Span place_of(const YamlNode *node) {
        /* an empty value has no extent: its key shows where it is */
        if (node->span.start == node->span.end && node->key)
                return node->key->span;
        /* the first character of a collection is enough */
        if (node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE)
                return node->key ? node->key->span
                                 : (Span){ node->span.start, node->span.start + 1 };
        return node->span;
}

/* --- findings --------------------------------------------------------------------------------- */

/* The pointer of a member; NULL without memory. */
static char *member_pointer(const char *parent, const char *name) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *s;

        strbuf_add(&b, parent);
        pointer_add(&b, name);
        return strbuf_finish(&b, &s) < 0 ? NULL : s;
}

static int report_unknown(Collection *c, const Found *f) {
        _cleanup_free_ char *path = NULL, *help = NULL;
        const YamlNode *parent = yaml_find(c->root, f->instance);
        const YamlNode *node = yaml_get(parent, f->property);
        const char *near, *sentence;
        Diag *d;

        path = member_pointer(f->instance, f->property);
        if (!path)
                return -ENOMEM;
        if (!node)
                return 0;
        sentence = find_word(reserved_words, ELEMENTSOF(reserved_words), f->property);
        if (sentence) {
                (void)diags_add(c->diags, SEVERITY_ERROR, "reserved-key", node->key->span, path,
                                sentence, "\"%s\" is reserved for a later version", f->property);
                return 0;
        }
        near = nearest_key(f->schema, f->property);
        if (near && yaml_get(parent, near))
                near = NULL; /* it is there already */
        sentence = strncmp(f->instance, "/agents/", strlen("/agents/")) == 0
                                   ? find_word(misplaced_words, ELEMENTSOF(misplaced_words),
                                                     f->property)
                                   : NULL;
        if (sentence) {
                near = NULL;
                help = strdup(sentence);
                if (!help)
                        return -ENOMEM;
        } else if (near) {
                if (format_text(&help, "did you mean \"%s\"?", near) < 0)
                        return -ENOMEM;
        } else {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                const char *separator = "known here: ";
                int r;

                for (JsonIter it = json_iter(json_get(f->schema, "properties")); json_next(&it);) {
                        strbuf_addf(&b, "%s%s", separator, it.key);
                        separator = ", ";
                }
                r = strbuf_finish(&b, &help);
                if (r < 0)
                        return r;
        }
        d = diags_add(c->diags, SEVERITY_ERROR, "unknown-key", node->key->span, path, help,
                        "unknown key \"%s\"", f->property);
        if (d && near)
                d->fix = strdup(near); /* only a convenience: may be missing */
        return 0;
}

static int report_missing(Collection *c, const Found *f) {
        _cleanup_free_ char *path = NULL, *help = NULL;
        const YamlNode *parent = yaml_find_nearest(c->root, f->instance);
        const Json *property, *examples;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        property = json_get(json_get(f->schema, "properties"), f->property);
        property = schema_resolve(c->schema, property);
        examples = json_get(property, "examples");
        path = member_pointer(f->instance, f->property);
        if (!path)
                return -ENOMEM;
        if (json_length(examples) > 0 && json_length(json_at(examples, 0)) == 0) {
                const char *text = json_as_string(json_at(examples, 0));

                strbuf_addf(&b, "add a line such as %s: ", f->property);
                if (text)
                        strbuf_add(&b, text);
                else
                        json_write(json_at(examples, 0), JSON_PLAIN, &b);
        } else
                strbuf_addf(&b, "add %s:", f->property);
        r = strbuf_finish(&b, &help);
        if (r < 0)
                return r;
        if (parent->key)
                (void)diags_add(c->diags, SEVERITY_ERROR, "missing-key", parent->key->span, path,
                                help, "\"%s\" has no \"%s\"", parent->key->text, f->property);
        else
                (void)diags_add(c->diags, SEVERITY_ERROR, "missing-key",
                                parent->kind == YAML_MAPPING && parent != c->root ? place_of(parent)
                                                                                  : SPAN_NONE,
                                path, help, "\"%s:\" is missing", f->property);
        return 0;
}

static int report_empty(Collection *c, const Found *f, const YamlNode *node) {
        _cleanup_strbuf_ StrBuf wanted = STRBUF_NULL;
        _cleanup_free_ char *help = NULL;
        bool tilde = node->plain && node->text && strcmp(node->text, "~") == 0;

        write_wanted(f, &wanted);
        if (format_text(&help, "%swrite %s, or delete the line",
                            tilde ? "a bare ~ is the empty value in YAML: " : "",
                            strbuf_text(&wanted)) < 0)
                return -ENOMEM;
        (void)diags_add(c->diags, SEVERITY_ERROR, "empty-value", place_of(node), f->instance, help,
                        node->key ? "\"%s\" is empty" : "this entry is empty",
                        node->key ? node->key->text : "");
        return 0;
}

static int report_type(Collection *c, const Found *f, const YamlNode *node) {
        _cleanup_strbuf_ StrBuf subject = STRBUF_NULL, wanted = STRBUF_NULL;
        _cleanup_free_ char *help = NULL, *fix = NULL;
        bool quote = false;
        Diag *d;
        int r;

        if (node->kind == YAML_NULL)
                return report_empty(c, f, node);
        write_subject(f, node, &subject);
        write_wanted(f, &wanted);
        if (subject.failed || wanted.failed)
                return -ENOMEM;
        r = fits_as_string(f, node, "", &quote);
        if (r < 0)
                return r;
        if (quote && is_secret_place(f->instance))
                help = strdup("put quotes around it: \"...\"");
        else if (quote) {
                if (format_text(&fix, "\"%s\"", node->text) < 0)
                        return -ENOMEM;
                if (format_text(&help, "write %s%s%s", node->key ? node->key->text : "",
                                    node->key ? ": " : "", fix) < 0)
                        return -ENOMEM;
        }
        d = diags_add(c->diags, SEVERITY_ERROR, "wrong-type",
                        node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE ? place_of(node)
                                                                                  : node->span,
                        f->instance, help, "%s must be %s, this is %s", strbuf_text(&subject),
                        strbuf_text(&wanted), yaml_kind_to_string(node->kind));
        if (d)
                d->fix = TAKE_PTR(fix);
        return 0;
}

static int report_word(Collection *c, const Found *f, const YamlNode *node) {
        _cleanup_strbuf_ StrBuf subject = STRBUF_NULL, wanted = STRBUF_NULL;
        Suggestion s = suggestion_init(node->text ? node->text : "");
        _cleanup_free_ char *help = NULL;
        Diag *d;

        if (node->kind == YAML_NULL)
                return report_empty(c, f, node);
        for (size_t i = 0; i < json_length(json_get(f->schema, "enum")); i++) {
                const char *word = json_as_string(json_at(json_get(f->schema, "enum"), i));

                if (word && node->kind == YAML_STRING)
                        suggestion_offer(&s, word);
        }
        write_subject(f, node, &subject);
        write_wanted(f, &wanted);
        if (subject.failed || wanted.failed ||
                        (s.best && format_text(&help, "did you mean \"%s\"?", s.best) < 0))
                return -ENOMEM;
        d = diags_add(c->diags, SEVERITY_ERROR, "bad-value", place_of(node), f->instance, help,
                        "%s must be %s", strbuf_text(&subject), strbuf_text(&wanted));
        if (d && s.best)
                d->fix = strdup(s.best);
        return 0;
}

static int report_name(Collection *c, const Found *f, const YamlNode *node) {
        _cleanup_strbuf_ StrBuf subject = STRBUF_NULL, wanted = STRBUF_NULL;

        write_subject(f, node, &subject);
        write_wanted(f, &wanted);
        if (subject.failed || wanted.failed)
                return -ENOMEM;
        (void)diags_add(c->diags, SEVERITY_ERROR, "bad-name",
                        node->key ? node->key->span : node->span, f->instance, NULL,
                        "%s must be %s", strbuf_text(&subject), strbuf_text(&wanted));
        return 0;
}

static int report_pattern(Collection *c, const Found *f, const YamlNode *node) {
        _cleanup_pattern_ Pattern *p = NULL;
        char message[PATTERN_MESSAGE_SIZE] = "";
        size_t offset = 0;
        int r;

        if (node->kind != YAML_STRING)
                return 0;
        r = pattern_new(node->text, strlen(node->text), PATTERN_PERL, message, &offset, &p);
        if (r == -ENOMEM)
                return r;
        (void)diags_add(c->diags, SEVERITY_ERROR, "bad-pattern", node->span, f->instance,
                        "patterns are PCRE2; single quotes keep backslashes as they are",
                        "this pattern does not compile: %s (at character %zu)", message,
                        offset + 1);
        return 0;
}

/* Bounds and forms: "X must be WANTED". */
static int report_form(Collection *c, const Found *f, const YamlNode *node, const char *code) {
        _cleanup_strbuf_ StrBuf subject = STRBUF_NULL, wanted = STRBUF_NULL;
        const Json *limit = json_get(f->schema, schema_keyword_to_string(f->keyword));
        const char *hint = json_get_string(f->schema, "x-hint");
        _cleanup_free_ char *help = NULL;
        bool seconds = false;
        int r;

        /* a duration without a unit */
        r = fits_as_string(f, node, "s", &seconds);
        if (r < 0)
                return r;
        if (seconds && format_text(&help, "did you mean %ss?", node->text) < 0)
                return -ENOMEM;
        write_subject(f, node, &subject);
        switch ((int)f->keyword) {
        case KEYWORD_MINIMUM:
        case KEYWORD_MAXIMUM:
                if (hint)
                        strbuf_addf(&wanted, "must be %s", hint);
                else {
                        strbuf_addf(&wanted, "must be at %s ",
                                        f->keyword == KEYWORD_MINIMUM ? "least" : "most");
                        json_write(limit, JSON_PLAIN, &wanted);
                }
                break;
        case KEYWORD_MIN_LENGTH:
                strbuf_add(&wanted, "must not be empty");
                break;
        case KEYWORD_MAX_LENGTH:
                strbuf_add(&wanted, "must not be longer than ");
                json_write(limit, JSON_PLAIN, &wanted);
                strbuf_add(&wanted, " characters");
                break;
        case KEYWORD_MIN_ITEMS:
        case KEYWORD_MIN_PROPERTIES:
                strbuf_add(&wanted, "must not be empty");
                break;
        case KEYWORD_MAX_ITEMS:
        case KEYWORD_MAX_PROPERTIES:
                strbuf_add(&wanted, "must not have more than ");
                json_write(limit, JSON_PLAIN, &wanted);
                strbuf_add(&wanted, " entries");
                break;
        case KEYWORD_UNIQUE_ITEMS:
                strbuf_add(&wanted, "must not hold the same entry twice");
                break;
        default:
                strbuf_add(&wanted, "must be ");
                write_wanted(f, &wanted);
                break;
        }
        if (subject.failed || wanted.failed)
                return -ENOMEM;
        (void)diags_add(c->diags, SEVERITY_ERROR, code, place_of(node), f->instance, help, "%s %s",
                        strbuf_text(&subject), strbuf_text(&wanted));
        return 0;
}

static int report(Collection *c, const Found *f) {
        const YamlNode *node = yaml_find_nearest(c->root, f->instance);

        if (node->broken)
                return 0; /* there is a finding about it */
        switch (f->keyword) {
        case KEYWORD_ADDITIONAL_PROPERTIES:
                return report_unknown(c, f);
        case KEYWORD_REQUIRED:
                return report_missing(c, f);
        case KEYWORD_TYPE:
                return report_type(c, f, node);
        case KEYWORD_CONST:
        case KEYWORD_ENUM:
                return report_word(c, f, node);
        case KEYWORD_PROPERTY_NAMES:
                return report_name(c, f, node);
        case KEYWORD_FORMAT:
                return report_pattern(c, f, node);
        case KEYWORD_MINIMUM:
        case KEYWORD_MAXIMUM:
        case KEYWORD_EXCLUSIVE_MINIMUM:
        case KEYWORD_EXCLUSIVE_MAXIMUM:
        case KEYWORD_MIN_LENGTH:
        case KEYWORD_MAX_LENGTH:
        case KEYWORD_MIN_ITEMS:
        case KEYWORD_MAX_ITEMS:
        case KEYWORD_MIN_PROPERTIES:
        case KEYWORD_MAX_PROPERTIES:
                return report_form(c, f, node, "out-of-range");
        case KEYWORD_UNIQUE_ITEMS:
                return report_form(c, f, node, "not-unique");
        case KEYWORD_PATTERN:
        case KEYWORD_FALSE:
        case KEYWORD_ANY_OF:
        case KEYWORD_ONE_OF:
        case KEYWORD_NOT:
                return report_form(c, f, node, "bad-form");
        case KEYWORD_REF:
        case KEYWORD_ITEMS:
        case KEYWORD_PROPERTIES:
        case KEYWORD_PATTERN_PROPERTIES:
        case KEYWORD_ALL_OF:
        case KEYWORD_IF:
        case KEYWORD_THEN:
        case KEYWORD_ELSE:
        case _SCHEMA_KEYWORD_MAX:
                break;
        }
        assert(!"reports through others");
        return 0;
}

/* A misspelt required key is one error and not two. */
static void drop_answered(Collection *c) {
        for (size_t i = 0; i < c->n_items; i++) {
                const Found *unknown = &c->items[i];
                const char *near;

                if (unknown->keyword != KEYWORD_ADDITIONAL_PROPERTIES)
                        continue;
                near = nearest_key(unknown->schema, unknown->property);
                for (size_t k = 0; near && k < c->n_items; k++)
                        if (c->items[k].keyword == KEYWORD_REQUIRED &&
                                        c->items[k].schema == unknown->schema &&
                                        strcmp(c->items[k].instance, unknown->instance) == 0 &&
                                        strcmp(c->items[k].property, near) == 0)
                                c->items[k].answered = true;
        }
}

static int check_part(const RosterSchema *s, const char *part, const YamlNode *root, Diags *diags) {
        _cleanup_(collection_done) Collection c = {
                .schema = s->schema,
                .root = root,
                .diags = diags,
        };
        _cleanup_json_ Json *instance = NULL;
        int r;

        r = yaml_to_json(root, &instance);
        if (r < 0)
                return r;
        r = schema_validate_part(s->schema, part, instance, collect, &c);
        if (c.error < 0)
                return c.error;
        if (r < 0)
                return r;
        drop_answered(&c);
        for (size_t i = 0; i < c.n_items; i++) {
                if (c.items[i].answered)
                        continue;
                r = report(&c, &c.items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int roster_schema_check(const RosterSchema *s, const YamlNode *root, Diags *diags) {
        return check_part(s, "", root, diags);
}

int roster_schema_check_runtime(const RosterSchema *s, const YamlNode *root, Diags *diags) {
        return check_part(s, "/$defs/runtime_data", root, diags);
}
