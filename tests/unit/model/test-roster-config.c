/* SPDX-License-Identifier: MIT */

/* The resolved roster: it is a roster, it gives the same agents, and each value has its origin. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "framework/assets.h"
#include "model/base/strv.h"
#include "model/roster-config.h"

static const char *everything; /* path of a roster that uses every key */

static const Machine machine = {
        .hostname = "build-1.example",
        .user_home = "/home/ana",
        .mosaic_home = "/home/ana/.config/mosaic",
        .n_cpus = 4,
        .memory = UINT64_C(8) << 30,
        .path = "/usr/bin:/bin",
};

/* A roster with all that is made of it. */
typedef struct Loaded {
        RosterSource roster;
        RosterSource runtimes[16];
        Diags diags;
        Desired *desired;
        ConfigInput input;
        RosterConfig *config;
} Loaded;

static void loaded_done(Loaded *l) {
        roster_config_free(l->config);
        desired_free(l->desired);
        diags_done(&l->diags);
}
#define _cleanup_loaded_ _cleanup_(loaded_done)

static void load(Loaded *l, const char *text, char *const *names) {
        size_t n = 0;

        l->roster = (RosterSource){ "roster.yaml", text, strlen(text) };
        for (size_t i = 0; i < n_assets; i++)
                if (strncmp(assets[i].path, "fleet/runtimes/", 15) == 0)
                        l->runtimes[n++] = (RosterSource){ assets[i].path,
                                (const char *)assets[i].bytes, assets[i].size };
        if (roster_load(&l->roster, l->runtimes, n, &machine, &l->diags, &l->desired) != 0)
                fail_msg("%s\n%s", l->diags.items[0].text, text);
        l->input = (ConfigInput){
                .roster = &l->roster,
                .runtimes = l->runtimes,
                .n_runtimes = n,
                .desired = l->desired,
                .diags = &l->diags,
                .socket = "mosaic-factory",
                .supervisor = SUPERVISOR_DIRECT,
                .names = names,
        };
        assert_int_equal(roster_config_new(&l->input, &l->config), 0);
}

static char *text_of(const Loaded *l, bool origin) {
        StrBuf b = STRBUF_NULL;
        char *text;

        roster_config_write(l->config, &l->input, origin, &b);
        assert_int_equal(strbuf_finish(&b, &text), 0);
        return text;
}

static char *read_file(const char *path) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        char *bytes = calloc(1, 1u << 16);

        assert_non_null(f);
        assert_non_null(bytes);
        assert_true(fread(bytes, 1, (1u << 16) - 1, f) > 0);
        return bytes;
}

static void assert_same_text(const char *a, const char *b) {
        if (a && b)
                assert_string_equal(a, b);
        else
                assert_ptr_equal(a, b);
}

static void assert_same_agent(const AgentSpec *a, const AgentSpec *b) {
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->runtime, b->runtime);
        assert_same_text(a->model, b->model);
        assert_true(strv_equal(a->argv, b->argv));
        assert_string_equal(a->workdir, b->workdir);
        assert_true(strv_equal(a->env, b->env));
        assert_true(strv_equal(a->env_files, b->env_files));
        assert_int_equal(a->n_credentials, b->n_credentials);
        for (size_t i = 0; i < a->n_credentials; i++) {
                assert_string_equal(a->credentials[i].variable, b->credentials[i].variable);
                assert_string_equal(a->credentials[i].file, b->credentials[i].file);
        }
        assert_string_equal(a->live_fingerprint, b->live_fingerprint);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->on_change, b->on_change);
        assert_int_equal(a->elsewhere, b->elsewhere);
        assert_same_text(a->description, b->description);
        assert_true(strv_equal(a->labels, b->labels));
        assert_true(strv_equal(a->after, b->after));
        assert_true(strv_equal(a->resume_args, b->resume_args));
        assert_same_text(a->install, b->install);
        assert_same_text(a->talk.ready_pattern, b->talk.ready_pattern);
        assert_same_text(a->talk.busy_pattern, b->talk.busy_pattern);
        assert_same_text(a->talk.waiting_pattern, b->talk.waiting_pattern);
        assert_same_text(a->talk.composer_pattern, b->talk.composer_pattern);
        assert_same_text(a->talk.composer_rest, b->talk.composer_rest);
        assert_same_text(a->talk.composer_unfocused, b->talk.composer_unfocused);
        assert_same_text(a->talk.composer_misreads, b->talk.composer_misreads);
        assert_same_text(a->talk.composer_prefix, b->talk.composer_prefix);
        assert_same_text(a->talk.busy_title, b->talk.busy_title);
        assert_same_text(a->talk.waiting_title, b->talk.waiting_title);
        assert_same_text(a->talk.reset_keys, b->talk.reset_keys);
        assert_same_text(a->talk.quit_keys, b->talk.quit_keys);
        assert_string_equal(a->talk.submit_key, b->talk.submit_key);
        assert_int_equal(a->talk.ready_timeout_usec, b->talk.ready_timeout_usec);
        assert_int_equal(a->talk.reset_settle_usec, b->talk.reset_settle_usec);
        assert_int_equal(a->talk.submit_delay_usec, b->talk.submit_delay_usec);
}

/* What is printed loads, gives the same agents, and printed again is the same text. */
static void assert_round_trip(const char *text) {
        _cleanup_loaded_ Loaded first = { 0 }, second = { 0 };
        _cleanup_free_ char *printed = NULL, *again = NULL, *commented = NULL;

        load(&first, text, NULL);
        printed = text_of(&first, /* origin= */ false);
        load(&second, printed, NULL);
        assert_int_equal(first.desired->n_agents, second.desired->n_agents);
        for (size_t i = 0; i < first.desired->n_agents; i++)
                assert_same_agent(first.desired->agents[i], second.desired->agents[i]);
        assert_int_equal(first.desired->tmux_width, second.desired->tmux_width);
        assert_int_equal(first.desired->tmux_history, second.desired->tmux_history);
        again = text_of(&second, /* origin= */ false);
        assert_string_equal(printed, again);

        /* the comments of --origin do not get in the way */
        commented = text_of(&first, /* origin= */ true);
        loaded_done(&second);
        second = (Loaded){ 0 };
        load(&second, commented, NULL);
        assert_int_equal(first.desired->n_agents, second.desired->n_agents);
}

static void the_result_is_a_roster(void **state) {
        static const char *const paths[] = {
                "fleet/examples/minimal.yaml",
                "fleet/examples/local-canary.yaml",
                "fleet/examples/demo.yaml",
        };
        _cleanup_free_ char *text = read_file(everything);

        (void)state;
        assert_round_trip(text);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                assert_round_trip((const char *)asset_find(paths[i])->bytes);
        assert_round_trip("version: 1\nagents: {}\n");
        /* nothing but words that need quotes, and numbers in other units */
        assert_round_trip("version: 1\nruntimes: {odd: {command: ['- ', 'a: b', 'x\"', ' '],"
                          " ready: {pattern: '#'}, env: {'NULL': '', A: '1', B: "
                          "\"\\e[1m\\u202e\\n\"}}}\n"
                          "agents: {a: {runtime: odd, workdir: '~/a #b', description: ': x',\n"
                          "  args: ['{{x}', '{name}', '['], stop_timeout: 0,\n"
                          "  restart: {policy: on-failure, delay: 0, window: 7200s, attempts: 0},\n"
                          "  limits: {memory: 1536M, cpu: 7%}, labels: {k: 'true'}}}\n");
}

static const Origin *find_origin(const Loaded *l, const char *pointer) {
        for (size_t i = 0; i < l->config->n_origins; i++)
                if (strcmp(l->config->origins[i].pointer, pointer) == 0)
                        return &l->config->origins[i];
        fail_msg("%s has no origin", pointer);
        return NULL;
}

static void each_value_has_its_origin(void **state) {
        static const char text[] = "version: 1\n"
                                   "defaults:\n"
                                   "  runtime: claude\n"
                                   "  env: {A: d, B: d, C: d}\n"
                                   "  limits: {memory: 1G, cpu: 100%}\n"
                                   "runtimes:\n"
                                   "  claude: {env: {B: r, DISABLE_AUTOUPDATER: \"0\"}}\n"
                                   "agents:\n"
                                   "  web:\n"
                                   "    workdir: ~/web\n"
                                   "    env:\n"
                                   "      C: a\n"
                                   "    limits: {cpu: 200%}\n"
                                   "    restart: never\n";
        static const struct {
                const char *pointer;
                OriginKind kind;
                unsigned line;
        } expected[] = {
                { "/version", ORIGIN_ROSTER, 1 },
                { "/tmux/socket", ORIGIN_DEFAULT, 0 },
                { "/supervisor", ORIGIN_MACHINE, 0 },
                { "/runtimes/claude/command", ORIGIN_RUNTIME, 3 },
                { "/runtimes/claude/env/B", ORIGIN_ROSTER, 7 },
                { "/agents/web/runtime", ORIGIN_ROSTER, 3 },
                { "/agents/web/workdir", ORIGIN_ROSTER, 10 },
                { "/agents/web/state", ORIGIN_DEFAULT, 0 },
                { "/agents/web/env/A", ORIGIN_ROSTER, 4 },
                { "/agents/web/env/B", ORIGIN_ROSTER, 7 },
                { "/agents/web/env/C", ORIGIN_ROSTER, 12 },
                { "/agents/web/env/DISABLE_AUTOUPDATER", ORIGIN_ROSTER, 7 },
                { "/agents/web/env_pass", ORIGIN_DEFAULT, 0 },
                { "/agents/web/limits/memory", ORIGIN_ROSTER, 5 },
                { "/agents/web/limits/cpu", ORIGIN_ROSTER, 13 },
                { "/agents/web/restart/policy", ORIGIN_ROSTER, 14 },
                { "/agents/web/restart/delay", ORIGIN_DEFAULT, 0 },
        };
        _cleanup_loaded_ Loaded l = { 0 };

        (void)state;
        load(&l, text, NULL);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                const Origin *o = find_origin(&l, expected[i].pointer);

                assert_string_equal(origin_kind_to_string(o->kind),
                                origin_kind_to_string(expected[i].kind));
                assert_int_equal(o->line, expected[i].line);
                assert_int_equal(o->file != NULL, o->line > 0);
        }
        assert_string_equal(find_origin(&l, "/runtimes/claude/command")->file,
                        "fleet/runtimes/claude.yaml");
        assert_null(strstr(json_get_string(json_get(json_get(json_get(l.config->document, "agents"),
                                                                    "web"),
                                                           "env"),
                                           "B"),
                        "d"));
}

static void secrets_are_starred(void **state) {
        static const char text[] = "version: 1\nagents:\n  web:\n    runtime: shell\n"
                                   "    description: uses sk-abcdefghijklmnopqrstuvwxyz\n"
                                   "    workdir: ~/web\n"
                                   "    credentials: {TOKEN: {file: ~/secrets/t}}\n";
        _cleanup_loaded_ Loaded l = { 0 };
        _cleanup_free_ char *printed = NULL, *json = NULL;

        (void)state;
        load(&l, text, NULL);
        printed = text_of(&l, /* origin= */ true);
        assert_null(strstr(printed, "sk-abc"));
        assert_non_null(strstr(printed, "\"***\""));
        assert_non_null(strstr(printed, "file: /home/ana/secrets/t"));
        assert_int_equal(json_to_text(l.config->document, JSON_PLAIN, &json), 0);
        assert_null(strstr(json, "sk-abc"));
}

static void names_choose(void **state) {
        static const char text[] = "version: 1\ndefaults: {runtime: shell}\nagents:\n"
                                   "  a: {workdir: /w/a}\n  b: {workdir: /w/b, runtime: pi}\n";
        char *names[] = { (char[]){ "a" }, NULL };
        _cleanup_loaded_ Loaded l = { 0 };
        const Json *agents, *runtimes;

        (void)state;
        load(&l, text, names);
        agents = json_get(l.config->document, "agents");
        runtimes = json_get(l.config->document, "runtimes");
        assert_int_equal(json_length(agents), 1);
        assert_true(json_has(agents, "a"));
        assert_int_equal(json_length(runtimes), 1);
        assert_true(json_has(runtimes, "shell"));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_result_is_a_roster),
                cmocka_unit_test(each_value_has_its_origin),
                cmocka_unit_test(secrets_are_starred),
                cmocka_unit_test(names_choose),
        };

        if (argc != 2)
                return 64;
        everything = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
