/* SPDX-License-Identifier: MIT */

/*
 * The decode tables and the schema say the same: the same keys, both ways, with the same effect;
 * and every key of the schema is explained to people. Then what an effect means: for each key of an
 * agent, of the defaults and of a runtime, setting it changes exactly the fingerprint that its
 * effect promises.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "framework/assets.h"
#include "model/json.h"
#include "model/roster-decode.h"
#include "model/roster.h"
#include "schema/validator.h"

static Schema *schema;

static int set_up(void **state) {
        const Asset *asset = asset_find("fleet/roster.schema.json");
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ Json *document = NULL;

        (void)state;
        if (!asset || json_parse((const char *)asset->bytes, asset->size, &document) < 0)
                return -1;
        return schema_new(document, SCHEMA_DRAFT_07, /* assert_format= */ true, &message, &schema);
}

static int tear_down(void **state) {
        (void)state;
        schema = schema_free(schema);
        return 0;
}

static void check_explained(const char *name, const Json *property) {
        const char *effect = json_get_string(property, "x-effect");

        if (!json_get_string(property, "description") ||
                        json_length(json_get(property, "examples")) == 0)
                fail_msg("%s has no description or no examples", name);
        if (!effect || (strcmp(effect, "live") != 0 && strcmp(effect, "restart") != 0 &&
                                       strcmp(effect, "none") != 0))
                fail_msg("%s has no x-effect", name);
}

static const RosterKey *find_row(const RosterTable *table, const char *name) {
        for (size_t i = 0; i < table->n_keys; i++)
                if (strcmp(table->keys[i].name, name) == 0)
                        return &table->keys[i];
        return NULL;
}

/* Keys of the root that are read in other ways than by a row. */
static bool is_special(const RosterTable *table, const char *name) {
        static const char *const names[] = { "version", "runtimes", "agents" };

        for (size_t i = 0; table == &roster_table_root && i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static const Json *properties_at(const char *pointer) {
        const Json *part = NULL;

        assert_int_equal(schema_lookup(schema, pointer, &part), 0);
        return json_get(part, "properties");
}

static void compare_table(const RosterTable *table) {
        const Json *properties = properties_at(table->schema);

        assert_int_equal(json_type_of(properties), JSON_OBJECT);
        for (JsonIter it = json_iter(properties); json_next(&it);) {
                const Json *property = schema_resolve(schema, it.value);
                const RosterKey *row = find_row(table, it.key);

                check_explained(it.key, property);
                if (is_special(table, it.key))
                        continue;
                if (!row)
                        fail_msg("%s: %s is in the schema and has no row", table->schema, it.key);
        }
        for (size_t i = 0; i < table->n_keys; i++) {
                if (!json_has(properties, table->keys[i].name))
                        fail_msg("%s: %s has a row and is not in the schema", table->schema,
                                        table->keys[i].name);
                if (table->keys[i].section)
                        compare_table(table->keys[i].section);
        }
}

static void tables_and_schema_agree(void **state) {
        (void)state;
        compare_table(&roster_table_root);
        compare_table(&roster_table_agent);
        compare_table(&roster_table_runtime);
}

static int no_error(const SchemaError *e, void *user) {
        (void)user;
        fail_msg("%s: %s", e->schema_path, schema_keyword_to_string(e->keyword));
        return 1;
}

/* An example that the schema refuses would teach wrong things. */
static void check_examples(const char *path) {
        const Json *properties = properties_at(path);

        for (JsonIter it = json_iter(properties); json_next(&it);) {
                const Json *property = schema_resolve(schema, it.value);
                const Json *examples = json_get(property, "examples");
                _cleanup_free_ char *pointer = NULL;

                assert_true(asprintf(&pointer, "%s/properties/%s", path, it.key) > 0);
                for (size_t i = 0; i < json_length(examples); i++)
                        assert_int_equal(schema_validate_part(schema, pointer, json_at(examples, i),
                                                         no_error, NULL),
                                        0);
                if (!json_has(it.value, "$ref"))
                        check_examples(pointer);
        }
}

static void examples_are_valid(void **state) {
        (void)state;
        check_examples("");
        check_examples("/$defs/agent");
        check_examples("/$defs/restart");
        check_examples("/$defs/limits");
        check_examples("/$defs/runtime_data");
        check_examples("/$defs/credential");
}

/* --- effects ---------------------------------------------------------------------------------- */

static Desired *load(const char *text) {
        static const Machine machine = {
                .hostname = "here",
                .user_home = "/home/ana",
                .mosaic_home = "/home/ana/.config/mosaic",
        };
        const RosterSource roster = { "roster.yaml", text, strlen(text) };
        const Asset *pi = asset_find("fleet/runtimes/pi.yaml");
        const RosterSource runtime = { pi->path, (const char *)pi->bytes, pi->size };
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        Desired *d = NULL;

        if (roster_load(&roster, &runtime, 1, &machine, &diags, &d) != 0)
                fail_msg("%s\n%s", diags.n_items > 0 ? diags.items[0].text : "", text);
        return d;
}

typedef struct Setting {
        const char *key;
        const char *before; /* NULL: the key is not there */
        const char *after;
} Setting;

/* @effect: "restart", "live" or "none", as the schema says. */
static void expect_effect(
                const char *key, const char *effect, const char *before, const char *after) {
        _cleanup_(desired_freep) Desired *a = load(before), *b = load(after);
        bool restart, live;

        restart = strcmp(a->agents[0]->restart_fingerprint, b->agents[0]->restart_fingerprint) != 0;
        live = strcmp(a->agents[0]->live_fingerprint, b->agents[0]->live_fingerprint) != 0;
        if (restart != (strcmp(effect, "restart") == 0))
                fail_msg("%s: restart fingerprint %s", key, restart ? "changed" : "is the same");
        if (live != (strcmp(effect, "live") == 0))
                fail_msg("%s: live fingerprint %s", key, live ? "changed" : "is the same");
        if (restart && strcmp(a->agents[0]->resolved, b->agents[0]->resolved) == 0)
                fail_msg("%s: resolved is the same", key);
}

static char *write_line(const char *key, const char *value) {
        char *line = NULL;

        if (value)
                assert_true(asprintf(&line, "%s: %s", key, value) >= 0);
        else
                line = strdup("");
        assert_non_null(line);
        return line;
}

/* @where: "agent", "defaults" or "runtime". */
static char *write_roster(const char *where, const char *line) {
        bool agent = strcmp(where, "agent") == 0, defaults = strcmp(where, "defaults") == 0;
        char *text = NULL;

        assert_true(asprintf(&text,
                                    "version: 1\n"
                                    "defaults:\n  x_: 1\n  %s\n"
                                    "runtimes:\n  mine:\n    %s\n    %s\n"
                                    "  other: {command: [b]}\n"
                                    "agents:\n  a:\n%s%s%s    %s\n",
                                    defaults ? line : "",
                                    strncmp(line, "command:", 8) == 0 ? "" : "command: [a]",
                                    agent || defaults ? "" : line,
                                    strstr(line, "workdir:") ? "" : "    workdir: /w/a\n",
                                    strstr(line, "runtime:") ? "" : "    runtime: mine\n",
                                    strstr(line, "model:") ? "" : "    model: m\n",
                                    agent ? line : "") > 0);
        /* an empty mapping is not valid: the marker keeps `defaults:` a line of its own */
        memcpy(strstr(text, "  x_: 1\n"), defaults ? "        " : "# x_: 1\n", 8);
        return text;
}

static const Setting *find_setting(const Setting *settings, size_t n, const char *key) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(settings[i].key, key) == 0)
                        return &settings[i];
        return NULL;
}

static void check_table(
                const char *where, const RosterTable *table, const Setting *settings, size_t n) {
        const Json *properties = properties_at(table->schema);

        for (size_t i = 0; i < table->n_keys; i++) {
                const char *key = table->keys[i].name;
                const Setting *s = find_setting(settings, n, key);
                const Json *property = schema_resolve(schema, json_get(properties, key));
                _cleanup_free_ char *before_line = NULL, *after_line = NULL, *before = NULL,
                                    *after = NULL;

                if (!s)
                        fail_msg("no case for %s", key);
                before_line = write_line(s->key, s->before);
                after_line = write_line(s->key, s->after);
                before = write_roster(where, before_line);
                after = write_roster(where, after_line);
                expect_effect(key, json_get_string(property, "x-effect"), before, after);
        }
}

static void effects_are_what_they_say(void **state) {
        static const Setting settings[] = {
                { "description", NULL, "x" },
                { "workdir", "/w/b", "/w/c" },
                { "args", NULL, "[x]" },
                { "labels", NULL, "{a: b}" },
                { "after", "[]", "[]" },
                { "runtime", "mine", "other" },
                { "model", "n", "o" },
                { "state", NULL, "paused" },
                { "on_change", NULL, "keep" },
                { "host", NULL, "here" },
                { "env", "{A: b}", "{A: c}" },
                { "env_pass", NULL, "[A]" },
                { "env_files", NULL, "[/x]" },
                { "credentials", NULL, "{A: {file: /x}}" },
                { "restart", NULL, "never" },
                { "limits", NULL, "{memory: 1G}" },
                { "stop_timeout", NULL, "7s" },
        };
        static const Setting runtime[] = {
                { "command", "[a]", "[a, b]" },
                { "model_args", NULL, "[--model, \"{model}\"]" },
                { "env", NULL, "{A: b}" },
                { "resume_args", NULL, "[x]" },
                { "reset", NULL, "{keys: /new}" },
                { "ready", NULL, "{pattern: x}" },
                { "composer", NULL,
                                "{pattern: x, rest: y, unfocused: u, misreads: z, prefix: '# '}" },
                { "busy", NULL, "{pattern: x}" },
                { "waiting", NULL, "{pattern: x}" },
                { "quit", NULL, "{keys: /quit}" },
                { "submit", NULL, "{key: C-m}" },
                { "success_exit_status", NULL, "[5]" },
                { "install", NULL, "x" },
        };

        (void)state;
        check_table("agent", &roster_table_agent, settings, ELEMENTSOF(settings));
        check_table("defaults", &roster_table_defaults, settings, ELEMENTSOF(settings));
        check_table("runtime", &roster_table_runtime, runtime, ELEMENTSOF(runtime));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tables_and_schema_agree),
                cmocka_unit_test(examples_are_valid),
                cmocka_unit_test(effects_are_what_they_say),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
