/* SPDX-License-Identifier: MIT */

/*
 * Exhaustive exploration: explore [SCOPE...]
 *
 * For each scope, every state of its product (roster x files x units x sessions x server x ledger,
 * whether or not anything leads there) and every state that follows from one, the controller makes
 * a pass; then again with it crashing before and after every call it makes, with every call failing
 * without and with effect, with every single change from outside before every call (it then acts on
 * what it saw before: its plan is stale), and with every look blind in one eye. The referee judges
 * each call. Each state that comes of it, and each that a change from outside makes of it, is
 * explored in turn. At last every state must lead to the fixed point of its roster by the
 * controller alone, within a bound, and there nothing is asked of the world.
 *
 * A change of the roster during a pass has no transition of its own: the pass has read it and does
 * not look again, so it is the change after the pass.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "tests/simulation/controller.h"
#include "tests/simulation/packed.h"

typedef enum Move {
        MOVE_ROSTER,
        MOVE_SERVER_DIES,
        MOVE_SOCKET_GONE,
        MOVE_SESSION_KILLED,
        MOVE_SESSION_RENAMED,
        MOVE_NAMESAKE,
        MOVE_ENDS_BADLY,
        MOVE_ENDS_RESTARTING,
        MOVE_STOPPED_BY_HAND,
        MOVE_ATTACH,
        MOVE_HOLD,
        MOVE_DROPIN_LOST,
        MOVE_SPEC_LOST,
        _MOVE_MAX,
} Move;

#define BIT(x) (1u << (x))
#define ALL (~0u)

/* What is varied in the product; what is not is reached all the same if something leads there. */
typedef struct Scope {
        const char *name;
        size_t n;
        bool chain; /* each agent comes after the one before it */
        unsigned rosters, accepted, units, ledgers, servers;
        bool files; /* drop-ins that do not match the spec, units that have not read theirs */
        bool sessions, attached, holds, announced;
        unsigned moves; /* changes from outside, in and between passes */
        bool on_demand;
} Scope;

#define SOME_ROSTERS (BIT(ROSTER_ABSENT) | BIT(ROSTER_FIRST) | BIT(ROSTER_SECOND))
#define FAULTS                                                                                     \
        (BIT(MOVE_ROSTER) | BIT(MOVE_SERVER_DIES) | BIT(MOVE_SOCKET_GONE) | BIT(MOVE_ENDS_BADLY))

static const Scope scopes[] = {
        {
                        .name = "one",
                        .n = 1,
                        .rosters = ALL,
                        .accepted = ALL,
                        .units = ALL,
                        .ledgers = BIT(LEDGER_NONE),
                        .servers = ALL,
                        .files = true,
                        .sessions = true,
                        .moves = ALL & ~BIT(MOVE_ENDS_BADLY) & ~BIT(MOVE_ATTACH) & ~BIT(MOVE_HOLD),
        },
        {
                        .name = "one-occupied",
                        .n = 1,
                        .rosters = SOME_ROSTERS,
                        .accepted = SOME_ROSTERS,
                        .units = ALL,
                        .ledgers = BIT(LEDGER_NONE),
                        .servers = ALL,
                        .sessions = true,
                        .attached = true,
                        .holds = true,
                        .announced = true,
                        .moves = FAULTS | BIT(MOVE_ATTACH) | BIT(MOVE_HOLD) | BIT(MOVE_NAMESAKE),
        },
        {
                        .name = "two",
                        .n = 2,
                        .rosters = SOME_ROSTERS,
                        .accepted = SOME_ROSTERS,
                        .units = ALL & ~BIT(PACKED_RESTARTING),
                        .ledgers = BIT(LEDGER_NONE),
                        .servers = BIT(SERVER_DOWN) | BIT(SERVER_UP),
                        .moves = BIT(MOVE_ROSTER) | BIT(MOVE_SERVER_DIES),
        },
        {
                        .name = "two-chained",
                        .n = 2,
                        .chain = true,
                        .rosters = BIT(ROSTER_ABSENT) | BIT(ROSTER_FIRST) | BIT(ROSTER_STOPPED),
                        .accepted = BIT(ROSTER_ABSENT) | BIT(ROSTER_FIRST),
                        .units = BIT(PACKED_DOWN) | BIT(PACKED_FIRST) | BIT(PACKED_FAILED),
                        .ledgers = BIT(LEDGER_NONE),
                        .servers = BIT(SERVER_DOWN) | BIT(SERVER_UP),
                        .moves = BIT(MOVE_ROSTER) | BIT(MOVE_ENDS_BADLY) | BIT(MOVE_SESSION_KILLED),
        },
        {
                        .name = "two-more",
                        .n = 2,
                        .rosters = SOME_ROSTERS | BIT(ROSTER_STOPPED),
                        .accepted = SOME_ROSTERS,
                        .units = ALL,
                        .ledgers = ALL,
                        .servers = ALL,
                        .moves = FAULTS | BIT(MOVE_NAMESAKE) | BIT(MOVE_SESSION_KILLED) |
                                 BIT(MOVE_STOPPED_BY_HAND),
                        .on_demand = true,
        },
        {
                        .name = "three",
                        .n = 3,
                        .rosters = BIT(ROSTER_ABSENT) | BIT(ROSTER_FIRST),
                        .accepted = BIT(ROSTER_ABSENT) | BIT(ROSTER_FIRST),
                        .units = BIT(PACKED_DOWN) | BIT(PACKED_FIRST) | BIT(PACKED_FAILED),
                        .ledgers = BIT(LEDGER_NONE),
                        .servers = BIT(SERVER_DOWN) | BIT(SERVER_UP),
                        .moves = BIT(MOVE_ROSTER) | BIT(MOVE_ENDS_BADLY),
                        .on_demand = true,
        },
};

/* --- the set of states ------------------------------------------------------------------------ */

typedef struct Node {
        uint64_t key;
        uint32_t next; /* where the controller alone leads; itself: fixed point */
        uint32_t way;  /* steps to the fixed point; 0 not known yet */
} Node;

typedef struct Exploration {
        const Scope *scope;
        Node *nodes;
        uint32_t n_nodes, n_room;
        uint32_t *table;
        uint32_t table_mask;
        uint64_t n_transitions, n_calls, n_violations, n_stuck;
        uint32_t longest, n_fixed;

        /* of the pass that is being made */
        PackedState from;
        Referee referee;
        unsigned at_call; /* the call that is disturbed, from 1; 0: none */
        WorldFault fault;
        int move; /* Move, negative: none */
        size_t move_agent;
        int blind; /* which source a look does not get an answer of; negative: none */
        unsigned n_call;
        uint64_t applies[64]; /* which moves mean something before which call */
} Exploration;

static void must(bool ok, const char *what) {
        if (!ok) {
                (void)fprintf(stderr, "explore: %s\n", what);
                exit(1);
        }
}

static uint32_t hash_key(uint64_t key) {
        key ^= key >> 31;
        key *= UINT64_C(0x9e3779b97f4a7c15);
        key ^= key >> 29;
        key *= UINT64_C(0xbf58476d1ce4e5b9);
        return (uint32_t)(key ^ key >> 32);
}

static void place(Exploration *e, uint32_t node) {
        uint32_t at = hash_key(e->nodes[node].key) & e->table_mask;

        while (e->table[at] != 0)
                at = (at + 1) & e->table_mask;
        e->table[at] = node + 1;
}

static void grow(Exploration *e) {
        e->n_room = e->n_room == 0 ? 1 << 16 : e->n_room * 2;
        e->nodes = reallocarray(e->nodes, e->n_room, sizeof(Node));
        free(e->table);
        e->table_mask = e->n_room * 2 - 1;
        e->table = calloc(e->table_mask + 1, sizeof(uint32_t));
        must(e->nodes && e->table, "no memory");
        for (uint32_t i = 0; i < e->n_nodes; i++)
                place(e, i);
}

/* The node of a state, made if it is new. */
static uint32_t node_of(Exploration *e, uint64_t key) {
        if (e->n_nodes == e->n_room)
                grow(e);
        for (uint32_t at = hash_key(key) & e->table_mask; e->table[at] != 0;
                        at = (at + 1) & e->table_mask)
                if (e->nodes[e->table[at] - 1].key == key)
                        return e->table[at] - 1;
        e->nodes[e->n_nodes] = (Node){ .key = key };
        place(e, e->n_nodes);
        return e->n_nodes++;
}

static uint32_t node_of_world(Exploration *e, const World *w) {
        PackedState s;

        packed_from_world(w, e->scope->n, &e->from, &s);
        return node_of(e, packed_key(&s, e->scope->n));
}

/* --- what may happen -------------------------------------------------------------------------- */

/* A change from outside. False: it does not apply to this state. */
static bool move_world(World *w, Move move, size_t agent) {
        WorldAgent *a = w->agents + agent;

        switch (move) {
        case MOVE_ROSTER:
        case _MOVE_MAX:
                return false;
        case MOVE_SERVER_DIES: /* of all agents at once */
                if (!w->server || agent != 0)
                        return false;
                world_lose_server(w, UNIT_RESTARTING);
                return true;
        case MOVE_SOCKET_GONE:
                if (!w->server || w->hidden || agent != 0)
                        return false;
                w->hidden = true;
                return true;
        case MOVE_SESSION_KILLED:
                if (!a->session || w->hidden)
                        return false;
                a->session = a->misnamed = false;
                a->attached = 0;
                return true;
        case MOVE_SESSION_RENAMED:
                if (!a->session || a->misnamed || w->hidden)
                        return false;
                a->misnamed = true;
                return true;
        case MOVE_NAMESAKE: /* comes and goes */
                if (!w->server || w->hidden || (a->session && !a->misnamed))
                        return false;
                a->namesake = !a->namesake;
                return true;
        case MOVE_ENDS_BADLY:
        case MOVE_ENDS_RESTARTING:
                if (a->unit != UNIT_ACTIVE)
                        return false;
                a->unit = move == MOVE_ENDS_BADLY ? UNIT_FAILED : UNIT_RESTARTING;
                a->attached = 0;
                return true;
        case MOVE_STOPPED_BY_HAND:
                if (a->unit != UNIT_ACTIVE)
                        return false;
                a->unit = UNIT_NOT_LOADED;
                a->stopped_well = true;
                a->stopped_mono_usec = w->mono_usec;
                a->attached = 0;
                return true;
        case MOVE_ATTACH:
                if (!a->session || a->unit != UNIT_ACTIVE || w->hidden)
                        return false;
                a->attached = !a->attached;
                return true;
        case MOVE_HOLD:
                a->hold = !a->hold;
                return true;
        case MOVE_DROPIN_LOST:
                if (a->dropin == 0)
                        return false;
                a->dropin = 0;
                return true;
        case MOVE_SPEC_LOST:
                if (!a->spec)
                        return false;
                a->spec = false;
                a->restart = a->live = a->resolved = 0;
                return true;
        }
        return false;
}

/* What time alone does: restarts come up, what was to wait is due, the roster has settled. */
static void pass_time(World *w, PackedState *s) {
        world_restart_due(w);
        for (size_t i = 0; i < w->n_agents; i++)
                if (w->agents[i].has_entry && w->agents[i].entry.down_usec != 0)
                        w->agents[i].entry.due_usec = w->mono_usec - 1;
        s->settled = true;
}

/* --- one pass --------------------------------------------------------------------------------- */

static uint64_t move_bit(int move, size_t agent) {
        return UINT64_C(1) << ((size_t)move * PACKED_AGENTS_MAX + agent);
}

static void note_moves(Exploration *e, const World *w) {
        uint64_t *to = e->applies + e->n_call % ELEMENTSOF(e->applies);

        *to = 0;
        for (int m = 0; m < _MOVE_MAX; m++)
                for (size_t i = 0; i < e->scope->n && e->scope->moves & BIT(m); i++) {
                        World copy;

                        world_copy(&copy, w);
                        if (move_world(&copy, (Move)m, i))
                                *to |= move_bit(m, i);
                }
}

static WorldFault on_call(World *w, const WorldCall *call, void *userdata) {
        Exploration *e = userdata;
        bool disturbed = ++e->n_call == e->at_call;

        e->n_calls++;
        if (e->at_call == 0)
                note_moves(e, w);
        if (call->kind == CALL_LOOK) {
                if (disturbed && e->blind >= 0)
                        *(SourceState *[]){ &w->tmux, &w->manager, &w->runs, &w->files }[e->blind] =
                                        SOURCE_UNKNOWN;
                if (disturbed && e->move >= 0)
                        (void)move_world(w, (Move)e->move, e->move_agent);
                return disturbed ? e->fault : FAULT_NONE;
        }
        if (disturbed && e->move >= 0)
                (void)move_world(w, (Move)e->move, e->move_agent);
        referee_call(&e->referee, w, call);
        /* Had it crashed now, this is what the next one would find. */
        (void)node_of_world(e, w);
        return disturbed ? e->fault : FAULT_NONE;
}

static void print_state(const PackedState *s, size_t n) {
        (void)printf("    server %u, reload %d, settled %d\n", s->server, s->reload_pending,
                        s->settled);
        for (size_t i = 0; i < n; i++) {
                const PackedAgent *a = s->agents + i;

                (void)printf("    agent %zu: roster %u accepted %u dropin %u loaded %u unit %u "
                             "by_hand "
                             "%u announced %u session %u misnamed %u namesake %u ledger %u "
                             "attached %u "
                             "hold %u\n",
                                i, a->roster, a->accepted, a->dropin, a->loaded, a->unit,
                                a->by_hand, a->announced, a->session, a->misnamed, a->namesake,
                                a->ledger, a->attached, a->hold);
        }
}

#define SHOWN 5

static void violated(Exploration *e) {
        if (e->n_violations++ >= SHOWN)
                return;
        (void)printf("  VIOLATION %s: %s (call %u, fault %d, move %d of %zu, blind %d)\n",
                        e->referee.property, e->referee.text, e->at_call, (int)e->fault, e->move,
                        e->move_agent, e->blind);
        print_state(&e->from, e->scope->n);
}

/* Makes one pass from e->from, disturbed as the caller set; leaves the world as it was after. */
static ControllerPass make_pass(Exploration *e, World *w) {
        const Desired *desired = packed_desired(&e->from, e->scope->n, e->scope->chain);
        ControllerPass result;

        packed_to_world(&e->from, e->scope->n, w);
        w->hook = on_call;
        w->userdata = e;
        e->n_call = 0;
        result = controller_pass(w, desired, e->from.settled ? 0 : 1000000, &e->referee);
        e->n_transitions++;
        if (e->referee.property)
                violated(e);
        return result;
}

static void disturb(
                Exploration *e, unsigned at, WorldFault fault, int move, size_t agent, int blind) {
        World w;

        e->at_call = at;
        e->fault = fault;
        e->move = move;
        e->move_agent = agent;
        e->blind = blind;
        (void)make_pass(e, &w);
        (void)node_of_world(e, &w);
}

static void disturb_everywhere(Exploration *e, unsigned n_calls) {
        for (unsigned at = 1; at <= n_calls; at++) {
                disturb(e, at, FAULT_ERROR, -1, 0, -1);
                disturb(e, at, FAULT_ERROR_WITH_EFFECT, -1, 0, -1);
                for (int blind = 0; blind < 4; blind++)
                        if (at == 1 || at == n_calls)
                                disturb(e, at, FAULT_NONE, -1, 0, blind);
                /* Before the first look it is another state. */
                for (int m = 0; m < _MOVE_MAX && at > 1; m++)
                        for (size_t i = 0; i < e->scope->n; i++)
                                if (e->applies[at % ELEMENTSOF(e->applies)] & move_bit(m, i))
                                        disturb(e, at, FAULT_NONE, m, i, -1);
        }
}

static void change_from_outside(Exploration *e) {
        PackedState s;
        World w;

        for (int m = 0; m < _MOVE_MAX; m++)
                for (size_t i = 0; i < e->scope->n && e->scope->moves & BIT(m); i++) {
                        packed_to_world(&e->from, e->scope->n, &w);
                        if (move_world(&w, (Move)m, i)) {
                                (void)node_of_world(e, &w);
                                e->n_transitions++;
                        }
                        for (unsigned k = 0; k < _PACKED_ROSTER_MAX && m == MOVE_ROSTER; k++) {
                                if (k == e->from.agents[i].roster || !(e->scope->rosters & BIT(k)))
                                        continue;
                                s = e->from;
                                s.agents[i].roster = k;
                                s.settled = false;
                                (void)node_of(e, packed_key(&s, e->scope->n));
                                e->n_transitions++;
                        }
                }
}

static void stuck(Exploration *e, const char *why) {
        if (e->n_stuck++ >= SHOWN)
                return;
        (void)printf("  STUCK: %s\n", why);
        print_state(&e->from, e->scope->n);
}

/* Removals that wait for somebody to clear what is in the way are still asked for. */
static bool has_excused_stray(const Exploration *e, const World *w) {
        const Desired *desired = packed_desired(&e->from, e->scope->n, e->scope->chain);
        const char *text;

        for (size_t i = 0; i < w->n_agents; i++)
                if (!desired_find(desired, w->agents[i].name) &&
                                referee_judge(w, desired, w->agents + i, &text) == VERDICT_EXCUSED)
                        return true;
        return false;
}

/* The controller has nothing more to do here, and time changes nothing. */
static void judge_fixed_point(Exploration *e, const World *w, const ControllerPass *pass) {
        const char *why = referee_judge_all(
                        w, packed_desired(&e->from, e->scope->n, e->scope->chain));

        e->n_fixed++;
        if (why)
                stuck(e, why);
        else if (pass->n_actions > 0 && !has_excused_stray(e, w))
                stuck(e, "all is as it should be, and something is still asked for");
        else if (pass->next_usec < USEC_PER_SEC)
                stuck(e, "there is nothing to do, and the controller does not rest");
}

static void visit(Exploration *e, uint32_t node) {
        uint64_t key = e->nodes[node].key;
        ControllerPass pass;
        PackedState after;
        unsigned n_calls;
        uint32_t next;
        World w;

        packed_state(key, e->scope->n, &e->from);
        e->at_call = 0;
        e->fault = FAULT_NONE;
        e->move = e->blind = -1;
        pass = make_pass(e, &w);
        n_calls = e->n_call;
        next = node_of_world(e, &w);
        e->n_transitions += n_calls; /* a crash before each */
        if (next == node) {
                packed_from_world(&w, e->scope->n, &e->from, &after);
                pass_time(&w, &after);
                packed_from_world(&w, e->scope->n, &after, &after);
                next = node_of(e, packed_key(&after, e->scope->n));
                for (size_t i = 0; i < e->scope->n; i++)
                        if (e->from.agents[i].ledger == LEDGER_WAITING &&
                                        pass.next_usec == USEC_INFINITY)
                                stuck(e, "an agent waits for its time, and nobody looks then");
        }
        e->nodes[node].next = next;
        if (next == node)
                judge_fixed_point(e, &w, &pass);
        disturb_everywhere(e, pass.n_actions > 0 ? n_calls : 1);
        change_from_outside(e);
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool is_in_scope(const Scope *c, const PackedAgent *a, bool reload_pending) {
        unsigned of_spec = a->accepted == 0 ? 0 : a->accepted == ROSTER_LIVE ? 2 : 1;

        /* Whoever changes a drop-in that is loaded leaves word that a reload is to come. */
        if (!a->loaded && !reload_pending && a->dropin != 0)
                return false;
        return c->rosters & BIT(a->roster) && c->accepted & BIT(a->accepted) &&
               c->units & BIT(a->unit) && c->ledgers & BIT(a->ledger) &&
               (c->files || (a->dropin == of_spec && a->loaded)) &&
               (c->sessions || (!a->misnamed && !a->namesake)) && (c->attached || !a->attached) &&
               (c->holds || !a->hold) && (c->announced || !a->announced);
}

/* The agents that a product has for each other in this state of the rest. */
static PackedAgent *list_agents(const Scope *c, unsigned server, bool reload, uint64_t *ret_n) {
        PackedAgent *list = calloc(1 << 20, sizeof(PackedAgent));

        must(list, "no memory");
        *ret_n = 0;
        for (uint64_t k = 0; k < 1 << 20; k++) {
                PackedState s;

                packed_state(k, 1, &s);
                if (packed_is_sound(s.agents, server) && is_in_scope(c, s.agents, reload))
                        list[(*ret_n)++] = s.agents[0];
        }
        return list;
}

static void add_products(Exploration *e, PackedState s) {
        const Scope *c = e->scope;
        uint64_t n_list, n_all = 1;
        PackedAgent *list = list_agents(c, s.server, s.reload_pending, &n_list);

        for (size_t i = 0; i < c->n; i++)
                n_all *= n_list;
        for (uint64_t k = 0; k < n_all; k++) {
                uint64_t rest = k;

                for (size_t i = 0; i < c->n; i++, rest /= n_list)
                        s.agents[i] = list[rest % n_list];
                (void)node_of(e, packed_key(&s, c->n));
        }
        free(list);
}

static void add_product(Exploration *e) {
        for (unsigned server = 0; server < _PACKED_SERVER_MAX; server++)
                for (unsigned bits = 0; bits < 4 && e->scope->servers & BIT(server); bits++)
                        if (e->scope->files || !(bits & 2))
                                add_products(e, (PackedState){ .server = server,
                                                                .reload_pending = bits & 2,
                                                                .settled = bits & 1 });
}

/* How far it is from each state to where the controller rests. A circle is no way. */
static void measure(Exploration *e) {
        uint32_t *path = calloc(e->n_nodes, sizeof(uint32_t));

        must(path, "no memory");
        for (uint32_t start = 0; start < e->n_nodes; start++) {
                uint32_t n = 0, at = start, way;

                while (e->nodes[at].way == 0 && e->nodes[at].next != at) {
                        e->nodes[at].way = UINT32_MAX; /* on the path */
                        path[n++] = at;
                        at = e->nodes[at].next;
                }
                way = e->nodes[at].next == at ? 0 : e->nodes[at].way;
                if (way == UINT32_MAX) {
                        packed_state(e->nodes[at].key, e->scope->n, &e->from);
                        stuck(e, "the controller goes in a circle");
                        way = 1;
                }
                while (n > 0)
                        e->nodes[path[--n]].way = ++way;
                if (way > e->longest) {
                        e->longest = way;
                }
        }
        free(path);
}

static bool explore(const Scope *scope) {
        Exploration e = { .scope = scope };
        uint64_t begin = clock_monotonic_usec();
        uint32_t n_product, bound = 12 * (uint32_t)scope->n + 12;
        struct rusage usage;

        add_product(&e);
        n_product = e.n_nodes;
        for (uint32_t i = 0; i < e.n_nodes; i++)
                visit(&e, i);
        measure(&e);
        (void)getrusage(RUSAGE_SELF, &usage);
        (void)printf("%s: %zu agent%s, product %" PRIu32 ", states %" PRIu32
                     ", transitions %" PRIu64 ", driver calls %" PRIu64 ", fixed points %" PRIu32
                     ", longest way %" PRIu32 " of at most %" PRIu32 ", violations %" PRIu64
                     ", stuck %" PRIu64 ", %.1f s, %ld MB\n",
                        scope->name, scope->n, scope->n == 1 ? "" : "s", n_product, e.n_nodes,
                        e.n_transitions, e.n_calls, e.n_fixed, e.longest, bound, e.n_violations,
                        e.n_stuck, (double)(clock_monotonic_usec() - begin) / 1e6,
                        usage.ru_maxrss / 1024);
        (void)fflush(stdout);
        free(e.nodes);
        free(e.table);
        return e.n_violations == 0 && e.n_stuck == 0 && e.longest <= bound;
}

int main(int argc, char *argv[]) {
        bool good = true;
        int n = 0;

        for (size_t i = 0; i < ELEMENTSOF(scopes); i++) {
                bool asked = argc < 2 && !scopes[i].on_demand;

                for (int k = 1; k < argc; k++)
                        asked = asked || strcmp(argv[k], scopes[i].name) == 0;
                if (!asked)
                        continue;
                n++;
                good = explore(scopes + i) && good;
        }
        packed_free_rosters();
        must(n > 0, "there is no such scope");
        return good ? 0 : 1;
}
