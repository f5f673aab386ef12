/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A fleet in memory behind drivers/driver.h: tmux sessions, units, accepted specs and drop-ins of a
 * handful of agents, with faults on request. For tests of the planner and of apply; the programs
 * that ship are the ones that run on it.
 */

#include "drivers/driver.h"
#include "model/spec.h"

#define FAKE_AGENTS_MAX 64

typedef struct FakeAgent {
        char name[AGENT_NAME_MAX + 1];
        bool spec;
        char restart_fingerprint[FINGERPRINT_SIZE];
        char live_fingerprint[FINGERPRINT_SIZE];
        char resolved[FINGERPRINT_SIZE];
        char dropin[FINGERPRINT_SIZE]; /* the live fingerprint it was written for; "" none */
        char loaded[FINGERPRINT_SIZE]; /* what the running unit was told of it */
        bool session;
        unsigned session_number;
        unsigned attached;
        bool at_work; /* another process than itself has its terminal */
        char session_name[AGENT_NAME_MAX + 1];
        UnitState unit;
        pid_t pid;
        pid_t last_pid;                 /* of the run that is, or was last */
        pid_t announced;                /* the run that is ended to be started again */
        char running[FINGERPRINT_SIZE]; /* restart fingerprint of the process */
        char running_resolved[FINGERPRINT_SIZE];
        bool stopped_well;  /* a stop record with result success */
        bool refuses_start; /* fault: its start fails */
        bool dies_hard;     /* its unit is failed after a stop: it had to be killed */
        unsigned n_starts;
        unsigned n_stops;
} FakeAgent;

typedef struct FakeWorld {
        FakeAgent agents[FAKE_AGENTS_MAX];
        size_t n_agents;
        bool server;
        bool hidden;          /* fault: the server lives, its socket is gone */
        bool foreign_session; /* a session called as the first agent, not ours */
        SourceState tmux;     /* SOURCE_UNKNOWN: fault */
        SourceState manager;
        pid_t next_pid;
        unsigned next_session;
        unsigned n_calls;     /* calls that may change something */
        unsigned crash_at;    /* this call and all later ones do nothing and fail; 0: never */
        bool crash_after;     /* the call at crash_at does its work, then fails */
        unsigned n_destroyed; /* stops, kills and removals */
        unsigned n_reloads;
        bool reload_pending;
} FakeWorld;

void fake_world_init(FakeWorld *w);
Driver fake_world_driver(FakeWorld *w);

/* The agent's record, made if there is none. */
FakeAgent *fake_agent(FakeWorld *w, const char *name);

/* Desired agents for tests: every string is made up from @name, fingerprints from the two numbers.
 */
AgentSpec *fake_spec(const char *name, unsigned restart_version, unsigned live_version);
Desired *fake_desired(const char *const *names, size_t n);
