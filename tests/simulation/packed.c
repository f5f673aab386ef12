/* SPDX-License-Identifier: MIT */
#include "tests/simulation/packed.h"

#include <string.h>

#include "model/base/strv.h"

#define NOW_USEC UINT64_C(1000000000)
#define AGENT_BITS 20

static const char *const names[PACKED_AGENTS_MAX] = { "ada", "bob", "cy" };

static uint64_t agent_key(const PackedAgent *a) {
        unsigned k = a->roster;

        k = k << 2 | a->accepted;
        k = k << 2 | a->dropin;
        k = k << 1 | a->loaded;
        k = k << 3 | a->unit;
        k = k << 1 | a->by_hand;
        k = k << 1 | a->announced;
        k = k << 1 | a->session;
        k = k << 1 | a->misnamed;
        k = k << 1 | a->namesake;
        k = k << 2 | a->ledger;
        k = k << 1 | a->attached;
        return k << 1 | a->hold;
}

static PackedAgent agent_of(uint64_t key) {
        unsigned k = (unsigned)key;

        return (PackedAgent){
                .hold = k & 1,
                .attached = k >> 1 & 1,
                .ledger = k >> 2 & 3,
                .namesake = k >> 4 & 1,
                .misnamed = k >> 5 & 1,
                .session = k >> 6 & 1,
                .announced = k >> 7 & 1,
                .by_hand = k >> 8 & 1,
                .unit = k >> 9 & 7,
                .loaded = k >> 12 & 1,
                .dropin = k >> 13 & 3,
                .accepted = k >> 15 & 3,
                .roster = k >> 17 & 7,
        };
}

uint64_t packed_key(const PackedState *s, size_t n) {
        bool settled = true;
        uint64_t key;

        /* It makes a difference only to what has left the roster. */
        for (size_t i = 0; i < n; i++)
                settled = settled && (s->settled || s->agents[i].roster != ROSTER_ABSENT);
        key = s->server << 2 | (unsigned)s->reload_pending << 1 | (unsigned)settled;
        for (size_t i = 0; i < n; i++)
                key = key << AGENT_BITS | agent_key(s->agents + i);
        return key;
}

void packed_state(uint64_t key, size_t n, PackedState *ret) {
        for (size_t i = n; i-- > 0; key >>= AGENT_BITS)
                ret->agents[i] = agent_of(key & ((1u << AGENT_BITS) - 1));
        ret->server = key >> 2 & 3;
        ret->reload_pending = key >> 1 & 1;
        ret->settled = key & 1;
}

static bool runs(const PackedAgent *a) {
        return a->unit == PACKED_FIRST || a->unit == PACKED_SECOND;
}

bool packed_is_sound(const PackedAgent *a, unsigned server) {
        if (a->roster >= _PACKED_ROSTER_MAX || a->unit >= _PACKED_UNIT_MAX || a->dropin > 2 ||
                        server >= _PACKED_SERVER_MAX)
                return false;
        if (server == SERVER_DOWN && (a->session || a->namesake || runs(a) || a->by_hand))
                return false;
        return !(a->unit == PACKED_DOWN && !a->loaded) && !(a->by_hand && a->unit != PACKED_DOWN) &&
               !(a->announced && !runs(a)) && !(a->misnamed && !a->session) &&
               !(a->namesake && a->session && !a->misnamed) &&
               !(a->attached && !(a->session && runs(a)));
}

/* --- worlds ----------------------------------------------------------------------------------- */

static uint8_t first, second, live[3];

static void know_versions(void) {
        AgentSpec *one = world_spec("one", 1, 1), *two = world_spec("two", 2, 2);

        first = world_number(one->restart_fingerprint);
        second = world_number(two->restart_fingerprint);
        live[1] = world_number(one->live_fingerprint);
        live[2] = world_number(two->live_fingerprint);
        (void)world_number(one->resolved);
        (void)world_number(two->resolved);
        agent_spec_free(one);
        agent_spec_free(two);
}

static uint8_t resolved(uint8_t restart) {
        AgentSpec *s;
        static uint8_t known[2];

        if (known[0] == 0)
                for (unsigned i = 0; i < 2; i++) {
                        s = world_spec("any", i + 1, 1);
                        known[i] = world_number(s->resolved);
                        agent_spec_free(s);
                }
        return restart == 0 ? 0 : known[restart == second];
}

static void put_ledger(WorldAgent *a, unsigned ledger) {
        if (ledger == LEDGER_NONE)
                return;
        a->has_entry = true;
        (void)snprintf(a->entry.agent, sizeof(a->entry.agent), "%s", a->name);
        a->entry.n_starts = 1;
        if (ledger == LEDGER_TRIED)
                return;
        a->entry.down_usec = NOW_USEC - 20000000;
        a->entry.due_usec = ledger == LEDGER_DUE ? NOW_USEC - 1 : NOW_USEC + 10000000;
}

static void to_agent(const PackedAgent *p, size_t i, World *w) {
        WorldAgent *a = world_agent(w, names[i]);

        a->spec = p->accepted != 0;
        a->restart = p->accepted == 0 ? 0 : p->accepted == ROSTER_SECOND ? second : first;
        a->live = p->accepted == 0 ? 0 : live[p->accepted == ROSTER_LIVE ? 2 : 1];
        a->resolved = resolved(a->restart);
        a->dropin = live[p->dropin];
        a->loaded = p->loaded ? a->dropin : live[p->dropin == 1 ? 2 : 1];
        a->hold = p->hold;
        put_ledger(a, p->ledger);
        a->unit = p->unit == PACKED_DOWN         ? UNIT_NOT_LOADED
                  : p->unit == PACKED_RESTARTING ? UNIT_RESTARTING
                  : p->unit == PACKED_FAILED     ? UNIT_FAILED
                                                 : UNIT_ACTIVE;
        a->invocation = (unsigned)(50 + i);
        if (runs(p)) {
                a->pid = (pid_t)a->invocation;
                a->running = p->unit == PACKED_SECOND ? second : first;
                a->running_resolved = resolved(a->running);
        }
        a->announced = p->announced ? a->invocation : 0;
        a->stopped_well = p->by_hand;
        a->stopped_mono_usec = 2000;
        a->session = p->session;
        a->misnamed = p->misnamed;
        a->namesake = p->namesake;
        a->session_number = p->session ? w->next_session++ : 0;
        a->attached = p->attached;
}

void packed_to_world(const PackedState *s, size_t n, World *w) {
        if (first == 0)
                know_versions();
        world_init(w);
        w->now_usec = w->mono_usec = NOW_USEC;
        w->server = s->server != SERVER_DOWN;
        w->hidden = s->server == SERVER_HIDDEN;
        w->reload_pending = s->reload_pending;
        for (size_t i = 0; i < n; i++)
                to_agent(s->agents + i, i, w);
}

static unsigned ledger_of(const WorldAgent *a) {
        if (!a->has_entry)
                return LEDGER_NONE;
        if (a->entry.down_usec == 0)
                return a->entry.n_starts > 0 ? LEDGER_TRIED : LEDGER_NONE;
        return a->entry.due_usec > NOW_USEC ? LEDGER_WAITING : LEDGER_DUE;
}

static PackedAgent from_agent(const World *w, const WorldAgent *a, unsigned roster) {
        bool active = a->unit == UNIT_ACTIVE,
             ours = a->announced != 0 && a->announced == a->invocation;

        return (PackedAgent){
                .roster = roster,
                .accepted = !a->spec               ? 0
                            : a->restart == second ? ROSTER_SECOND
                            : a->live == live[2]   ? ROSTER_LIVE
                                                   : ROSTER_FIRST,
                .dropin = a->dropin == 0         ? 0
                          : a->dropin == live[2] ? 2
                                                 : 1,
                .loaded = a->unit == UNIT_NOT_LOADED || a->loaded == a->dropin,
                .unit = a->unit == UNIT_NOT_LOADED   ? PACKED_DOWN
                        : a->unit == UNIT_RESTARTING ? PACKED_RESTARTING
                        : a->unit == UNIT_FAILED     ? PACKED_FAILED
                        : a->running == second       ? PACKED_SECOND
                                                     : PACKED_FIRST,
                .by_hand = a->unit == UNIT_NOT_LOADED && a->stopped_well && !ours && w->server &&
                           w->holder_since_usec <= a->stopped_mono_usec,
                .announced = active && ours,
                .session = a->session,
                .misnamed = a->misnamed,
                .namesake = a->namesake,
                .ledger = ledger_of(a),
                .attached = active && a->session && a->attached > 0,
                .hold = a->hold,
        };
}

void packed_from_world(const World *w, size_t n, const PackedState *roster_of, PackedState *ret) {
        PackedState s = {
                .server = !w->server  ? SERVER_DOWN
                          : w->hidden ? SERVER_HIDDEN
                                      : SERVER_UP,
                .reload_pending = w->reload_pending,
                .settled = roster_of->settled,
        };

        for (size_t i = 0; i < n; i++)
                s.agents[i] = from_agent(w, w->agents + i, roster_of->agents[i].roster);
        *ret = s;
}

/* --- rosters ---------------------------------------------------------------------------------- */

static Desired *rosters[2][_PACKED_ROSTER_MAX * _PACKED_ROSTER_MAX * _PACKED_ROSTER_MAX]
                       [PACKED_AGENTS_MAX + 1];

static Desired *make_roster(const PackedState *s, size_t n, bool chain) {
        Desired *d = world_desired(names, n);
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                unsigned roster = s->agents[i].roster;
                AgentSpec *spec;

                agent_spec_free(d->agents[i]);
                if (roster == ROSTER_ABSENT)
                        continue;
                spec = world_spec(names[i], roster == ROSTER_SECOND ? 2 : 1,
                                roster == ROSTER_LIVE ? 2 : 1);
                if (roster == ROSTER_STOPPED)
                        spec->state = DESIRED_STOPPED;
                if (chain && k > 0 && strv_push(&spec->after, d->agents[k - 1]->name) < 0)
                        abort();
                d->agents[k++] = spec;
        }
        d->n_agents = k;
        return d;
}

const Desired *packed_desired(const PackedState *s, size_t n, bool chain) {
        size_t at = 0;
        Desired **d;

        for (size_t i = 0; i < n; i++)
                at = at * _PACKED_ROSTER_MAX + s->agents[i].roster;
        d = &rosters[chain][at][n];
        if (!*d)
                *d = make_roster(s, n, chain);
        return *d;
}

void packed_free_rosters(void) {
        for (size_t i = 0; i < sizeof(rosters) / sizeof(Desired *); i++)
                desired_free(((Desired **)rosters)[i]);
}
