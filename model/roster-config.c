/* SPDX-License-Identifier: MIT */
#include "model/roster-config.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/base/pointer.h"
#include "model/base/strv.h"
#include "model/base/yaml.h"
#include "model/roster-resolve.h"

const char *origin_kind_to_string(OriginKind k) {
        static const char *const names[] = {
                [ORIGIN_ROSTER] = "roster",
                [ORIGIN_RUNTIME] = "runtime",
                [ORIGIN_DEFAULT] = "default",
                [ORIGIN_MACHINE] = "machine",
        };
        _Static_assert(ELEMENTSOF(names) == _ORIGIN_MAX, "a name for each");

        return k < _ORIGIN_MAX ? names[k] : NULL;
}

RosterConfig *roster_config_free(RosterConfig *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_origins; i++)
                free(c->origins[i].pointer);
        free(c->origins);
        json_free(c->document);
        free(c);
        return NULL;
}

/* --- where values come from ------------------------------------------------------------------- */

/* A text whose places are asked for. */
typedef struct Text {
        const RosterSource *source;
        const YamlNode *root;
        size_t *lines; /* offset of each line */
        size_t n_lines;
        YamlDoc *doc; /* of a runtime's file */
        char *name;   /* of the runtime */
} Text;

typedef struct Writer {
        const ConfigInput *input;
        Text *texts; /* the roster, then the runtimes */
        size_t n_texts;
        Roster roster;
        JsonBuilder json;
        StrBuf pointer; /* of the mapping that is open */
        RosterConfig *config;
        int error;
} Writer;

static void writer_done(Writer *w) {
        for (size_t i = 0; i < w->n_texts; i++) {
                free(w->texts[i].lines);
                free(w->texts[i].name);
                yaml_doc_free(w->texts[i].doc);
        }
        free(w->texts);
        roster_done(&w->roster);
        json_builder_done(&w->json);
        strbuf_done(&w->pointer);
        roster_config_free(w->config);
}

static int index_lines(Text *t) {
        const char *bytes = t->source->bytes, *feed;
        size_t offset = 0;

        for (;;) {
                size_t *slot = array_grow(&t->lines, t->n_lines, sizeof(*slot));

                if (!slot)
                        return -ENOMEM;
                *slot = offset;
                t->n_lines++;
                feed = memchr(bytes + offset, '\n', t->source->size - offset);
                if (!feed)
                        return 0;
                offset = (size_t)(feed - bytes) + 1;
        }
}

static unsigned line_of(const Text *t, size_t offset) {
        size_t low = 0, high = t->n_lines;

        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (t->lines[middle] <= offset)
                        low = middle;
                else
                        high = middle;
        }
        return (unsigned)low + 1;
}

static const Text *text_of(const Writer *w, const YamlNode *node) {
        while (node->parent)
                node = node->parent;
        for (size_t i = 0; i < w->n_texts; i++)
                if (w->texts[i].root == node)
                        return &w->texts[i];
        return NULL;
}

/* The place of @node; without one the value is mosaic's own, or @kind says what else it is. */
static void add_origin(Writer *w, const char *key, const YamlNode *node, OriginKind kind) {
        RosterConfig *c = w->config;
        Origin *o = array_grow(&c->origins, c->n_origins, sizeof(*o));
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        strbuf_add(&b, strbuf_text(&w->pointer));
        pointer_add(&b, key);
        if (!o || strbuf_finish(&b, &o->pointer) < 0) {
                w->error = -ENOMEM;
                return;
        }
        c->n_origins++;
        o->kind = kind;
        if (node) {
                const Text *t = text_of(w, node);

                if (!t) {
                        w->error = -EINVAL;
                        return;
                }
                o->kind = t == w->texts ? ORIGIN_ROSTER : ORIGIN_RUNTIME;
                o->file = t->source->name;
                o->line = line_of(t, node->span.start);
        }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void open_mapping(Writer *w, const char *key) {
        json_open_object(&w->json, key);
        pointer_add(&w->pointer, key);
}

static void close_mapping(Writer *w) {
        json_close(&w->json);
        while (w->pointer.length > 0 && w->pointer.data[--w->pointer.length] != '/')
                ;
        if (w->pointer.data)
                w->pointer.data[w->pointer.length] = '\0';
}

static bool is_secret(const Writer *w, const YamlNode *node) {
        const Diags *d = w->input->diags;

        if (!node || d->n_secrets == 0 || text_of(w, node) != w->texts)
                return false;
        for (size_t i = 0; i < d->n_secrets; i++)
                if (node->span.start < d->secrets[i].end && d->secrets[i].start < node->span.end)
                        return true;
        return false;
}

static void put_text(Writer *w, const char *key, const YamlNode *node, const char *text) {
        add_origin(w, key, node, ORIGIN_DEFAULT);
        json_put_string(&w->json, key, is_secret(w, node) ? "***" : text);
}

static void put_number(Writer *w, const char *key, const YamlNode *node, uint64_t number) {
        add_origin(w, key, node, ORIGIN_DEFAULT);
        json_put_uint(&w->json, key, number);
}

/* As parse_duration() reads it, with the largest unit that fits. */
static void put_duration(Writer *w, const char *key, const YamlNode *node, uint64_t usec) {
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = {
                { "d", 86400 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
                { "m", 60 * USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "ms", USEC_PER_MSEC },
        };
        size_t i = 0;
        char text[32];

        while (i + 1 < ELEMENTSOF(units) && usec % units[i].usec != 0)
                i++;
        (void)snprintf(text, sizeof(text), "%" PRIu64 "%s", usec / units[i].usec, units[i].unit);
        put_text(w, key, node, usec == 0 ? "0" : text);
}

/* As parse_size() reads it. */
static void put_size(Writer *w, const char *key, const YamlNode *node, uint64_t bytes) {
        static const char units[] = "KMGT";
        char text[32];
        size_t n = 0;

        while (n < strlen(units) && bytes >= 1024 && bytes % 1024 == 0) {
                bytes /= 1024;
                n++;
        }
        (void)snprintf(text, sizeof(text), "%" PRIu64 "%.*s", bytes, n > 0,
                        n > 0 ? &units[n - 1] : "");
        put_text(w, key, node, text);
}

/* One item of a list, or a value. */
static void put_item(Writer *w, const char *key, const YamlNode *n) {
        if (n->kind == YAML_INTEGER)
                json_put_uint(&w->json, key, n->integer);
        else
                json_put_string(&w->json, key, is_secret(w, n) ? "***" : n->text);
}

/* A word or list as it is written; nothing if it is not. */
static void put_written(Writer *w, const char *key, const RosterValue *v) {
        if (!v->node)
                return;
        add_origin(w, key, v->node, ORIGIN_DEFAULT);
        if (v->node->kind != YAML_SEQUENCE) {
                put_item(w, key, v->node);
                return;
        }
        json_open_array(&w->json, key);
        for (const YamlNode *e = v->node->first; e; e = e->next)
                put_item(w, NULL, e);
        json_close(&w->json);
}

static void put_list(Writer *w, const char *key, const YamlNode *node, char *const *list) {
        add_origin(w, key, node, ORIGIN_DEFAULT);
        json_put_strv(&w->json, key, list);
}

/* The members of mappings that are merged: for each name the last layer that has it. */
static void put_merged(Writer *w, const char *key, const RosterValue *const *layers, size_t n) {
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < n; i++)
                for (const YamlNode *m = layers[i]->node ? layers[i]->node->first : NULL; m;
                                m = m->next)
                        if (!strv_find(names, m->key->text) && strv_push(&names, m->key->text) < 0)
                                w->error = -ENOMEM;
        if (!names)
                return;
        strv_sort(names);
        open_mapping(w, key);
        for (char **name = names; *name; name++)
                for (size_t i = n; i-- > 0;) {
                        const YamlNode *m = yaml_get(layers[i]->node, *name);

                        if (!m)
                                continue;
                        put_text(w, *name, m, m->text);
                        break;
                }
        close_mapping(w);
}

/* --- runtimes --------------------------------------------------------------------------------- */

static bool is_written(const RosterTable *table, const char *base) {
        for (size_t i = 0; i < table->n_keys; i++) {
                RosterValue v;

                memcpy(&v, base + table->keys[i].offset, sizeof(v));
                if (v.node)
                        return true;
        }
        return false;
}

/* What a key of a runtime is where nobody says it, once its section is used; 0: nothing. */
static uint64_t runtime_default(size_t offset) {
        if (offset == offsetof(RosterRuntimeData, ready_timeout))
                return READY_TIMEOUT_DEFAULT;
        if (offset == offsetof(RosterRuntimeData, reset_settle))
                return RESET_SETTLE_DEFAULT;
        return 0;
}

static void put_runtime_keys(Writer *w, const RosterTable *table, const RosterRuntime *r);

static void put_runtime_key(Writer *w, const RosterKey *key, const RosterRuntime *r) {
        const char *base = (const char *)&r->all;
        RosterValue v;

        if (key->kind == KIND_SECTION) {
                if (!is_written(key->section, base) && strcmp(key->name, "submit") != 0)
                        return;
                open_mapping(w, key->name);
                put_runtime_keys(w, key->section, r);
                close_mapping(w);
                return;
        }
        memcpy(&v, base + key->offset, sizeof(v));
        if (key->offset == offsetof(RosterRuntimeData, env)) {
                const RosterValue *layers[] = { &r->builtin.env, &r->own.env };

                put_merged(w, key->name, layers, ELEMENTSOF(layers));
        } else if (key->offset == offsetof(RosterRuntimeData, submit_key) && !v.node)
                put_text(w, key->name, NULL, SUBMIT_KEY_DEFAULT);
        else if (key->kind == KIND_DURATION) {
                if (v.node || runtime_default(key->offset) > 0)
                        put_duration(w, key->name, v.node,
                                        v.node ? v.number : runtime_default(key->offset));
        } else
                put_written(w, key->name, &v);
}

static void put_runtime_keys(Writer *w, const RosterTable *table, const RosterRuntime *r) {
        for (size_t i = 0; i < table->n_keys; i++)
                put_runtime_key(w, &table->keys[i], r);
}

static bool is_shown(const Writer *w, const char *agent) {
        return !w->input->names || strv_find(w->input->names, agent);
}

static bool is_used(const Writer *w, const RosterRuntime *r) {
        const Desired *d = w->input->desired;

        for (size_t i = 0; i < d->n_agents; i++)
                if (is_shown(w, d->agents[i]->name) && strcmp(d->agents[i]->runtime, r->name) == 0)
                        return true;
        return false;
}

static void put_runtimes(Writer *w) {
        bool any = false;

        for (size_t i = 0; i < w->roster.n_runtimes; i++) {
                const RosterRuntime *r = &w->roster.runtimes[i];

                if (!is_used(w, r))
                        continue;
                if (!any)
                        open_mapping(w, "runtimes");
                any = true;
                open_mapping(w, r->name);
                put_runtime_keys(w, &roster_table_runtime, r);
                close_mapping(w);
        }
        if (any)
                close_mapping(w);
}

/* --- agents ----------------------------------------------------------------------------------- */

static void put_restart(Writer *w, const RosterRestart *r, const AgentSpec *s) {
        open_mapping(w, "restart");
        put_text(w, "policy", r->policy.node, restart_policy_to_string(s->restart_policy));
        put_duration(w, "delay", r->delay.node, s->restart_delay_usec);
        put_number(w, "attempts", r->attempts.node, s->restart_attempts);
        put_duration(w, "window", r->window.node, s->restart_window_usec);
        close_mapping(w);
}

/* A limit that nobody sets is none. */
static void put_limits(Writer *w, const RosterLimits *l) {
        char cpu[32];

        if (!l->memory.node && !l->cpu.node && !l->tasks.node)
                return;
        open_mapping(w, "limits");
        if (l->memory.node)
                put_size(w, "memory", l->memory.node, l->memory.number);
        if (l->cpu.node) {
                (void)snprintf(cpu, sizeof(cpu), "%" PRIu64 "%%", l->cpu.number);
                put_text(w, "cpu", l->cpu.node, cpu);
        }
        if (l->tasks.node)
                put_number(w, "tasks", l->tasks.node, l->tasks.number);
        close_mapping(w);
}

static void put_credentials(Writer *w, const RosterAgent *a, const AgentSpec *s) {
        if (s->n_credentials == 0)
                return;
        open_mapping(w, "credentials");
        for (size_t i = 0; i < s->n_credentials; i++) {
                const Credential *c = &s->credentials[i];
                const YamlNode *m = yaml_get(a->settings.credentials.node, c->variable);

                if (!m)
                        m = yaml_get(w->roster.defaults.credentials.node, c->variable);
                open_mapping(w, c->variable);
                put_text(w, "file", yaml_get(m, "file"), c->file);
                close_mapping(w);
        }
        close_mapping(w);
}

static void put_agent(Writer *w, const RosterAgent *a, const AgentSpec *s) {
        RosterSettings e = roster_effective(&w->roster, a);
        const RosterRuntime *r = roster_find_runtime(&w->roster, s->runtime);
        const RosterValue *env[] = {
                &w->roster.defaults.env,
                &r->builtin.env,
                &r->own.env,
                &a->settings.env,
        };
        const RosterValue *labels[] = { &a->labels };

        open_mapping(w, a->name);
        put_written(w, "description", &a->description);
        put_written(w, "runtime", &e.runtime);
        put_written(w, "model", &e.model);
        put_text(w, "workdir", a->workdir.node, s->workdir);
        put_written(w, "args", &a->args);
        put_text(w, "state", e.state.node, desired_state_to_string(s->state));
        put_text(w, "on_change", e.on_change.node, on_change_to_string(s->on_change));
        put_written(w, "host", &e.host);
        put_written(w, "after", &a->after);
        put_merged(w, "labels", labels, ELEMENTSOF(labels));
        put_merged(w, "env", env, ELEMENTSOF(env));
        put_list(w, "env_pass", e.env_pass.node, s->env_pass);
        if (e.env_files.node)
                put_list(w, "env_files", e.env_files.node, s->env_files);
        put_credentials(w, a, s);
        put_restart(w, &e.restart, s);
        put_limits(w, &e.limits);
        put_duration(w, "stop_timeout", e.stop_timeout.node, s->stop_timeout_usec);
        close_mapping(w);
}

static void put_agents(Writer *w) {
        open_mapping(w, "agents");
        for (size_t i = 0; i < w->roster.n_agents; i++) {
                const RosterAgent *a = &w->roster.agents[i];
                const AgentSpec *s = desired_find(w->input->desired, a->name);

                if (s && is_shown(w, a->name))
                        put_agent(w, a, s);
        }
        close_mapping(w);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void put_fleet(Writer *w) {
        const Roster *r = &w->roster;
        const Desired *d = w->input->desired;
        const YamlNode *supervisor = r->supervisor.node;
        char size[32];

        if (r->fleet_name.node || r->fleet_description.node) {
                open_mapping(w, "fleet");
                put_written(w, "name", &r->fleet_name);
                put_written(w, "description", &r->fleet_description);
                close_mapping(w);
        }
        open_mapping(w, "tmux");
        put_text(w, "socket", r->tmux_socket.node, d->tmux_socket ?: w->input->socket);
        (void)snprintf(size, sizeof(size), "%ux%u", d->tmux_width, d->tmux_height);
        put_text(w, "size", r->tmux_size.node, size);
        put_number(w, "history_limit", r->tmux_history.node, d->tmux_history);
        close_mapping(w);
        add_origin(w, "supervisor", supervisor, ORIGIN_MACHINE);
        json_put_string(&w->json, "supervisor",
                        supervisor_to_string(supervisor ? d->supervisor : w->input->supervisor));
}

/* Reads the runtimes' files once more: loading keeps nothing but what it made of them. */
static int read_texts(Writer *w) {
        const ConfigInput *in = w->input;
        Diags ignored = DIAGS_NULL; /* loading has reported them */
        int r = 0;

        w->texts = calloc(1 + in->n_runtimes, sizeof(*w->texts));
        if (!w->texts)
                return -ENOMEM;
        w->n_texts = 1 + in->n_runtimes;
        w->texts[0].source = in->roster;
        w->texts[0].root = in->desired->roster->root;
        for (size_t i = 0; r == 0 && i < in->n_runtimes; i++) {
                Text *t = &w->texts[1 + i];

                t->source = &in->runtimes[i];
                t->name = roster_runtime_name(t->source->name);
                if (!t->name)
                        r = -ENOMEM;
                else
                        r = yaml_load(t->source->bytes, t->source->size, &ignored, &t->doc);
                if (r == 0) {
                        t->root = t->doc->root;
                        r = roster_add_builtin(&w->roster, t->name, t->root);
                }
        }
        diags_done(&ignored);
        for (size_t i = 0; r == 0 && i < w->n_texts; i++)
                r = index_lines(&w->texts[i]);
        if (r > 0)
                return -EINVAL;
        return r < 0 ? r : roster_decode(in->desired->roster->root, &w->roster);
}

int roster_config_new(const ConfigInput *input, RosterConfig **ret) {
        _cleanup_(writer_done) Writer w = { .input = input };
        const YamlNode *version;
        int r;

        w.config = calloc(1, sizeof(*w.config));
        if (!w.config)
                return -ENOMEM;
        r = read_texts(&w);
        if (r < 0)
                return r;
        json_open_object(&w.json, NULL);
        version = yaml_get(w.roster.root, "version");
        if (!version)
                return -EINVAL;
        put_number(&w, "version", version, version->integer);
        put_fleet(&w);
        put_runtimes(&w);
        put_agents(&w);
        json_close(&w.json);
        r = json_finish(&w.json, &w.config->document);
        if (w.error < 0)
                return w.error;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w.config);
        return 0;
}
