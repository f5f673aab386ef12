/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "framework/assets.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/roster.h"
#include "schema/pattern.h"

static const Machine machine = {
        .hostname = "build-1.example",
        .user_home = "/home/ana",
        .mosaic_home = "/home/ana/.config/mosaic",
        .n_cpus = 4,
        .memory = UINT64_C(8) << 30,
        .path = "/usr/bin:/bin",
};

/* @extra: one more built-in runtime file, behind the product's own; NULL name: none. */
static int load_with(const char *text,
                const RosterSource *extra,
                const Machine *m,
                Diags *diags,
                Desired **ret) {
        const RosterSource roster = { "roster.yaml", text, strlen(text) };
        RosterSource runtimes[16];
        size_t n = 0;

        for (size_t i = 0; i < n_assets; i++)
                if (strncmp(assets[i].path, "fleet/runtimes/", 15) == 0)
                        runtimes[n++] = (RosterSource){ assets[i].path,
                                (const char *)assets[i].bytes, assets[i].size };
        if (extra)
                runtimes[n++] = *extra;
        return roster_load(&roster, runtimes, n, m, diags, ret);
}

static Desired *load(const char *text) {
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        Desired *d = NULL;

        if (load_with(text, NULL, &machine, &diags, &d) != 0)
                fail_msg("%s", diags.n_items > 0 ? diags.items[0].text : "?");
        return d;
}

static void the_profiles_load(void **state) {
        static const struct {
                const char *path;
                size_t n_agents;
        } profiles[] = {
                { "fleet/examples/minimal.yaml", 1 },
                { "fleet/examples/local-canary.yaml", 3 },
                { "fleet/examples/demo.yaml", 4 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(profiles); i++) {
                const Asset *asset = asset_find(profiles[i].path);
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_(desired_freep) Desired *d = NULL;

                assert_non_null(asset);
                assert_int_equal(load_with((const char *)asset->bytes, NULL, &machine, &diags, &d),
                                0);
                assert_int_equal(diags.n_items, 0);
                assert_int_equal(d->n_agents, profiles[i].n_agents);
        }
}

/* "runtime: X" is enough for each of the built-in ones. */
static void built_in_runtimes_suffice(void **state) {
        static const char *const names[] = { "claude", "codex", "gemini", "opencode", "pi",
                "shell" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(desired_freep) Desired *d = NULL;
                _cleanup_free_ char *text = NULL;
                const AgentSpec *s;

                assert_true(asprintf(&text, "version: 1\nagents: {a: {runtime: %s, workdir: /w}}\n",
                                            names[i]) > 0);
                d = load(text);
                s = d->agents[0];
                assert_string_equal(s->runtime, names[i]);
                assert_non_null(s->argv[0]);
                assert_non_null(s->install);
                assert_non_null(s->talk.ready_pattern);
                assert_non_null(s->talk.composer_pattern);
                assert_non_null(s->talk.quit_keys);
                assert_non_null(s->talk.submit_key);
                assert_true(s->talk.ready_timeout_usec > 0);
        }
}

/* What the screens of real agents look like: the line above the cursor, and what is left of the
 * cursor. */
static void composers_are_recognised(void **state) {
        static const struct {
                const char *runtime;
                const char *screen;
                bool empty;
        } screens[] = {
                { "pi", "────────────────\n", true },
                { "pi", "────────────────\nhello", false },
                { "claude", "────────────────\n❯ ", true },
                { "claude", "────────────────\n❯\xc2\xa0", true },
                { "claude", "────────────────\n❯ draft", false },
                { "claude", " Do you want to proceed?\n ❯ 1. Yes", false },
                { "codex", "\n› ", true },
                { "codex", "\n› draft", false },
                { "gemini", "╭──────────╮\n > ", true },
                { "gemini", "╭──────────╮\n > draft", false },
                { "opencode", "  ┃\n  ┃  ", true },
                { "opencode", "  ┃\n  ┃  draft", false },
                { "shell", "ls\nana@host:~$ ", true },
                { "shell", "ls\nana@host:~$ rm -rf", false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(screens); i++) {
                _cleanup_(desired_freep) Desired *d = NULL;
                _cleanup_pattern_ Pattern *p = NULL;
                _cleanup_free_ char *text = NULL;
                const char *pattern;

                assert_true(asprintf(&text, "version: 1\nagents: {a: {runtime: %s, workdir: /w}}\n",
                                            screens[i].runtime) > 0);
                d = load(text);
                pattern = d->agents[0]->talk.composer_pattern;
                assert_int_equal(
                                pattern_new(pattern, strlen(pattern), PATTERN_PERL, NULL, NULL, &p),
                                0);
                if (pattern_search(p, screens[i].screen, strlen(screens[i].screen)) !=
                                screens[i].empty)
                        fail_msg("%s: %s", screens[i].runtime, screens[i].screen);
        }
}

static void defaults_of_the_program(void **state) {
        _cleanup_(desired_freep) Desired *d =
                        load("version: 1\nagents:\n  a: {runtime: shell, workdir: /w/a}\n");
        const AgentSpec *s = d->agents[0];

        (void)state;
        assert_int_equal(s->restart_policy, RESTART_ALWAYS);
        assert_int_equal(s->restart_delay_usec, 1 * USEC_PER_SEC);
        assert_int_equal(s->restart_attempts, 5);
        assert_int_equal(s->restart_window_usec, 600 * USEC_PER_SEC);
        assert_int_equal(s->limit_memory, 0);
        assert_int_equal(s->limit_cpu, 0);
        assert_int_equal(s->limit_tasks, 0);
        assert_int_equal(s->stop_timeout_usec, 20 * USEC_PER_SEC);
        assert_int_equal(s->state, DESIRED_RUNNING);
        assert_int_equal(s->on_change, ON_CHANGE_DEFER);
        assert_non_null(strv_find(s->env_pass, "PATH"));
        assert_false(s->elsewhere);
        assert_int_equal(s->line, 3);
        assert_null(s->model);
        assert_null(s->blocked_text);
        assert_null(d->tmux_socket);
        assert_int_equal(d->tmux_width, 220);
        assert_int_equal(d->tmux_height, 50);
        assert_int_equal(d->tmux_history, 50000);
        assert_int_equal(d->supervisor, _SUPERVISOR_INVALID);
        assert_int_equal(strlen(d->roster_sha256), 64);
}

static void later_layers_win(void **state) {
        _cleanup_(desired_freep) Desired *d =
                        load("version: 1\n"
                             "defaults: {runtime: claude, env: {A: d, B: d, C: d}, limits: "
                             "{memory: 1G, tasks: 9},\n"
                             "  restart: {delay: 1s, window: 5m}, env_files: [/d],\n"
                             "  credentials: {X: {file: /d}, Y: {file: /d}}}\n"
                             "runtimes: {claude: {env: {B: r, C: r}}}\n"
                             "agents:\n"
                             "  a: {workdir: /w, env: {C: a}, limits: {memory: 2G}, restart: "
                             "on-failure,\n"
                             "    env_files: [/a], credentials: {Y: {file: ~/a}}}\n");
        const AgentSpec *s = d->agents[0];

        (void)state;
        assert_string_equal(strv_env_get(s->env, "A"), "d");
        assert_string_equal(strv_env_get(s->env, "B"), "r");
        assert_string_equal(strv_env_get(s->env, "C"), "a");
        assert_string_equal(strv_env_get(s->env, "DISABLE_AUTOUPDATER"), "1"); /* built in */
        assert_int_equal(s->limit_memory, UINT64_C(2) << 30);
        assert_int_equal(s->limit_tasks, 9);
        assert_int_equal(s->restart_policy, RESTART_ON_FAILURE);
        assert_int_equal(s->restart_delay_usec, USEC_PER_SEC);
        assert_int_equal(s->restart_window_usec, 300 * USEC_PER_SEC);
        assert_int_equal(strv_length(s->env_files), 1);
        assert_string_equal(s->env_files[0], "/a");
        assert_int_equal(s->n_credentials, 2);
        assert_string_equal(s->credentials[0].file, "/d");
        assert_string_equal(s->credentials[1].variable, "Y");
        assert_string_equal(s->credentials[1].file, "/home/ana/a");
        assert_string_equal(s->argv[0], "claude");
}

/* What only the product's data changed does not restart anything; it shows in `resolved`. */
static void an_upgrade_keeps_fingerprints(void **state) {
        static const char text[] =
                        "version: 1\nagents: {a: {runtime: pi, workdir: /w, model: m}}\n";
        static const char newer[] = "command: [pi, --new-flag]\nmodel_args: [-m, \"{model}\"]\n"
                                    "env: {PI_NEW: \"1\"}\n";
        const RosterSource pi = { "somewhere/pi.yaml", newer, sizeof(newer) - 1 };
        _cleanup_(desired_freep) Desired *before = load(text), *after = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(load_with(text, &pi, &machine, &diags, &after), 0);
        assert_string_equal(before->agents[0]->restart_fingerprint,
                        after->agents[0]->restart_fingerprint);
        assert_string_not_equal(before->agents[0]->resolved, after->agents[0]->resolved);
        assert_string_equal(after->agents[0]->argv[1], "--new-flag");
        assert_string_equal(strv_env_get(after->agents[0]->env, "PI_NEW"), "1");
        assert_null(strv_env_get(
                        after->agents[0]->env, "PI_SKIP_VERSION_CHECK")); /* replaced whole */
}

/* Order, quoting, comments, and where a value is written do not count. */
static void the_way_of_writing_does_not_count(void **state) {
        _cleanup_(desired_freep) Desired *a = load("version: 1\n"
                                                   "agents:\n"
                                                   "  b: {runtime: shell, workdir: /w/b}\n"
                                                   "  a: {workdir: ~/x, runtime: shell, env: {B: "
                                                   "\"2\", A: '1'}, limits: {cpu: 100%}}\n");
        _cleanup_(desired_freep) Desired *b =
                        load("# different\n"
                             "version: 1\n"
                             "defaults: {runtime: shell, env: {A: \"1\"}}\n"
                             "agents:\n"
                             "  a:\n    limits:\n      cpu: \"100%\"\n    env: {B: '2'}\n"
                             "    workdir: /home/ana//x/\n"
                             "  b: {runtime: shell, workdir: /w/b, env: {A: \"1\"}}\n");

        (void)state;
        assert_string_equal(a->agents[0]->name, "a");
        assert_string_equal(a->agents[0]->restart_fingerprint, b->agents[0]->restart_fingerprint);
        assert_string_equal(a->agents[0]->live_fingerprint, b->agents[0]->live_fingerprint);
        assert_string_equal(a->agents[0]->resolved, b->agents[0]->resolved);
        assert_string_not_equal(
                        a->agents[1]->restart_fingerprint, b->agents[1]->restart_fingerprint);
        assert_string_not_equal(a->roster_sha256, b->roster_sha256);
        assert_int_equal(a->agents[0]->line, 4);
        assert_int_equal(a->agents[1]->line, 3);
}

static void hosts_decide_where(void **state) {
        static const char text[] = "version: 1\ndefaults: {runtime: shell}\nagents:\n"
                                   "  a: {workdir: /w/a, host: build-1}\n"
                                   "  b: {workdir: /w/b, host: [x, \"other-*\"]}\n"
                                   "  c: {workdir: /w/c}\n";
        _cleanup_(desired_freep) Desired *d = load(text);

        (void)state;
        assert_false(d->agents[0]->elsewhere);
        assert_true(d->agents[1]->elsewhere);
        assert_false(d->agents[2]->elsewhere);
}

static void places_are_kept(void **state) {
        static const char text[] = "version: 1\ndefaults: {env_files: [/x]}\nagents:\n"
                                   "  a: {workdir: /w/a, runtime: shell}\n";
        _cleanup_(desired_freep) Desired *d = load(text);
        Span s = desired_place(d, "/agents/a/workdir");

        (void)state;
        assert_int_equal(s.end - s.start, 4);
        assert_memory_equal(text + s.start, "/w/a", 4);
        s = desired_place(d, "/agents/a");
        assert_memory_equal(text + s.start, "a: {", 4);
        s = desired_place(d, "/defaults/env_files/0");
        assert_memory_equal(text + s.start, "/x]", 3);
        assert_true(desired_place(d, "/agents/b").start == SIZE_MAX);
}

static void faulty_runtime_files_are_named(void **state) {
        static const char faulty[] = "command: [x]\ncomand: [y]\n";
        const RosterSource extra = { "dir/extra.yaml", faulty, sizeof(faulty) - 1 };
        _cleanup_(desired_freep) Desired *d = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(load_with("version: 1\nagents: {}\n", &extra, &machine, &diags, &d),
                        ROSTER_INVALID);
        assert_null(d);
        assert_string_equal(diags.items[0].code, "runtime-file");
        assert_string_equal(diags.items[0].text, "dir/extra.yaml:2: unknown key \"comand\"");
}

static void large_environments_are_refused(void **state) {
        _cleanup_(desired_freep) Desired *d = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        (void)state;
        strbuf_add(&b, "version: 1\nagents:\n  a:\n    runtime: shell\n    workdir: /w\n    "
                       "env:\n");
        for (int i = 0; i < 5; i++) {
                strbuf_addf(&b, "      V%d: ", i);
                strbuf_fill(&b, 'x', 30000);
                strbuf_add_char(&b, '\n');
        }
        assert_int_equal(load_with(strbuf_text(&b), NULL, &machine, &diags, &d), ROSTER_INVALID);
        assert_string_equal(diags.items[0].code, "environment-too-large");
}

/* A thousand agents: fast enough for every pass, and nothing quadratic. */
static void many_agents(void **state) {
        _cleanup_(desired_freep) Desired *d = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        (void)state;
        strbuf_add(&b, "version: 1\ndefaults: {runtime: claude, env: {A: b}}\nagents:\n");
        for (int i = 0; i < 1000; i++)
                strbuf_addf(&b,
                                "  agent-%d: {workdir: ~/w/%d, after: [agent-%d], labels: {n: "
                                "\"%d\"}}\n",
                                i, i, (i + 1) % 1000 == 0 ? 999 : i + 1, i);
        assert_int_equal(load_with(strbuf_text(&b), NULL, &machine, &diags, &d), ROSTER_INVALID);
        assert_int_equal(diags.n_errors, 1); /* the last one waits for itself */
        assert_string_equal(diags.items[0].code, "after-itself");
}

/* Rosters of the largest size that make every check do its worst: seconds, not minutes. */
static void hostile_rosters_end(void **state) {
        static const struct {
                const char *head;
                const char *part; /* with one number in it */
                unsigned n;
        } rosters[] = {
                { "version: 1\nagents:\n", " a%u: {}\n", 300000 },
                { "version: 1\nagents: {}\nruntimes:\n", " a%u: {}\n", 300000 },
                { "version: 1\ndefaults: {runtime: pi}\nagents:\n", " a%u:\n  workdir: /w\n",
                                140000 },
                { "version: 1\nagents:\n a:\n  after:\n", "  - a%u\n", 350000 },
                { "version: 1\nagents:\n",
                                " a%u: {runtime: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n", 60000 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rosters); i++) {
                _cleanup_(desired_freep) Desired *d = NULL;
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                const char *number = strstr(rosters[i].part, "%u");

                strbuf_add(&b, rosters[i].head);
                for (unsigned k = 0; k < rosters[i].n; k++) {
                        strbuf_add_bytes(&b, rosters[i].part, (size_t)(number - rosters[i].part));
                        strbuf_addf(&b, "%u", k);
                        strbuf_add(&b, number + 2);
                }
                assert_int_equal(load_with(strbuf_text(&b), NULL, &machine, &diags, &d),
                                ROSTER_INVALID);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_profiles_load),
                cmocka_unit_test(built_in_runtimes_suffice),
                cmocka_unit_test(composers_are_recognised),
                cmocka_unit_test(defaults_of_the_program),
                cmocka_unit_test(later_layers_win),
                cmocka_unit_test(an_upgrade_keeps_fingerprints),
                cmocka_unit_test(the_way_of_writing_does_not_count),
                cmocka_unit_test(hosts_decide_where),
                cmocka_unit_test(places_are_kept),
                cmocka_unit_test(faulty_runtime_files_are_named),
                cmocka_unit_test(large_environments_are_refused),
                cmocka_unit_test(many_agents),
                cmocka_unit_test(hostile_rosters_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
