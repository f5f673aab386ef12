/* SPDX-License-Identifier: MIT */
#include "model/roster-check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/suggest.h"
#include "model/roster-check-env.h"
#include "model/roster-finding.h"
#include "model/roster-graph.h"
#include "model/roster-resolve.h"
#include "model/roster-schema.h"
#include "model/roster-words.h"

#define SUGGESTIONS_MAX 200
#define MEMORY_MIN (UINT64_C(64) << 20)
#define STOP_TIMEOUT_LONG (300 * USEC_PER_SEC)
#define READY_TIMEOUT_LONG (600 * USEC_PER_SEC)

/* --- runtimes --------------------------------------------------------------------------------- */

/* "defined here: claude, pi" */
static void write_runtimes(const Roster *r, StrBuf *b) {
        strbuf_add(b, "known: ");
        for (size_t i = 0; i < r->n_runtimes && i < 20; i++)
                strbuf_addf(b, "%s%s", i > 0 ? ", " : "", r->runtimes[i].name);
        if (r->n_runtimes > 20)
                strbuf_add(b, " ...");
}

static int check_runtime_name(const Finder *f, const YamlNode *node) {
        _cleanup_strbuf_ StrBuf help = STRBUF_NULL;
        Suggestion s = suggestion_init(node->text);
        Diag *d;

        if (roster_find_runtime(f->roster, node->text))
                return 0;
        /* each costs a look at all runtimes; who has that many errors has another problem */
        for (size_t i = 0; f->diags->n_errors < SUGGESTIONS_MAX && i < f->roster->n_runtimes; i++)
                suggestion_offer(&s, f->roster->runtimes[i].name);
        if (s.best)
                strbuf_addf(&help, "did you mean \"%s\"? ", s.best);
        write_runtimes(f->roster, &help);
        if (help.failed)
                return -ENOMEM;
        d = find_error(f, "unknown-runtime", node, strbuf_text(&help),
                        "runtime \"%s\" is not defined", node->text);
        if (d && s.best)
                d->fix = strdup(s.best); /* only a convenience: may be missing */
        return 0;
}

static int check_agent_runtime(const Finder *f, const RosterAgent *a, const RosterSettings *s) {
        _cleanup_strbuf_ StrBuf help = STRBUF_NULL;

        if (s->runtime.node)
                return check_runtime_name(f, s->runtime.node);
        /* written, but not as a name: there is a finding about it */
        if (yaml_get(a->node, "runtime") ||
                        yaml_get(yaml_get(f->roster->root, "defaults"), "runtime"))
                return 0;
        if (a->node->kind != YAML_MAPPING)
                return 0;
        strbuf_add(&help, "add a line such as runtime: pi, here or under defaults; ");
        write_runtimes(f->roster, &help);
        if (help.failed)
                return -ENOMEM;
        (void)find_error(f, "missing-runtime", a->node, strbuf_text(&help),
                        "agent \"%s\" has no runtime", a->name);
        return 0;
}

static bool mentions_model(const RosterValue *list) {
        for (const YamlNode *e = list->node ? list->node->first : NULL; e; e = e->next)
                if (e->kind == YAML_STRING && strstr(e->text, "{model}"))
                        return true;
        return false;
}

static void check_model(const Finder *f, const RosterAgent *a, const RosterSettings *s) {
        const RosterRuntime *runtime;

        if (!a->settings.model.node || !s->runtime.node)
                return;
        runtime = roster_find_runtime(f->roster, s->runtime.node->text);
        if (!runtime || runtime->all.model_args.node || mentions_model(&a->args) ||
                        mentions_model(&runtime->all.command))
                return;
        (void)find_warning(f, "model-unused", a->settings.model.node,
                        "give the runtime model_args: [--model, \"{model}\"]",
                        "runtime \"%s\" does not say how to ask for a model", runtime->name);
}

static void check_patterns(const Finder *f, const RosterRuntimeData *d) {
        const RosterValue *patterns[] = {
                &d->ready_pattern,
                &d->busy_pattern,
                &d->waiting_pattern,
                &d->busy_title,
                &d->waiting_title,
        };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++)
                if (patterns[i]->node && roster_pattern_matches_empty(patterns[i]->node->text))
                        (void)find_error(f, "pattern-matches-empty", patterns[i]->node,
                                        "name something that is on the line",
                                        "this pattern matches an empty line, so it would always "
                                        "match");
        if (d->ready_pattern.node && d->busy_pattern.node &&
                        strcmp(d->ready_pattern.node->text, d->busy_pattern.node->text) == 0)
                (void)find_error(f, "patterns-equal", d->busy_pattern.node, NULL,
                                "busy and ready have the same pattern");
        if (d->ready_timeout.node && d->ready_timeout.number > READY_TIMEOUT_LONG)
                (void)find_warning(f, "timeout-long", d->ready_timeout.node, NULL,
                                "a failed start is only noticed after more than 10 minutes");
}

/* Written, or written wrongly, which the schema has said. */
static bool has_command(const RosterRuntime *runtime) {
        if (runtime->builtin.command.node || runtime->node->kind != YAML_MAPPING)
                return true;
        for (const YamlNode *m = runtime->node->first; m; m = m->next) {
                Suggestion s = suggestion_init(m->key->text);

                suggestion_offer(&s, "command");
                if (s.best || strcmp(m->key->text, "cmd") == 0)
                        return true;
        }
        return false;
}

static void check_runtime(const Finder *f, const RosterRuntime *runtime) {
        bool used = false;

        if (!runtime->node)
                return;
        if (!has_command(runtime))
                (void)find_error(f, "missing-command", runtime->node,
                                "add a line such as command: [my-agent, --verbose]; only the "
                                "built-in "
                                "runtimes have one of their own",
                                "runtime \"%s\" has no command", runtime->name);
        check_patterns(f, &runtime->own);
        check_env_map(f, &runtime->own.env);
        check_words(f, &runtime->own.command);
        check_words(f, &runtime->own.model_args);
        check_words(f, &runtime->own.resume_args);

        if (f->roster->defaults.runtime.node)
                used = strcmp(f->roster->defaults.runtime.node->text, runtime->name) == 0;
        for (size_t i = 0; !used && i < f->roster->n_agents; i++) {
                const YamlNode *n = f->roster->agents[i].settings.runtime.node;

                used = n && strcmp(n->text, runtime->name) == 0;
        }
        if (!used)
                (void)find_warning(f, "unused-runtime", runtime->node,
                                "delete it, or leave it for later", "no agent uses runtime \"%s\"",
                                runtime->name);
}

/* --- placeholders ----------------------------------------------------------------------------- */

static void check_placeholders(
                const Finder *f, const RosterValue *list, bool literal_first, bool has_model) {
        const Placeholders values = { .name = "", .workdir = "", .model = has_model ? "" : NULL };

        for (const YamlNode *e = list->node ? list->node->first : NULL; e; e = e->next) {
                _cleanup_strbuf_ StrBuf ignored = STRBUF_NULL;
                size_t start, length;

                if (e->kind != YAML_STRING || (literal_first && e == list->node->first))
                        continue;
                switch (word_expand_placeholders(e->text, &values, &ignored, &start, &length)) {
                case PLACEHOLDERS_FINE:
                        break;
                case PLACEHOLDER_UNKNOWN:
                        (void)find_error(f, "unknown-placeholder", e,
                                        "known: {name}, {workdir}, {model}; write {{ for a brace",
                                        "%.*s stands for nothing", (int)length, e->text + start);
                        break;
                case PLACEHOLDER_WITHOUT_MODEL:
                        (void)find_error(f, "placeholder-without-model", e,
                                        "add a line such as model: NAME",
                                        "{model} is used here, but the agent has no model");
                        break;
                }
        }
}

/* --- working directories ---------------------------------------------------------------------- */

typedef struct Workdir {
        char *path;
        const RosterAgent *agent;
} Workdir;

typedef struct Workdirs {
        Workdir *items;
        size_t n_items;
} Workdirs;

static void workdirs_done(Workdirs *w) {
        for (size_t i = 0; i < w->n_items; i++)
                free(w->items[i].path);
        free(w->items);
}

/* Like strcmp(), but a slash sorts before everything: a directory stands right before what is in
 * it. */
static int compare_paths(const char *a, const char *b) {
        for (; *a && *a == *b; a++)
                b++;
        if (*a == *b)
                return 0;
        if (*a == '\0' || *b == '\0')
                return *a == '\0' ? -1 : 1;
        if (*a == '/' || *b == '/')
                return *a == '/' ? -1 : 1;
        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare_workdirs(const void *a, const void *b) {
        const Workdir *x = a, *y = b;
        int r = compare_paths(x->path, y->path);

        if (r != 0)
                return r;
        return x->agent < y->agent ? -1 : 1; /* agents are in file order */
}

/* Absolute path of a value; reports what is none. 1: there is nothing to look at. */
static int check_path(const Finder *f, const YamlNode *node, char **ret) {
        int r;

        if (!node || node->kind != YAML_STRING || (node->text[0] != '/' && node->text[0] != '~'))
                return 1;
        r = word_expand_path(node->text, f->machine->user_home, ret);
        if (r != -EINVAL)
                return r;
        if (node->text[0] == '/' || node->text[1] == '/')
                (void)find_error(f, "path-dotdot", node, "write the path without ..",
                                "a path must not contain ..");
        return 1;
}

/* Whether an agent may work there. */
static bool check_workdir_place(const Finder *f, const YamlNode *node, const char *path) {
        const char *home = f->machine->user_home, *site = f->machine->mosaic_home;

        if (word_path_is_within(home, path))
                (void)find_error(f, "workdir-forbidden", node,
                                "give the agent a directory of its own, such as ~/src/NAME",
                                "an agent must not work in %s",
                                strcmp(path, home) == 0
                                                ? "the home directory itself"
                                                : "a directory that holds the home directory");
        else if (word_path_is_within(path, site) || word_path_is_within(site, path))
                (void)find_error(f, "workdir-forbidden", node,
                                "give the agent a directory of its own, such as ~/src/NAME",
                                "an agent must not work where mosaic keeps its own files");
        else
                return true;
        return false;
}

static bool runs_here(const Finder *f, const RosterSettings *s) {
        return roster_is_here(s, f->machine) &&
               !(s->state.node && s->state.number == DESIRED_STOPPED);
}

static int collect_workdir(
                const Finder *f, const RosterAgent *a, const RosterSettings *s, Workdirs *w) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = check_path(f, a->workdir.node, &path);
        if (r != 0)
                return r < 0 ? r : 0;
        if (check_workdir_place(f, a->workdir.node, path) && runs_here(f, s))
                w->items[w->n_items++] = (Workdir){ .path = TAKE_PTR(path), .agent = a };
        return 0;
}

static void check_workdirs_apart(const Finder *f, Workdirs *w) {
        size_t outer = 0;

        qsort(w->items, w->n_items, sizeof(*w->items), compare_workdirs);
        for (size_t i = 1; i < w->n_items; i++) {
                const Workdir *a = &w->items[outer], *b = &w->items[i];
                Diag *d;

                if (!word_path_is_within(b->path, a->path)) {
                        outer = i;
                        continue;
                }
                d = find_warning(f,
                                strcmp(a->path, b->path) == 0 ? "workdir-shared" : "workdir-nested",
                                b->agent->workdir.node,
                                "agents overwrite each other's work there: use a git worktree or a "
                                "second checkout",
                                strcmp(a->path, b->path) == 0 ? "agent \"%s\" works in the same "
                                                                "directory as \"%s\""
                                                              : "agent \"%s\" works inside the "
                                                                "directory of \"%s\"",
                                b->agent->name, a->agent->name);
                if (d) {
                        d->related = a->agent->workdir.node->span;
                        d->related_text = "the other one is here";
                }
        }
}

/* --- numbers ---------------------------------------------------------------------------------- */

static uint64_t number_or(const RosterValue *v, uint64_t fallback) {
        return v->node ? v->number : fallback;
}

static void check_restart(const Finder *f, const RosterRestart *r) {
        uint64_t delay = number_or(&r->delay, RESTART_DELAY_DEFAULT);
        uint64_t attempts = number_or(&r->attempts, RESTART_ATTEMPTS_DEFAULT);
        uint64_t window = number_or(&r->window, RESTART_WINDOW_DEFAULT);
        const YamlNode *node = r->window.node     ? r->window.node
                               : r->attempts.node ? r->attempts.node
                                                  : r->delay.node;

        if (number_or(&r->policy, RESTART_ALWAYS) == RESTART_NEVER || !node)
                return;
        if (r->delay.node && delay == 0 && number_or(&r->policy, RESTART_ALWAYS) == RESTART_ALWAYS)
                (void)find_error(f, "restart-storm", r->delay.node, "write delay: 5s",
                                "policy always with no delay would restart in a circle");
        if (attempts > 0 && window <= attempts * delay)
                (void)find_warning(f, "restart-window", node,
                                "make window longer than attempts times delay",
                                "%" PRIu64
                                " starts never fit into the window, so the limit of attempts "
                                "never acts",
                                attempts);
}

static void check_limits(const Finder *f, const RosterLimits *l) {
        if (l->memory.node && l->memory.number < MEMORY_MIN)
                (void)find_error(f, "memory-too-small", l->memory.node,
                                "coding agents need 256M to 1G", "no agent runs in less than 64M");
        if (l->cpu.node && f->machine->n_cpus > 0 &&
                        l->cpu.number > UINT64_C(100) * f->machine->n_cpus)
                (void)find_warning(f, "cpu-more-than-machine", l->cpu.node, NULL,
                                "this machine has %u processors, so this limit never acts",
                                f->machine->n_cpus);
}

static void check_numbers(const Finder *f, const RosterSettings *s) {
        check_restart(f, &s->restart);
        check_limits(f, &s->limits);
        if (s->stop_timeout.node && s->stop_timeout.number > STOP_TIMEOUT_LONG)
                (void)find_warning(f, "timeout-long", s->stop_timeout.node, NULL,
                                "a stop may take more than 5 minutes, and so may a shutdown");
}

/* --- agents ----------------------------------------------------------------------------------- */

static int check_files(const Finder *f, const RosterSettings *s) {
        const YamlNode *files = s->env_files.node, *credentials = s->credentials.node;
        int r = 0;

        for (const YamlNode *e = files ? files->first : NULL; r >= 0 && e; e = e->next) {
                _cleanup_free_ char *path = NULL;

                r = check_path(f, e, &path);
        }
        for (const YamlNode *m = credentials ? credentials->first : NULL; r >= 0 && m;
                        m = m->next) {
                _cleanup_free_ char *path = NULL;

                r = check_path(f, yaml_get(m, "file"), &path);
        }
        return r < 0 ? r : 0;
}

/* What defaults and agents have in common, as it is written in one of them. */
static int check_settings(const Finder *f, const RosterSettings *s) {
        check_env_map(f, &s->env);
        check_env_names(f, &s->env_pass);
        check_credentials(f, &s->credentials);
        check_words_of_text(f, s->model.node);
        return check_files(f, s);
}

static int check_agent(
                const Finder *f, const RosterAgent *a, const RosterSettings *s, Workdirs *w) {
        const RosterRuntime *runtime = NULL;
        bool has_model = s->model.node;
        int r;

        r = check_agent_runtime(f, a, s);
        if (r == 0)
                r = check_settings(f, &a->settings);
        if (r == 0)
                r = collect_workdir(f, a, s, w);
        if (r < 0)
                return r;
        check_model(f, a, s);
        check_words(f, &a->args);
        check_numbers(f, s);
        check_placeholders(f, &a->args, /* literal_first= */ false, has_model);
        if (s->runtime.node)
                runtime = roster_find_runtime(f->roster, s->runtime.node->text);
        if (runtime && runtime->node) {
                check_placeholders(f, &runtime->own.command, /* literal_first= */ true, has_model);
                check_placeholders(f, &runtime->own.model_args, /* literal_first= */ false,
                                /* has_model= */ true);
        }
        return 0;
}

/* Not missing and not of the wrong kind: there would be a finding about that. */
static bool agents_are_empty(const YamlNode *root) {
        const YamlNode *agents = yaml_get(root, "agents");

        return agents && !agents->broken &&
               (agents->kind == YAML_NULL ||
                               (agents->kind == YAML_MAPPING && agents->n_children == 0));
}

static void check_totals(const Finder *f, const RosterSettings *effective) {
        uint64_t memory = 0;
        size_t here = 0;

        for (size_t i = 0; i < f->roster->n_agents; i++) {
                if (!roster_is_here(&effective[i], f->machine))
                        continue;
                here++;
                if (runs_here(f, &effective[i]))
                        memory += number_or(&effective[i].limits.memory, 0);
        }
        if (f->roster->n_agents == 0 && agents_are_empty(f->roster->root))
                (void)find_warning(f, "no-agents", NULL,
                                "add one under agents:", "the roster has no agents");
        else if (f->roster->n_agents > 0 && here == 0)
                (void)find_warning(f, "no-agents-here", NULL,
                                "compare host: with the name of this machine",
                                "no agent is for this machine (%s)", f->machine->hostname);
        if (f->machine->memory > 0 && memory > f->machine->memory)
                (void)find_warning(f, "memory-more-than-machine", NULL,
                                "lower limits.memory, or run fewer agents here",
                                "the agents may use %" PRIu64 "M together, the machine has %" PRIu64
                                "M",
                                memory >> 20, f->machine->memory >> 20);
}

int roster_check(const Roster *r, const Machine *machine, Diags *diags) {
        const Finder f = { .roster = r, .machine = machine, .diags = diags };
        _cleanup_free_ RosterSettings *effective = NULL;
        _cleanup_(workdirs_done) Workdirs workdirs = { 0 };
        int q;

        effective = calloc(r->n_agents + 1, sizeof(*effective));
        workdirs.items = calloc(r->n_agents + 1, sizeof(*workdirs.items));
        if (!effective || !workdirs.items)
                return -ENOMEM;
        if (r->tmux_socket.node && strcmp(r->tmux_socket.node->text, "default") == 0)
                (void)find_error(&f, "socket-default", r->tmux_socket.node,
                                "write another name, such as mosaic-factory",
                                "the default tmux server belongs to people, not to a fleet");
        if (r->defaults.runtime.node) {
                q = check_runtime_name(&f, r->defaults.runtime.node);
                if (q < 0)
                        return q;
        }
        q = check_settings(&f, &r->defaults);
        if (q < 0)
                return q;
        if (r->n_agents == 0)
                check_numbers(&f, &r->defaults);
        for (size_t i = 0; i < r->n_runtimes; i++)
                check_runtime(&f, &r->runtimes[i]);
        for (size_t i = 0; i < r->n_agents; i++) {
                effective[i] = roster_effective(r, &r->agents[i]);
                q = check_agent(&f, &r->agents[i], &effective[i], &workdirs);
                if (q < 0)
                        return q;
        }
        check_workdirs_apart(&f, &workdirs);
        check_totals(&f, effective);
        return roster_check_graph(&f, effective);
}
