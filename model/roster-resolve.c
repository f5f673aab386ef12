/* SPDX-License-Identifier: MIT */
#include "model/roster-resolve.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/hash.h"
#include "model/base/strv.h"
#include "model/roster-words.h"

_Static_assert(FINGERPRINT_SIZE == SHA256_HEX_SIZE, "a fingerprint is a SHA-256 in hex");

static const char *const env_pass_default[] = {
        "DBUS_SESSION_BUS_ADDRESS",
        "LANG",
        "LC_ALL",
        "PATH",
        "SSH_AUTH_SOCK",
        "TZ",
        "XDG_RUNTIME_DIR",
};

RosterSettings roster_effective(const Roster *r, const RosterAgent *a) {
        RosterSettings s = r->defaults;

        roster_merge_settings(&s, &a->settings);
        return s;
}

bool roster_is_here(const RosterSettings *effective, const Machine *machine) {
        const YamlNode *host = effective->host.node;

        if (!host)
                return true;
        if (host->kind == YAML_STRING)
                return word_match_host(host->text, machine->hostname);
        for (const YamlNode *e = host->first; e; e = e->next)
                if (e->kind == YAML_STRING && word_match_host(e->text, machine->hostname))
                        return true;
        return false;
}

static int copy_hosts(const RosterSettings *effective, char ***ret) {
        const YamlNode *host = effective->host.node;
        int r = 0;

        if (host && host->kind == YAML_STRING)
                return strv_push(ret, host->text);
        for (const YamlNode *e = host ? host->first : NULL; e && r == 0; e = e->next)
                if (e->kind == YAML_STRING)
                        r = strv_push(ret, e->text);
        return r;
}

/* --- pieces ----------------------------------------------------------------------------------- */

typedef struct Resolver {
        const Roster *roster;
        const RosterAgent *agent;
        const RosterRuntime *runtime;
        const Machine *machine;
        RosterSettings settings;
        AgentSpec *spec;
} Resolver;

static int copy_text(const RosterValue *v, char **ret) {
        if (!v->node)
                return 0;
        *ret = strdup(v->node->text);
        return *ret ? 0 : -ENOMEM;
}

/* Appends the strings of a list; what is no string is left out (there is a finding about it). */
static int copy_list(const RosterValue *v, char ***l) {
        for (const YamlNode *e = v->node ? v->node->first : NULL; e; e = e->next) {
                int r;

                if (e->kind != YAML_STRING)
                        continue;
                r = strv_push(l, e->text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int empty_list(char ***l) {
        return *l ? 0 : strv_copy(NULL, l);
}

static int add_words(const Resolver *v, const RosterValue *list, bool literal_first, char ***argv) {
        const Placeholders values = {
                .name = v->spec->name,
                .workdir = v->spec->workdir,
                .model = v->spec->model,
        };

        for (const YamlNode *e = list->node ? list->node->first : NULL; e; e = e->next) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
                size_t start, length;
                char *word;
                int r;

                if (e->kind != YAML_STRING)
                        return RESOLVE_INCOMPLETE;
                if (literal_first && e == list->node->first)
                        strbuf_add(&b, e->text);
                else if (word_expand_placeholders(e->text, &values, &b, &start, &length) !=
                                PLACEHOLDERS_FINE)
                        return RESOLVE_INCOMPLETE;
                r = strbuf_finish(&b, &word);
                if (r < 0)
                        return r;
                r = strv_take(argv, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* command, then model_args if there is a model, then args. */
static int resolve_argv(const Resolver *v) {
        char ***argv = &v->spec->argv;
        int r;

        if (!v->runtime->all.command.node || !v->runtime->all.command.node->first)
                return RESOLVE_INCOMPLETE;
        r = add_words(v, &v->runtime->all.command, /* literal_first= */ true, argv);
        if (r == 0 && v->spec->model)
                r = add_words(v, &v->runtime->all.model_args, /* literal_first= */ false, argv);
        if (r == 0)
                r = add_words(v, &v->agent->args, /* literal_first= */ false, argv);
        return r;
}

static int merge_env(const RosterValue *layer, char ***env) {
        for (const YamlNode *m = layer->node ? layer->node->first : NULL; m; m = m->next) {
                int r;

                if (m->kind != YAML_STRING || !m->key)
                        continue;
                r = strv_env_set(env, m->key->text, m->text);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Without @with_builtin only what the roster declares. */
static int resolve_env(const Resolver *v, bool with_builtin, char ***ret) {
        _cleanup_strv_ char **env = NULL;
        const RosterValue *layers[] = {
                &v->roster->defaults.env,
                with_builtin ? &v->runtime->builtin.env : NULL,
                &v->runtime->own.env,
                &v->agent->settings.env,
        };
        int r;

        r = empty_list(&env);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(layers); i++)
                if (layers[i])
                        r = merge_env(layers[i], &env);
        if (r < 0)
                return r;
        strv_sort(env);
        *ret = TAKE_PTR(env);
        return 0;
}

static int expand(const Resolver *v, const YamlNode *node, char **ret) {
        int r;

        if (!node || node->kind != YAML_STRING)
                return RESOLVE_INCOMPLETE;
        r = word_expand_path(node->text, v->machine->user_home, ret);
        return r == -EINVAL ? RESOLVE_INCOMPLETE : r;
}

static int resolve_env_files(const Resolver *v) {
        const YamlNode *list = v->settings.env_files.node;
        int r;

        r = empty_list(&v->spec->env_files);
        if (r < 0)
                return r;
        for (const YamlNode *e = list ? list->first : NULL; e; e = e->next) {
                char *path;

                r = expand(v, e, &path);
                if (r != 0)
                        return r;
                r = strv_take(&v->spec->env_files, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_credentials(const void *a, const void *b) {
        return strcmp(((const Credential *)a)->variable, ((const Credential *)b)->variable);
}

static Credential *find_credential(AgentSpec *s, const char *variable) {
        for (size_t i = 0; i < s->n_credentials; i++)
                if (strcmp(s->credentials[i].variable, variable) == 0)
                        return &s->credentials[i];
        return NULL;
}

static int add_credential(const Resolver *v, const YamlNode *member) {
        AgentSpec *s = v->spec;
        _cleanup_free_ char *path = NULL;
        Credential *c;
        int r;

        r = expand(v, yaml_get(member, "file"), &path);
        if (r != 0)
                return r;
        c = find_credential(s, member->key->text);
        if (c) {
                free(c->file);
                c->file = TAKE_PTR(path);
                return 0;
        }
        c = reallocarray(s->credentials, s->n_credentials + 1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        s->credentials = c;
        c += s->n_credentials;
        c->variable = strdup(member->key->text);
        if (!c->variable)
                return -ENOMEM;
        c->file = TAKE_PTR(path);
        s->n_credentials++;
        return 0;
}

static int resolve_credentials(const Resolver *v) {
        const RosterValue *layers[] = {
                &v->roster->defaults.credentials,
                &v->agent->settings.credentials,
        };

        for (size_t i = 0; i < ELEMENTSOF(layers); i++)
                for (const YamlNode *m = layers[i]->node ? layers[i]->node->first : NULL; m;
                                m = m->next) {
                        int r;

                        r = m->key ? add_credential(v, m) : RESOLVE_INCOMPLETE;
                        if (r != 0)
                                return r;
                }
        if (v->spec->n_credentials > 1)
                qsort(v->spec->credentials, v->spec->n_credentials, sizeof(Credential),
                                compare_credentials);
        return 0;
}

static uint64_t number_or(const RosterValue *v, uint64_t fallback) {
        return v->node ? v->number : fallback;
}

static int resolve_live(const Resolver *v) {
        const RosterSettings *s = &v->settings;
        const YamlNode *codes = v->runtime->all.success_exit_status.node;
        AgentSpec *spec = v->spec;
        int r;

        spec->restart_policy = (RestartPolicy)number_or(&s->restart.policy, RESTART_ALWAYS);
        spec->restart_delay_usec = number_or(&s->restart.delay, RESTART_DELAY_DEFAULT);
        spec->restart_attempts =
                        (unsigned)number_or(&s->restart.attempts, RESTART_ATTEMPTS_DEFAULT);
        spec->restart_window_usec = number_or(&s->restart.window, RESTART_WINDOW_DEFAULT);
        spec->limit_memory = number_or(&s->limits.memory, 0);
        spec->limit_cpu = (unsigned)number_or(&s->limits.cpu, 0);
        spec->limit_tasks = (unsigned)number_or(&s->limits.tasks, 0);
        spec->stop_timeout_usec = number_or(&s->stop_timeout, STOP_TIMEOUT_DEFAULT);

        r = empty_list(&spec->env_pass);
        for (size_t i = 0; r == 0 && !s->env_pass.node && i < ELEMENTSOF(env_pass_default); i++)
                r = strv_push(&spec->env_pass, env_pass_default[i]);
        if (r == 0)
                r = copy_list(&s->env_pass, &spec->env_pass);
        if (r == 0)
                r = empty_list(&spec->success_exit_status);
        for (const YamlNode *e = codes ? codes->first : NULL; r == 0 && e; e = e->next)
                r = e->kind == YAML_INTEGER
                                    ? strv_pushf(&spec->success_exit_status, "%" PRIu64, e->integer)
                                    : strv_push(&spec->success_exit_status, e->text ? e->text : "");
        return r;
}

static int resolve_talk(const Resolver *v) {
        const RosterRuntimeData *d = &v->runtime->all;
        RuntimeTalk *t = &v->spec->talk;
        struct {
                const RosterValue *from;
                char **to;
        } texts[] = {
                { &d->ready_pattern, &t->ready_pattern },
                { &d->busy_pattern, &t->busy_pattern },
                { &d->waiting_pattern, &t->waiting_pattern },
                { &d->reset_keys, &t->reset_keys },
                { &d->quit_keys, &t->quit_keys },
                { &d->composer_pattern, &t->composer_pattern },
                { &d->composer_rest, &t->composer_rest },
                { &d->composer_unfocused, &t->composer_unfocused },
                { &d->composer_misreads, &t->composer_misreads },
                { &d->composer_prefix, &t->composer_prefix },
                { &d->busy_title, &t->busy_title },
                { &d->waiting_title, &t->waiting_title },
                { &d->submit_key, &t->submit_key },
                { &d->install, &v->spec->install },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int r = copy_text(texts[i].from, texts[i].to);

                if (r < 0)
                        return r;
        }
        if (!t->submit_key) {
                t->submit_key = strdup(SUBMIT_KEY_DEFAULT);
                if (!t->submit_key)
                        return -ENOMEM;
        }
        t->ready_timeout_usec = number_or(&d->ready_timeout, READY_TIMEOUT_DEFAULT);
        t->reset_settle_usec = number_or(&d->reset_settle, RESET_SETTLE_DEFAULT);
        t->submit_delay_usec = number_or(&d->submit_delay, 0);
        return 0;
}

static int resolve_none(const Resolver *v) {
        AgentSpec *spec = v->spec;
        const YamlNode *labels = v->agent->labels.node;
        int r;

        spec->state = (DesiredState)number_or(&v->settings.state, DESIRED_RUNNING);
        spec->on_change = (OnChange)number_or(&v->settings.on_change, ON_CHANGE_DEFER);
        spec->elsewhere = !roster_is_here(&v->settings, v->machine);
        r = copy_text(&v->agent->description, &spec->description);
        if (r == 0)
                r = empty_list(&spec->hosts);
        if (r == 0)
                r = copy_hosts(&v->settings, &spec->hosts);
        if (r == 0)
                r = empty_list(&spec->labels);
        for (const YamlNode *m = labels ? labels->first : NULL; r == 0 && m; m = m->next)
                if (m->kind == YAML_STRING && m->key)
                        r = strv_pushf(&spec->labels, "%s=%s", m->key->text, m->text);
        if (r < 0)
                return r;
        strv_sort(spec->labels);
        r = empty_list(&spec->after);
        if (r == 0)
                r = copy_list(&v->agent->after, &spec->after);
        if (r == 0)
                r = empty_list(&spec->resume_args);
        if (r == 0)
                r = copy_list(&v->runtime->all.resume_args, &spec->resume_args);
        return r < 0 ? r : resolve_talk(v);
}

/* --- fingerprints ----------------------------------------------------------------------------- */

/*
 * What is hashed is a record: for each field that is set its name and NUL, then "+", the text and
 * NUL for each of its values, then ".". No value holds a NUL, so two different specs never give the
 * same record; and a key that a later version adds changes no record that does not use it. The
 * first bytes carry a number: what is hashed may change with a new one only.
 */
static void record_begin(StrBuf *b) {
        strbuf_reset(b);
        strbuf_add(b, "v2");
}

static void record_open(StrBuf *b, const char *name) {
        strbuf_add_bytes(b, name, strlen(name) + 1);
}

static void record_value(StrBuf *b, const char *value) {
        strbuf_add_char(b, '+');
        strbuf_add_bytes(b, value, strlen(value) + 1);
}

static void record_close(StrBuf *b) {
        strbuf_add_char(b, '.');
}

static void record_text(StrBuf *b, const char *name, const char *value) {
        if (!value)
                return;
        record_open(b, name);
        record_value(b, value);
        record_close(b);
}

static void record_number(StrBuf *b, const char *name, uint64_t value) {
        char digits[24];

        if (value == 0)
                return;
        (void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
        record_text(b, name, digits);
}

static void record_list(StrBuf *b, const char *name, char *const *list) {
        if (!list || !*list)
                return;
        record_open(b, name);
        for (; *list; list++)
                record_value(b, *list);
        record_close(b);
}

static void record_words(StrBuf *b, const char *name, const RosterValue *list) {
        if (!list->node)
                return;
        record_open(b, name);
        for (const YamlNode *e = list->node->first; e; e = e->next)
                record_value(b, e->text);
        record_close(b);
}

static int record_hash(const StrBuf *b, char ret[static FINGERPRINT_SIZE]) {
        if (b->failed)
                return -ENOMEM;
        sha256_hex(strbuf_text(b), b->length, ret);
        return 0;
}

/* Only what the roster says: of a built-in runtime just the name, so that an upgrade changes
 * nothing. */
static int hash_declared(const Resolver *v, StrBuf *b) {
        _cleanup_strv_ char **own = NULL;
        const AgentSpec *s = v->spec;
        char *const *env = s->env;
        int q;

        if (v->runtime->builtin.env.node) {
                q = resolve_env(v, /* with_builtin= */ false, &own);
                if (q < 0)
                        return q;
                env = own;
        }
        record_begin(b);
        record_text(b, "runtime", s->runtime);
        record_text(b, "model", s->model);
        record_text(b, "workdir", s->workdir);
        record_list(b, "env", env);
        record_list(b, "env_files", s->env_files);
        if (s->n_credentials > 0)
                record_open(b, "credentials");
        for (size_t i = 0; i < s->n_credentials; i++) {
                record_value(b, s->credentials[i].variable);
                record_value(b, s->credentials[i].file);
        }
        if (s->n_credentials > 0)
                record_close(b);
        record_words(b, "command", &v->runtime->own.command);
        if (s->model)
                record_words(b, "model_args", &v->runtime->own.model_args);
        if (v->agent->args.node && v->agent->args.node->first) /* an empty list says nothing */
                record_words(b, "args", &v->agent->args);
        return record_hash(b, v->spec->restart_fingerprint);
}

/* What was declared, and what the product's own data made of it. */
static int hash_resolved(const Resolver *v, StrBuf *b) {
        record_begin(b);
        record_text(b, "declared", v->spec->restart_fingerprint);
        record_list(b, "argv", v->spec->argv);
        if (v->runtime->builtin.env.node)
                record_list(b, "env", v->spec->env);
        return record_hash(b, v->spec->resolved);
}

static int hash_live(AgentSpec *s, StrBuf *b) {
        record_begin(b);
        record_list(b, "env_pass", s->env_pass);
        record_text(b, "policy", restart_policy_to_string(s->restart_policy));
        record_number(b, "delay", s->restart_delay_usec);
        record_number(b, "attempts", s->restart_attempts);
        record_number(b, "window", s->restart_window_usec);
        record_number(b, "memory", s->limit_memory);
        record_number(b, "cpu", s->limit_cpu);
        record_number(b, "tasks", s->limit_tasks);
        record_number(b, "stop_timeout", s->stop_timeout_usec);
        record_list(b, "success_exit_status", s->success_exit_status);
        return record_hash(b, s->live_fingerprint);
}

static int resolve_fingerprints(const Resolver *v) {
        _cleanup_strbuf_ StrBuf record = STRBUF_NULL;
        int q;

        q = hash_declared(v, &record);
        if (q == 0)
                q = hash_resolved(v, &record);
        return q < 0 ? q : hash_live(v->spec, &record);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int resolve_identity(const Resolver *v) {
        AgentSpec *spec = v->spec;
        int r;

        spec->name = strdup(v->agent->name);
        spec->runtime = strdup(v->runtime->name);
        if (!spec->name || !spec->runtime)
                return -ENOMEM;
        r = copy_text(&v->settings.model, &spec->model);
        return r < 0 ? r : expand(v, v->agent->workdir.node, &spec->workdir);
}

int roster_resolve_agent(
                const Roster *r, const RosterAgent *a, const Machine *machine, AgentSpec **ret) {
        static int (*const steps[])(const Resolver *) = {
                resolve_identity,
                resolve_argv,
                resolve_env_files,
                resolve_credentials,
                resolve_live,
                resolve_none,
        };
        _cleanup_(agent_spec_freep) AgentSpec *spec = NULL;
        Resolver v = { .roster = r, .agent = a, .machine = machine };
        int q;

        v.settings = roster_effective(r, a);
        if (!v.settings.runtime.node)
                return RESOLVE_INCOMPLETE;
        v.runtime = roster_find_runtime(r, v.settings.runtime.node->text);
        if (!v.runtime)
                return RESOLVE_INCOMPLETE;
        spec = calloc(1, sizeof(*spec));
        if (!spec)
                return -ENOMEM;
        v.spec = spec;
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                q = steps[i](&v);
                if (q != 0)
                        return q;
        }
        q = resolve_env(&v, /* with_builtin= */ true, &spec->env);
        if (q == 0)
                q = resolve_fingerprints(&v);
        if (q < 0)
                return q;
        *ret = TAKE_PTR(spec);
        return 0;
}
