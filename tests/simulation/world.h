/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A fleet in memory behind drivers/driver.h: a tmux server with its socket apart, sessions, units,
 * accepted specs, drop-ins on disk and as loaded, records of ends, holds and the controller's
 * ledger. The programs that ship run on it: planner, apply, pass, step, pacing, schedule.
 *
 * Every call that may change something becomes a WorldCall, and a hook may let it fail, crash the
 * caller before or after it, or have it take effect later. world_do() is its effect and can be
 * called by itself. It keeps the driver's contract (a session is ended or renamed only if its id is
 * still that of ours); who asks for what is judged by tests/simulation/referee.c.
 */

#include "drivers/agent/launch.h"
#include "drivers/driver.h"
#include "model/pacing.h"

#define WORLD_AGENTS_MAX 64

typedef enum WorldCallKind {
        CALL_LOOK,
        CALL_ACCEPT,
        CALL_DROPINS,
        CALL_RELOAD,
        CALL_RESET_FAILED,
        CALL_REMOVE_FILES,
        CALL_ANNOUNCE,
        CALL_START_HOLDER,
        CALL_STOP_HOLDER,
        CALL_REPAIR_HOLDER,
        CALL_SESSIONS,
        CALL_SUBMIT,
        CALL_WAIT,
        CALL_CAPTURE,
        CALL_LAUNCH, /* no call: a launcher that is waited for does its next step */
        CALL_KEEP,   /* the ledger is written down */
        CALL_ROSTER, /* the roster becomes the accepted one */
        _CALL_KIND_MAX,
} WorldCallKind;

const char *world_call_to_string(WorldCallKind k);

/* Fingerprints are numbers here; 0 is none. */
typedef struct WorldItem {
        uint8_t agent; /* index */
        uint8_t restart, live, resolved;
        uint8_t job; /* DriverJobKind */
        unsigned session;
        unsigned run; /* announce: the invocation that is named */
        int error;    /* what became of it */
} WorldItem;

typedef struct WorldCall {
        WorldCallKind kind;
        bool reload;
        const Pacing *ledger;
        size_t n_items;
        WorldItem items[WORLD_AGENTS_MAX];
} WorldCall;

typedef enum WorldFault {
        FAULT_NONE,
        FAULT_CRASH_BEFORE, /* the caller is gone: nothing it does from now on has an effect */
        FAULT_CRASH_AFTER,
        FAULT_ERROR,             /* fails, without effect */
        FAULT_ERROR_WITH_EFFECT, /* fails, and did it */
        FAULT_LATE,              /* fails, and does it later: world_settle() */
        FAULT_PARTIAL,           /* fails, and did the first half of it */
        _FAULT_MAX,
} WorldFault;

typedef struct WorldAgent {
        char name[AGENT_NAME_MAX + 1];
        /* on disk */
        bool spec;
        uint8_t restart, live, resolved; /* of the accepted spec */
        uint8_t dropin;                  /* the live fingerprint it was written for; 0 none */
        bool hold;
        bool has_entry;
        PaceEntry entry; /* in the ledger */
        /* the manager */
        uint8_t loaded; /* what the unit was told of its drop-in */
        UnitState unit;
        pid_t pid;
        unsigned invocation; /* of the run or launch that is, or was last: no two have the same */
        unsigned announced;  /* the run that is ended to be started again */
        uint8_t running, running_resolved;
        uint64_t started_usec, started_mono_usec;
        bool stopped_well; /* a record of its end, with result success */
        uint64_t stopped_usec, stopped_mono_usec;
        bool stopped_once; /* the same of an earlier boot, which says nothing */
        /* tmux */
        bool session;
        bool misnamed;
        bool namesake; /* a session with its name that is not ours */
        unsigned session_number;
        unsigned attached;
        bool at_work; /* another process than itself has its terminal */
        /* its nature */
        bool refuses_start;
        bool dies_hard; /* its unit is failed after a stop: it had to be killed */
        unsigned n_starts;
        unsigned n_stops;

        /* in a world of steps */
        bool launching; /* the process is a launcher */
        Launch launch;
        bool refused;                      /* ... that wants a person */
        uint8_t reading, reading_resolved; /* ... and has read this spec */
        uint8_t n_tries;                   /* launches that failed one after the other */
        bool no_keeper;                    /* the session is there and has lost it */
        bool orphan;                       /* direct: it runs on, and its keeper was killed */
        bool run_file;
        pid_t launcher_pid;
        unsigned born; /* when the process @pid began: by its invocation */
        pid_t run_pid; /* what the run file names */
        unsigned run_invocation;
        uint8_t run_restart, run_resolved;
        bool stopped_badly;          /* a record of its end, with another result */
        unsigned stopped_invocation; /* of the run whose end it is */
        bool terminal_taken;         /* its nature: something else has the pane's terminal */
        bool unwatched;    /* direct: nobody waits for the launcher, its keeper was killed */
        bool keeper_fails; /* its nature: a new one ends at once */
        bool exec_fails;   /* its nature */
} WorldAgent;

typedef struct World World;

typedef WorldFault (*WorldHook)(World *w, const WorldCall *call, void *userdata);

struct World {
        bool server;
        bool hidden;                            /* the server lives, its socket is gone */
        SourceState tmux, manager, runs, files; /* SOURCE_UNKNOWN: the look cannot tell */
        bool reload_pending;
        bool stepwise;
        bool direct;                /* the supervisor; else systemd */
        int error;                  /* what a call fails with; 0: EIO */
        const char *broken;         /* what may never be was so */
        Pacing ledger;              /* without its entries, which are with the agents */
        uint64_t now_usec;          /* CLOCK_REALTIME */
        uint64_t mono_usec;         /* CLOCK_MONOTONIC */
        uint64_t holder_since_usec; /* CLOCK_MONOTONIC */
        bool old_launchers;         /* a run file says when it began by the wall clock only */
        unsigned roster, accepted; /* numbers of the one in the file and of the one accepted last */
        unsigned next_pid, next_invocation;
        unsigned next_session;

        unsigned n_calls;     /* of those that may change something */
        unsigned crash_at;    /* this call and all later ones do nothing and fail; 0: never */
        bool crash_after;     /* the call at crash_at does its work, then fails */
        unsigned n_destroyed; /* stops, kills and removals */
        unsigned n_reloads;
        bool dead; /* the caller has crashed */
        bool did;  /* the last call had its effect, whatever the caller was told */

        WorldHook hook; /* asked at every call, may change the world; may be NULL */
        void *userdata;
        World *told; /* filled with what the last look showed; may be NULL */
        unsigned n_looks;
        const World *stale; /* the next look shows this one; may be NULL */
        DriverJob *pending[WORLD_AGENTS_MAX];
        size_t n_pending;
        size_t n_late;

        size_t n_agents;
        /* Of these only what is used is ever written or copied. */
        WorldAgent agents[WORLD_AGENTS_MAX];
        WorldCall late[8];
};

void world_init(World *w);
Driver world_driver(World *w);

/* What is so of the world; hook, told and the pending calls stay those of @to. */
void world_copy(World *to, const World *from);

/* Of a new process. Pids are few here, and come again. */
pid_t world_new_pid(World *w);

/* The agent's record, made if there is none. */
WorldAgent *world_agent(World *w, const char *name);

/* The effect of a call. Returns 0 or a negative errno; items carry their own errors. */
int world_do(World *w, WorldCall *call);

/* The ledger is written down, with the same faults as everything else. */
int world_keep(World *w, const Pacing *ledger);

/* The roster in the file is accepted. */
int world_accept_roster(World *w);

/* The machine loses its power and comes back: nothing runs, nothing is loaded, files stay. */
void world_reboot(World *w);

/* What was to happen late happens now. */
void world_settle(World *w);

/* The server dies: nothing has a terminal any more. Units go to @state. */
void world_lose_server(World *w, UnitState state);

/* What the manager does by itself: restarts come up, from the accepted spec. */
void world_restart_due(World *w);

/* The agent, or its launcher, has ended, and its supervisor has noticed. @state is the unit's;
 * @well: the record says success. */
void world_end_agent(World *w, WorldAgent *a, UnitState state, bool well);

/* Does a run file say that it runs? Of who does, no record of an end is read. */
bool world_is_alive(const World *w, const WorldAgent *a);

/* Was the end that is on record announced? */
bool world_end_was_ours(const World *w, const WorldAgent *a);

/* Its session is ended: by somebody, or with its last window. */
void world_end_session(World *w, WorldAgent *a);

/* look.c: what a look at it shows. */
Observed *world_show(const World *w, const Desired *desired);

/* --- launching.c: a world of steps ------------------------------------------------------------ */

/* The supervisor starts a launcher. */
void launching_begin(World *w, WorldAgent *a);

/* It does its next step; @late: what that waits for has not come in time. */
void launching_step(World *w, WorldAgent *a, bool late);

/* Its next step comes to nothing. */
void launching_fail(World *w, WorldAgent *a);

/* All launchers come to their end. */
void launching_finish_all(World *w);

/* The launcher is killed. */
void launching_killed(World *w, WorldAgent *a);

/* The pane of a launch has gone. */
void launching_hang_up(World *w, WorldAgent *a);

/* The keeper is killed. @session: another window keeps it; else it goes with its pane. @heeds: so
 * does the agent, by its hangup. */
void launching_kill_keeper(World *w, WorldAgent *a, bool session, bool heeds);

/* Its run file is deleted. */
void launching_lose_run_file(World *w, WorldAgent *a);

/* Direct: what a keeper does when it is asked. */
int launching_serve(World *w, WorldAgent *a, DriverJobKind kind);

/* A start that was submitted is waited for. 0, negative errno: it failed, or the caller is gone. */
int launching_wait(World *w, WorldAgent *a);

/* Direct: adds what keepers say. Sorted before and after. */
void launching_observe(const World *w, Observed *o);

void launching_new_session(World *w, WorldAgent *a);

/* The number of a fingerprint, and the fingerprint of a number. */
uint8_t world_number(const char *fingerprint);
const char *world_fingerprint(uint8_t number);

/* Desired agents for tests: every string is made up from @name, fingerprints from the two
 * numbers. */
AgentSpec *world_spec(const char *name, unsigned restart_version, unsigned live_version);
Desired *world_desired(const char *const *names, size_t n);
