/* SPDX-License-Identifier: MIT */
#include "model/roster-graph.h"

#include <string.h>

#include "model/base/suggest.h"
#include "model/roster-resolve.h"

/* A suggestion looks at every agent and a circle at the whole path: enough is enough. */
#define SUGGESTIONS_MAX 50
#define CIRCLES_MAX 50

typedef enum Colour {
        WHITE, /* not visited */
        GREY,  /* on the path that is being walked */
        BLACK, /* everything behind it is visited */
} Colour;

typedef struct Graph {
        const Finder *finder;
        const RosterSettings *effective;
        const RosterAgent **sorted; /* by name */
        Colour *colours;            /* by place in roster->agents, like the following */
        const YamlNode **next;      /* entry of `after` to follow next */
        size_t *path;               /* agents, from the first one walked */
        size_t length;
        size_t n_unknown;
        size_t n_circles;
} Graph;

static void graph_done(Graph *g) {
        free(g->sorted);
        free(g->colours);
        free(g->next);
        free(g->path);
}

static int compare_agents(const void *a, const void *b) {
        return strcmp((*(const RosterAgent *const *)a)->name,
                        (*(const RosterAgent *const *)b)->name);
}

static int compare_name(const void *key, const void *element) {
        return strcmp(key, (*(const RosterAgent *const *)element)->name);
}

/* SIZE_MAX: there is no such agent. */
static size_t find_agent(const Graph *g, const char *name) {
        const Roster *r = g->finder->roster;
        const RosterAgent **found;

        found = bsearch(name, g->sorted, r->n_agents, sizeof(*g->sorted), compare_name);
        return found ? (size_t)(*found - r->agents) : SIZE_MAX;
}

static void report_unknown(Graph *g, const YamlNode *entry) {
        const Roster *r = g->finder->roster;
        Suggestion s = suggestion_init(entry->text);
        char help[100];
        Diag *d;

        for (size_t i = 0; g->n_unknown < SUGGESTIONS_MAX && i < r->n_agents; i++)
                suggestion_offer(&s, r->agents[i].name);
        g->n_unknown++;
        if (s.best)
                (void)snprintf(help, sizeof(help), "did you mean \"%.64s\"?", s.best);
        d = find_error(g->finder, "unknown-agent", entry, s.best ? help : "delete it",
                        "there is no agent \"%s\"", entry->text);
        if (d && s.best)
                d->fix = strdup(s.best); /* only a convenience: may be missing */
}

static bool is_stopped(const RosterSettings *s) {
        return s->state.node && s->state.number == DESIRED_STOPPED;
}

static void check_entry(Graph *g, size_t agent, const YamlNode *entry) {
        const Machine *machine = g->finder->machine;
        size_t other;

        if (entry->kind != YAML_STRING)
                return;
        other = find_agent(g, entry->text);
        if (other == SIZE_MAX) {
                report_unknown(g, entry);
                return;
        }
        if (other == agent) {
                (void)find_error(g->finder, "after-itself", entry, "delete it",
                                "an agent cannot wait for itself");
                return;
        }
        if (is_stopped(&g->effective[agent]) || !roster_is_here(&g->effective[agent], machine))
                return;
        if (!roster_is_here(&g->effective[other], machine))
                (void)find_warning(g->finder, "after-elsewhere", entry, NULL,
                                "agent \"%s\" is not for this machine, so nothing waits for it "
                                "here",
                                entry->text);
        else if (is_stopped(&g->effective[other]))
                (void)find_warning(g->finder, "after-stopped", entry, NULL,
                                "agent \"%s\" is stopped, so nothing waits for it", entry->text);
}

/* The path from @other to its end, which leads back to @other. */
static int report_circle(Graph *g, const YamlNode *entry, size_t other) {
        const Roster *r = g->finder->roster;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        size_t i = 0;

        if (g->n_circles++ >= CIRCLES_MAX)
                return 0;

        while (g->path[i] != other)
                i++;
        for (; i < g->length && b.length < 400; i++)
                strbuf_addf(&b, "%s -> ", r->agents[g->path[i]].name);
        if (i < g->length)
                strbuf_add(&b, "... -> ");
        strbuf_add(&b, r->agents[other].name);
        if (b.failed)
                return -ENOMEM;
        (void)find_error(g->finder, "after-circle", entry, "delete one of these",
                        "these agents wait for each other: %s", strbuf_text(&b));
        return 0;
}

static void enter(Graph *g, size_t agent) {
        const YamlNode *after = g->finder->roster->agents[agent].after.node;

        g->colours[agent] = GREY;
        g->next[agent] = after ? after->first : NULL;
        g->path[g->length++] = agent;
}

/* Depth first without recursion: the depth is up to the user. */
static int walk(Graph *g, size_t start) {
        enter(g, start);
        while (g->length > 0) {
                size_t agent = g->path[g->length - 1], other;
                const YamlNode *entry = g->next[agent];

                if (!entry) {
                        g->colours[agent] = BLACK;
                        g->length--;
                        continue;
                }
                g->next[agent] = entry->next;
                other = entry->kind == YAML_STRING ? find_agent(g, entry->text) : SIZE_MAX;
                if (other == SIZE_MAX || other == agent)
                        continue;
                if (g->colours[other] == WHITE)
                        enter(g, other);
                else if (g->colours[other] == GREY) {
                        int r = report_circle(g, entry, other);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int roster_check_graph(const Finder *f, const RosterSettings *effective) {
        const Roster *r = f->roster;
        _cleanup_(graph_done) Graph g = { .finder = f, .effective = effective };

        if (r->n_agents == 0)
                return 0;
        g.sorted = calloc(r->n_agents, sizeof(*g.sorted));
        g.colours = calloc(r->n_agents, sizeof(*g.colours));
        g.next = calloc(r->n_agents, sizeof(*g.next));
        g.path = calloc(r->n_agents, sizeof(*g.path));
        if (!g.sorted || !g.colours || !g.next || !g.path)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_agents; i++)
                g.sorted[i] = &r->agents[i];
        qsort(g.sorted, r->n_agents, sizeof(*g.sorted), compare_agents);

        for (size_t i = 0; i < r->n_agents; i++) {
                const YamlNode *after = r->agents[i].after.node;

                for (const YamlNode *e = after ? after->first : NULL; e; e = e->next)
                        check_entry(&g, i, e);
        }
        for (size_t i = 0; i < r->n_agents; i++)
                if (g.colours[i] == WHITE) {
                        int q = walk(&g, i);

                        if (q < 0)
                                return q;
                }
        return 0;
}
