/* SPDX-License-Identifier: MIT */
#include "model/roster-decode.h"

#include <string.h>

#include "model/base/array.h"
#include "model/base/parse.h"

/* --- tables ----------------------------------------------------------------------------------- */

#define TABLE(pointer, rows)                                                                       \
        { .schema = (pointer), .keys = (rows), .n_keys = ELEMENTSOF(rows) }

#define AT(field) offsetof(RosterRestart, field)
static const RosterKey restart_keys[] = {
        { "policy", KIND_POLICY, AT(policy), NULL },
        { "delay", KIND_DURATION, AT(delay), NULL },
        { "attempts", KIND_NUMBER, AT(attempts), NULL },
        { "window", KIND_DURATION, AT(window), NULL },
};
#undef AT
static const RosterTable restart_table = {
        .schema = "/$defs/restart",
        .keys = restart_keys,
        .n_keys = ELEMENTSOF(restart_keys),
        .shorthand = "policy",
};

#define AT(field) offsetof(RosterLimits, field)
static const RosterKey limits_keys[] = {
        { "memory", KIND_SIZE, AT(memory), NULL },
        { "cpu", KIND_PERCENT, AT(cpu), NULL },
        { "tasks", KIND_NUMBER, AT(tasks), NULL },
};
#undef AT
static const RosterTable limits_table = TABLE("/$defs/limits", limits_keys);

#define SETTINGS(base)                                                                             \
        { "runtime", KIND_TEXT, base(runtime), NULL }, { "model", KIND_TEXT, base(model), NULL },  \
                        { "state", KIND_STATE, base(state), NULL },                                \
                        { "on_change", KIND_ON_CHANGE, base(on_change), NULL },                    \
                        { "host", KIND_NODE, base(host), NULL },                                   \
                        { "env", KIND_NODE, base(env), NULL },                                     \
                        { "env_pass", KIND_NODE, base(env_pass), NULL },                           \
                        { "env_files", KIND_NODE, base(env_files), NULL },                         \
                        { "credentials", KIND_NODE, base(credentials), NULL },                     \
                        { "restart", KIND_SECTION, base(restart), &restart_table },                \
                        { "limits", KIND_SECTION, base(limits), &limits_table }, {                 \
                "stop_timeout", KIND_DURATION, base(stop_timeout), NULL                            \
        }

#define AT(field) offsetof(RosterSettings, field)
static const RosterKey defaults_keys[] = { SETTINGS(AT) };
#undef AT
const RosterTable roster_table_defaults = TABLE("/$defs/defaults", defaults_keys);

#define AT(field) offsetof(RosterAgent, field)
#define IN_SETTINGS(field) offsetof(RosterAgent, settings.field)
static const RosterKey agent_keys[] = {
        { "description", KIND_TEXT, AT(description), NULL },
        { "workdir", KIND_TEXT, AT(workdir), NULL },
        { "args", KIND_NODE, AT(args), NULL },
        { "labels", KIND_NODE, AT(labels), NULL },
        { "after", KIND_NODE, AT(after), NULL },
        SETTINGS(IN_SETTINGS),
};
#undef AT
const RosterTable roster_table_agent = TABLE("/$defs/agent", agent_keys);

#define AT(field) offsetof(RosterRuntimeData, field)
#define RUNTIME(key) "/$defs/runtime_data/properties/" key
static const RosterKey reset_keys[] = {
        { "keys", KIND_TEXT, AT(reset_keys), NULL },
        { "settle", KIND_DURATION, AT(reset_settle), NULL },
};
static const RosterTable reset_table = TABLE(RUNTIME("reset"), reset_keys);
static const RosterKey ready_keys[] = {
        { "pattern", KIND_TEXT, AT(ready_pattern), NULL },
        { "timeout", KIND_DURATION, AT(ready_timeout), NULL },
};
static const RosterTable ready_table = TABLE(RUNTIME("ready"), ready_keys);
static const RosterKey composer_keys[] = {
        { "pattern", KIND_TEXT, AT(composer_pattern), NULL },
        { "rest", KIND_TEXT, AT(composer_rest), NULL },
        { "unfocused", KIND_TEXT, AT(composer_unfocused), NULL },
        { "misreads", KIND_TEXT, AT(composer_misreads), NULL },
        { "prefix", KIND_TEXT, AT(composer_prefix), NULL },
};
static const RosterTable composer_table = TABLE(RUNTIME("composer"), composer_keys);
static const RosterKey busy_keys[] = {
        { "pattern", KIND_TEXT, AT(busy_pattern), NULL },
        { "title", KIND_TEXT, AT(busy_title), NULL },
};
static const RosterTable busy_table = TABLE(RUNTIME("busy"), busy_keys);
static const RosterKey waiting_keys[] = {
        { "pattern", KIND_TEXT, AT(waiting_pattern), NULL },
        { "title", KIND_TEXT, AT(waiting_title), NULL },
};
static const RosterTable waiting_table = TABLE(RUNTIME("waiting"), waiting_keys);
static const RosterKey quit_keys[] = {
        { "keys", KIND_TEXT, AT(quit_keys), NULL },
};
static const RosterTable quit_table = TABLE(RUNTIME("quit"), quit_keys);
static const RosterKey submit_keys[] = {
        { "key", KIND_TEXT, AT(submit_key), NULL },
        { "delay", KIND_DURATION, AT(submit_delay), NULL },
};
static const RosterTable submit_table = TABLE(RUNTIME("submit"), submit_keys);

static const RosterKey runtime_keys[] = {
        { "command", KIND_NODE, AT(command), NULL },
        { "model_args", KIND_NODE, AT(model_args), NULL },
        { "env", KIND_NODE, AT(env), NULL },
        { "resume_args", KIND_NODE, AT(resume_args), NULL },
        { "reset", KIND_SECTION, 0, &reset_table },
        { "ready", KIND_SECTION, 0, &ready_table },
        { "composer", KIND_SECTION, 0, &composer_table },
        { "busy", KIND_SECTION, 0, &busy_table },
        { "waiting", KIND_SECTION, 0, &waiting_table },
        { "quit", KIND_SECTION, 0, &quit_table },
        { "submit", KIND_SECTION, 0, &submit_table },
        { "success_exit_status", KIND_NODE, AT(success_exit_status), NULL },
        { "install", KIND_TEXT, AT(install), NULL },
};
#undef AT
const RosterTable roster_table_runtime = TABLE("/$defs/runtime_data", runtime_keys);

#define AT(field) offsetof(Roster, field)
static const RosterKey fleet_keys[] = {
        { "name", KIND_TEXT, AT(fleet_name), NULL },
        { "description", KIND_TEXT, AT(fleet_description), NULL },
};
static const RosterTable fleet_table = TABLE("/properties/fleet", fleet_keys);
static const RosterKey tmux_keys[] = {
        { "socket", KIND_TEXT, AT(tmux_socket), NULL },
        { "size", KIND_TEXT, AT(tmux_size), NULL },
        { "history_limit", KIND_NUMBER, AT(tmux_history), NULL },
};
static const RosterTable tmux_table = TABLE("/properties/tmux", tmux_keys);

/* version is the loader's; agents and runtimes are mappings of sections, read by
 * roster_decode(). */
static const RosterKey root_keys[] = {
        { "fleet", KIND_SECTION, 0, &fleet_table },
        { "tmux", KIND_SECTION, 0, &tmux_table },
        { "supervisor", KIND_SUPERVISOR, AT(supervisor), NULL },
        { "defaults", KIND_SECTION, AT(defaults), &roster_table_defaults },
};
#undef AT
const RosterTable roster_table_root = TABLE("", root_keys);

/* --- values ----------------------------------------------------------------------------------- */

static bool find_word(const char *text, const char *(*name)(unsigned), unsigned n, uint64_t *ret) {
        for (unsigned i = 0; i < n; i++)
                if (strcmp(name(i), text) == 0) {
                        *ret = i;
                        return true;
                }
        return false;
}

static const char *policy_name(unsigned i) {
        return restart_policy_to_string((RestartPolicy)i);
}

static const char *state_name(unsigned i) {
        return desired_state_to_string((DesiredState)i);
}

static const char *on_change_name(unsigned i) {
        return on_change_to_string((OnChange)i);
}

static const char *supervisor_name(unsigned i) {
        return supervisor_to_string((Supervisor)i);
}

/* Whether the node is a value of that kind; the schema has said so already where it is not. */
static bool decode_value(const YamlNode *node, RosterKind kind, uint64_t *number) {
        bool text = node->kind == YAML_STRING;

        if (node->broken)
                return false;
        switch (kind) {
        case KIND_TEXT:
                return text;
        case KIND_NODE:
                return node->kind == YAML_SEQUENCE || node->kind == YAML_MAPPING || text;
        case KIND_NUMBER:
                *number = node->integer;
                return node->kind == YAML_INTEGER && !node->negative;
        case KIND_DURATION:
                if (node->kind == YAML_INTEGER) { /* 0 needs no unit */
                        *number = 0;
                        return node->integer == 0;
                }
                return text && parse_duration(node->text, number) == 0;
        case KIND_SIZE:
                *number = node->integer;
                if (node->kind == YAML_INTEGER)
                        return !node->negative;
                return text && parse_size(node->text, number) == 0;
        case KIND_PERCENT:
                return text && parse_percent(node->text, number) == 0;
        case KIND_POLICY:
                return text && find_word(node->text, policy_name, _RESTART_POLICY_MAX, number);
        case KIND_STATE:
                return text && find_word(node->text, state_name, _DESIRED_STATE_MAX, number);
        case KIND_ON_CHANGE:
                return text && find_word(node->text, on_change_name, _ON_CHANGE_MAX, number);
        case KIND_SUPERVISOR:
                return text && find_word(node->text, supervisor_name, _SUPERVISOR_MAX, number);
        case KIND_SECTION:
                break;
        }
        return false;
}

static const RosterKey *find_key(const RosterTable *table, const char *name) {
        for (size_t i = 0; i < table->n_keys; i++)
                if (strcmp(table->keys[i].name, name) == 0)
                        return &table->keys[i];
        return NULL;
}

static void decode_section(const YamlNode *node, const RosterTable *table, char *base);

static void decode_key(const YamlNode *node, const RosterKey *key, char *base) {
        RosterValue value = { .node = node };

        if (key->kind == KIND_SECTION)
                decode_section(node, key->section, base + key->offset);
        else if (decode_value(node, key->kind, &value.number))
                memcpy(base + key->offset, &value, sizeof(value));
}

static void decode_section(const YamlNode *node, const RosterTable *table, char *base) {
        const RosterKey *key;

        if (node->kind == YAML_STRING && table->shorthand) {
                decode_key(node, find_key(table, table->shorthand), base);
                return;
        }
        if (node->kind != YAML_MAPPING)
                return;
        for (const YamlNode *m = node->first; m; m = m->next) {
                key = find_key(table, m->key->text);
                if (key)
                        decode_key(m, key, base);
        }
}

static void merge_section(const RosterTable *table, char *base, const char *over) {
        for (size_t i = 0; i < table->n_keys; i++) {
                const RosterKey *key = &table->keys[i];
                RosterValue value;

                if (key->kind == KIND_SECTION) {
                        merge_section(key->section, base + key->offset, over + key->offset);
                        continue;
                }
                memcpy(&value, over + key->offset, sizeof(value));
                if (value.node)
                        memcpy(base + key->offset, &value, sizeof(value));
        }
}

void roster_merge_settings(RosterSettings *base, const RosterSettings *over) {
        merge_section(&roster_table_defaults, (char *)base, (const char *)over);
}

/* --- the roster ------------------------------------------------------------------------------- */

void roster_done(Roster *r) {
        free(r->runtimes);
        free(r->agents);
        *r = (Roster){ 0 };
}

static int compare_runtime(const void *key, const void *element) {
        return strcmp(key, ((const RosterRuntime *)element)->name);
}

const RosterRuntime *roster_find_runtime(const Roster *r, const char *name) {
        if (r->n_runtimes == 0)
                return NULL;
        return bsearch(name, r->runtimes, r->n_runtimes, sizeof(*r->runtimes), compare_runtime);
}

/* The runtime of that name, made if there is none; keeps the order. NULL without memory. */
static RosterRuntime *ensure_runtime(Roster *r, const char *name) {
        size_t at = 0;
        RosterRuntime new = { .name = name };

        while (at < r->n_runtimes && strcmp(r->runtimes[at].name, name) < 0)
                at++;
        if (at < r->n_runtimes && strcmp(r->runtimes[at].name, name) == 0)
                return &r->runtimes[at];
        if (!array_grow(&r->runtimes, r->n_runtimes, sizeof(*r->runtimes)))
                return NULL;
        memmove(r->runtimes + at + 1, r->runtimes + at,
                        (r->n_runtimes - at) * sizeof(*r->runtimes));
        r->n_runtimes++;
        r->runtimes[at] = new;
        return &r->runtimes[at];
}

int roster_add_builtin(Roster *r, const char *name, const YamlNode *root) {
        RosterRuntime *runtime = ensure_runtime(r, name);

        if (!runtime)
                return -ENOMEM;
        runtime->builtin = (RosterRuntimeData){ 0 };
        decode_section(root, &roster_table_runtime, (char *)&runtime->builtin);
        runtime->all = runtime->builtin;
        runtime->all.env = (RosterValue){ 0 };
        return 0;
}

/* The schema refuses more than 256 runtimes and 4096 agents. What is beyond is not looked at any
 * further: the checks compare some things with each other. */
#define RUNTIMES_MAX 300
#define AGENTS_MAX 5000

static int decode_runtimes(const YamlNode *map, Roster *r) {
        for (const YamlNode *m = map ? map->first : NULL; m && r->n_runtimes < RUNTIMES_MAX;
                        m = m->next) {
                RosterRuntime *runtime = ensure_runtime(r, m->key->text);

                if (!runtime)
                        return -ENOMEM;
                runtime->node = m;
                decode_section(m, &roster_table_runtime, (char *)&runtime->own);
                merge_section(&roster_table_runtime, (char *)&runtime->all,
                                (const char *)&runtime->own);
        }
        return 0;
}

static int decode_agents(const YamlNode *map, Roster *r) {
        if (!map || map->n_children == 0)
                return 0;
        r->agents = calloc(map->n_children < AGENTS_MAX ? map->n_children : AGENTS_MAX,
                        sizeof(*r->agents));
        if (!r->agents)
                return -ENOMEM;
        for (const YamlNode *m = map->first; m && r->n_agents < AGENTS_MAX; m = m->next) {
                RosterAgent *a = &r->agents[r->n_agents++];

                a->name = m->key->text;
                a->node = m;
                decode_section(m, &roster_table_agent, (char *)a);
        }
        return 0;
}

static const YamlNode *get_mapping(const YamlNode *root, const char *key) {
        const YamlNode *n = yaml_get(root, key);

        return n && n->kind == YAML_MAPPING ? n : NULL;
}

int roster_decode(const YamlNode *root, Roster *r) {
        int q;

        r->root = root;
        decode_section(root, &roster_table_root, (char *)r);
        q = decode_runtimes(get_mapping(root, "runtimes"), r);
        if (q < 0)
                return q;
        return decode_agents(get_mapping(root, "agents"), r);
}
