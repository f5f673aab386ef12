/* SPDX-License-Identifier: MIT */
#include "model/roster.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/hash.h"
#include "model/base/yaml.h"
#include "model/diag-render.h"
#include "model/roster-check-env.h"
#include "model/roster-check.h"
#include "model/roster-resolve.h"
#include "model/roster-schema.h"

#define ROSTER_VERSION 1

/* What a process can be given in all (a single string is limited by the kernel to the same). */
#define ARGV_AND_ENV_MAX (128u << 10)

/* --- built-in runtimes ------------------------------------------------------------------------ */

/* Documents and names that a Roster borrows from. */
typedef struct Builtins {
        YamlDoc **docs;
        size_t n_docs;
        char **names;
        size_t n_names;
} Builtins;

static void builtins_done(Builtins *b) {
        for (size_t i = 0; i < b->n_docs; i++)
                yaml_doc_free(b->docs[i]);
        free(b->docs);
        for (size_t i = 0; i < b->n_names; i++)
                free(b->names[i]);
        free(b->names);
}

char *roster_runtime_name(const char *path) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        return strndup(name, strcspn(name, "."));
}

/* A runtime file is not the file that findings are about, so its place goes into the sentence. */
static void report_runtime_file(const RosterSource *source, const Diags *found, Diags *diags) {
        for (size_t i = 0; i < found->n_items; i++) {
                const Diag *d = &found->items[i];

                (void)diags_add(diags, d->severity, "runtime-file", SPAN_NONE, NULL, d->help,
                                "%s:%zu: %s", source->name,
                                position_of(source->bytes, source->size, d->span.start).line,
                                d->text);
        }
}

static int load_runtime(const RosterSource *source,
                const RosterSchema *schema,
                Builtins *b,
                Roster *roster,
                Diags *diags) {
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_diags_ Diags found = DIAGS_NULL;
        YamlDoc **doc_slot;
        char **name_slot;
        int r;

        r = yaml_load(source->bytes, source->size, &found, &doc);
        if (r < 0)
                return r;
        if (r == 0) {
                r = roster_schema_check_runtime(schema, doc->root, &found);
                if (r < 0)
                        return r;
        }
        report_runtime_file(source, &found, diags);
        if (!doc)
                return 0;

        name_slot = array_grow(&b->names, b->n_names, sizeof(*name_slot));
        if (!name_slot)
                return -ENOMEM;
        *name_slot = roster_runtime_name(source->name);
        if (!*name_slot)
                return -ENOMEM;
        b->n_names++;
        doc_slot = array_grow(&b->docs, b->n_docs, sizeof(*doc_slot));
        if (!doc_slot)
                return -ENOMEM;
        *doc_slot = TAKE_PTR(doc);
        b->n_docs++;
        return roster_add_builtin(roster, *name_slot, (*doc_slot)->root);
}

/* --- version ---------------------------------------------------------------------------------- */

/* A roster of a later version is not looked at any further: what is said about it would be
 * guesses. */
static bool version_is_newer(const YamlNode *root, Diags *diags) {
        const YamlNode *version = yaml_get(root, "version");

        if (!version || version->kind != YAML_INTEGER || version->negative ||
                        version->integer <= ROSTER_VERSION)
                return false;
        (void)diags_add(diags, SEVERITY_ERROR, "unknown-version", version->span, "/version",
                        "update mosaic, or write the roster in version 1",
                        "this roster has version %" PRIu64 ", this program knows version %d",
                        version->integer, ROSTER_VERSION);
        return true;
}

/* --- desired state ---------------------------------------------------------------------------- */

static int compare_specs(const void *a, const void *b) {
        return strcmp((*(AgentSpec *const *)a)->name, (*(AgentSpec *const *)b)->name);
}

static int resolve_fleet(const Roster *roster, Desired *d) {
        unsigned width = TMUX_WIDTH_DEFAULT, height = TMUX_HEIGHT_DEFAULT;

        if (roster->fleet_name.node) {
                d->fleet_name = strdup(roster->fleet_name.node->text);
                if (!d->fleet_name)
                        return -ENOMEM;
        }
        if (roster->tmux_socket.node) {
                d->tmux_socket = strdup(roster->tmux_socket.node->text);
                if (!d->tmux_socket)
                        return -ENOMEM;
        }
        if (roster->tmux_size.node) { /* WIDTHxHEIGHT; the schema has checked the form */
                char *end;

                width = (unsigned)strtoul(roster->tmux_size.node->text, &end, 10);
                height = (unsigned)strtoul(end + 1, NULL, 10);
        }
        d->tmux_width = width;
        d->tmux_height = height;
        d->tmux_history = roster->tmux_history.node ? (unsigned)roster->tmux_history.number
                                                    : TMUX_HISTORY_DEFAULT;
        d->supervisor = roster->supervisor.node ? (Supervisor)roster->supervisor.number
                                                : _SUPERVISOR_INVALID;
        return 0;
}

static size_t spec_size(const AgentSpec *s) {
        char *const *lists[] = { s->argv, s->env };
        size_t total = 0;

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (char *const *w = lists[i]; w && *w; w++)
                        total += strlen(*w) + 1 + sizeof(char *);
        return total;
}

/* Line feeds from *offset to @end, where *offset is then. */
static unsigned count_lines(const RosterSource *source, size_t *offset, size_t end) {
        unsigned n = 0;
        const char *feed;

        if (end > source->size)
                end = source->size;
        for (; *offset < end; *offset = (size_t)(feed - source->bytes) + 1, n++) {
                feed = memchr(source->bytes + *offset, '\n', end - *offset);
                if (!feed) {
                        *offset = end;
                        break;
                }
        }
        return n;
}

static int resolve_agents(const Roster *roster,
                const RosterSource *source,
                const Machine *machine,
                Diags *diags,
                Desired *d) {
        size_t offset = 0;
        unsigned line = 1;

        if (roster->n_agents == 0)
                return 0;
        d->agents = calloc(roster->n_agents, sizeof(*d->agents));
        if (!d->agents)
                return -ENOMEM;
        for (size_t i = 0; i < roster->n_agents; i++) {
                const RosterAgent *a = &roster->agents[i];
                AgentSpec *spec = NULL;
                int r;

                r = roster_resolve_agent(roster, a, machine, &spec);
                if (r < 0)
                        return r;
                if (r > 0) { /* a built-in runtime of no use; every other reason has its own
                              * finding */
                        (void)diags_add(diags, SEVERITY_ERROR, "runtime-file", a->node->key->span,
                                        NULL, "install mosaic again",
                                        "the built-in runtime of agent \"%s\" is incomplete",
                                        a->name);
                        continue;
                }
                d->agents[d->n_agents++] = spec;
                line += count_lines(source, &offset, a->node->key->span.start);
                spec->line = line;
                if (spec_size(spec) > ARGV_AND_ENV_MAX)
                        (void)diags_add(diags, SEVERITY_ERROR, "environment-too-large",
                                        a->node->key->span, NULL, "move large values into files",
                                        "arguments and environment of agent \"%s\" are larger than "
                                        "%u KiB",
                                        a->name, ARGV_AND_ENV_MAX >> 10);
        }
        qsort(d->agents, d->n_agents, sizeof(*d->agents), compare_specs);
        return 0;
}

static int resolve(const Roster *roster,
                const RosterSource *source,
                const Machine *machine,
                Diags *diags,
                Desired **ret) {
        _cleanup_(desired_freep) Desired *d = NULL;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        r = resolve_fleet(roster, d);
        if (r == 0)
                r = resolve_agents(roster, source, machine, diags, d);
        if (r < 0)
                return r;
        sha256_hex(source->bytes, source->size, d->roster_sha256);
        *ret = TAKE_PTR(d);
        return 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

int roster_load(const RosterSource *source,
                const RosterSource *runtimes,
                size_t n_runtimes,
                const Machine *machine,
                Diags *diags,
                Desired **ret) {
        _cleanup_(builtins_done) Builtins builtins = { 0 };
        _cleanup_roster_schema_ RosterSchema *schema = NULL;
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_roster_ Roster roster = { 0 };
        size_t errors_before = diags->n_errors;
        int r;

        r = yaml_load(source->bytes, source->size, diags, &doc);
        if (r != 0) {
                diags_sort(diags);
                return r < 0 ? r : ROSTER_INVALID;
        }
        r = find_secrets(doc->root, diags);
        if (r < 0)
                return r;
        if (version_is_newer(doc->root, diags)) {
                diags_sort(diags);
                return ROSTER_INVALID;
        }
        r = roster_schema_new(&schema);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_runtimes; i++) {
                r = load_runtime(&runtimes[i], schema, &builtins, &roster, diags);
                if (r < 0)
                        return r;
        }
        r = roster_schema_check(schema, doc->root, diags);
        if (r == 0)
                r = roster_decode(doc->root, &roster);
        if (r == 0)
                r = roster_check(&roster, machine, diags);
        if (r == 0 && diags->n_errors == errors_before)
                r = resolve(&roster, source, machine, diags, &desired);
        if (r < 0)
                return r;
        diags_sort(diags);
        if (diags->n_errors > errors_before)
                return ROSTER_INVALID;
        desired->roster = TAKE_PTR(doc);
        *ret = TAKE_PTR(desired);
        return 0;
}
