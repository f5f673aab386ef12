/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A world of up to three agents, its roster and the controller's ledger as one 64-bit number, for
 * exhaustive exploration. What no decision depends on is left out (pids, session numbers, how long
 * ago), times are what they are to the controller: over, or to come.
 */

#include "tests/simulation/world.h"

#define PACKED_AGENTS_MAX 3

typedef enum PackedRoster {
        ROSTER_ABSENT,
        ROSTER_FIRST,
        ROSTER_SECOND,  /* another restart fingerprint */
        ROSTER_LIVE,    /* another live fingerprint */
        ROSTER_STOPPED, /* as first, state: stopped */
        _PACKED_ROSTER_MAX,
} PackedRoster;

typedef enum PackedUnit {
        PACKED_DOWN,
        PACKED_FIRST,
        PACKED_SECOND,
        PACKED_RESTARTING,
        PACKED_FAILED,
        _PACKED_UNIT_MAX,
} PackedUnit;

typedef enum PackedLedger {
        LEDGER_NONE,
        LEDGER_TRIED,   /* started because of it, and not seen to be down since */
        LEDGER_WAITING, /* down, and its time is to come */
        LEDGER_DUE,
        _PACKED_LEDGER_MAX,
} PackedLedger;

/* One agent: 20 bits. */
typedef struct PackedAgent {
        unsigned roster : 3;   /* PackedRoster */
        unsigned accepted : 2; /* 0 none, else as the roster's words */
        unsigned dropin : 2;   /* 0 none, 1 first, 2 live */
        unsigned loaded : 1;   /* the manager knows the drop-in that is there */
        unsigned unit : 3;     /* PackedUnit */
        unsigned by_hand : 1;  /* stopped by a person while the server was up */
        unsigned announced : 1;
        unsigned session : 1;
        unsigned misnamed : 1;
        unsigned namesake : 1;
        unsigned ledger : 2; /* PackedLedger */
        unsigned attached : 1;
        unsigned hold : 1;
} PackedAgent;

typedef enum PackedServer {
        SERVER_DOWN,
        SERVER_UP,
        SERVER_HIDDEN,
        _PACKED_SERVER_MAX,
} PackedServer;

typedef struct PackedState {
        PackedAgent agents[PACKED_AGENTS_MAX];
        unsigned server; /* PackedServer */
        bool reload_pending;
        bool settled; /* the roster was left alone long enough */
} PackedState;

uint64_t packed_key(const PackedState *s, size_t n);
void packed_state(uint64_t key, size_t n, PackedState *ret);

/* Could such a state be? Each one only once: what means nothing is zero. */
bool packed_is_sound(const PackedAgent *a, unsigned server);

/* Between a state and a world that is so; @roster_of: of the agents' roster keys, which the world
 * does not hold. */
void packed_to_world(const PackedState *s, size_t n, World *w);
void packed_from_world(const World *w, size_t n, const PackedState *roster_of, PackedState *ret);

/* The roster of a state. Made once, owned by the table. @chain: each agent comes after the one
 * before it. */
const Desired *packed_desired(const PackedState *s, size_t n, bool chain);
void packed_free_rosters(void);
