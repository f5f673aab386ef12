/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Observed state: what tmux, the supervisor, the run files and our own files said in one look. Each
 * source is present, absent or unknown; unknown never leads to a start, a stop or a removal. Filled
 * by drivers, read by the planner and by status. One owner: observed_free().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/pacing.h"
#include "model/spec.h"

typedef enum SourceState {
        SOURCE_PRESENT, /* answered completely */
        SOURCE_ABSENT,  /* certainly not there (no server, no manager) */
        SOURCE_UNKNOWN, /* timeout, refused, partial, garbled */
} SourceState;

const char *source_state_to_string(SourceState s);

typedef struct Source {
        SourceState state;
        char *why; /* sentence; NULL when present */
        uint64_t took_usec;
} Source;

typedef enum SessionOwner {
        SESSION_FOREIGN,
        SESSION_AGENT,
        SESSION_HOLDER,
} SessionOwner;

/* Is the agent at work? Asked only of those that the plan may have to restart or remove. */
typedef enum Busy {
        BUSY_NOT_ASKED,
        BUSY_NO,
        BUSY_YES,
        BUSY_UNKNOWN, /* treated as yes */
} Busy;

/* One tmux session (its first pane). */
typedef struct ObservedSession {
        char *id;   /* "$3" */
        char *name; /* as tmux shows it; proves nothing */
        SessionOwner owner;
        char *agent;            /* from our marker; NULL unless SESSION_AGENT */
        uint64_t created_usec;  /* CLOCK_REALTIME, second resolution */
        uint64_t activity_usec; /* last activity of the window */
        unsigned attached;      /* clients */
        unsigned n_panes;
        char *pane_id;  /* "%3" */
        pid_t pane_pid; /* the keeper */
        bool pane_dead;
        Busy busy;
} ObservedSession;

typedef enum UnitState {
        UNIT_NOT_LOADED, /* absent from a complete listing: inactive */
        UNIT_INACTIVE,
        UNIT_ACTIVATING,
        UNIT_ACTIVE,
        UNIT_DEACTIVATING,
        UNIT_FAILED,
        UNIT_RESTARTING, /* activating (auto-restart) */
        UNIT_OTHER,      /* a state this version does not know: wait */
} UnitState;

const char *unit_state_to_string(UnitState s);

/* Anything but down: also on its way up or down, and in states this version does not know. */
bool unit_state_is_active(UnitState s);

/* One supervised thing: a unit of ours, or the keeper's child under `direct`. */
typedef struct ObservedUnit {
        char *agent;
        UnitState state;
        char *masked; /* the words behind `systemctl --user unmask` where it is; else NULL */
        bool job_pending;
        bool details; /* the fields below were asked for */
        pid_t main_pid;
        char *result; /* "success", "exit-code", "signal", "start-limit-hit" ... */
        uint64_t restarts;
        uint64_t memory;       /* bytes; UINT64_MAX unknown */
        uint64_t cpu_usec;     /* time used since its last start; UINT64_MAX unknown */
        uint64_t changed_usec; /* last state change, CLOCK_REALTIME; 0 unknown */
        char *load_error;      /* sentence; NULL if it loaded */
        char *invocation;      /* of its last start, in hex; NULL unknown */
} ObservedUnit;

/*
 * Did systemd give it up because it ended too often? systemd 252 tells by no word: the result is
 * that of the last end. A unit that failed after as many restarts as it is allowed hit the limit.
 */
bool unit_hit_start_limit(const ObservedUnit *u, unsigned attempts);

/* The launcher's run file, checked against /proc. */
typedef struct ObservedRun {
        char *agent;
        bool alive; /* same boot, same pid, same start time */
        pid_t pid;
        pid_t server_pid;        /* the tmux server whose terminal it has; 0 unknown */
        uint64_t started_usec;   /* CLOCK_REALTIME */
        uint64_t monotonic_usec; /* the same moment by CLOCK_MONOTONIC; 0: not known */
        char *invocation;
        char *pane_id;
        uint64_t memory;   /* of the process alone, bytes; 0: not asked */
        uint64_t cpu_usec; /* that it and its ended children used */
        char *runtime;     /* that runs; the roster may name another by now */
        RuntimeTalk talk;  /* of that runtime, as it was when the agent started */
        char restart_fingerprint[FINGERPRINT_SIZE];
        char resolved[FINGERPRINT_SIZE];
} ObservedRun;

/* How a process ended. */
typedef enum EndKind {
        END_UNKNOWN,
        END_EXITED, /* by itself; the status is a number */
        END_SIGNAL, /* the status is a signal's name */
} EndKind;

/* What the last end of an agent left behind (ExecStopPost, or the keeper under `direct`). */
typedef struct ObservedStop {
        char *agent;
        bool this_boot;
        bool ours; /* ended by mosaic, not by a person with systemctl */
        char *invocation;
        char *result;           /* $SERVICE_RESULT */
        char *code;             /* $EXIT_CODE */
        char *status;           /* $EXIT_STATUS; these three as they were told, NULL: not at all */
        bool succeeded, failed; /* what the result says; neither where there is none */
        bool refused;           /* by the launcher (status 178, decision 0001), before the agent */
        bool postponed;         /* by the launcher (status 75): it is tried again */
        EndKind kind;
        uint64_t at_usec;        /* CLOCK_REALTIME */
        uint64_t monotonic_usec; /* CLOCK_MONOTONIC; nothing unless of this boot */
} ObservedStop;

typedef struct ObservedHold {
        char *agent; /* NULL: the whole fleet */
        char *by;
        char *reason; /* may be NULL */
        uint64_t at_usec;
} ObservedHold;

/* What we own on disk for an agent. */
typedef struct ObservedFiles {
        char *agent;
        char restart_fingerprint[FINGERPRINT_SIZE]; /* of the accepted spec */
        char live_fingerprint[FINGERPRINT_SIZE];
        char resolved[FINGERPRINT_SIZE];
        uint64_t stop_timeout_usec; /* of the accepted spec; an agent that left the roster has no
                                       other */

        bool spec;           /* state/specs/NAME.json is there */
        bool dropin;         /* our drop-in is there */
        bool dropin_current; /* and says what the desired spec says */
} ObservedFiles;

struct Observed {
        Supervisor supervisor;
        Source tmux;
        Source manager; /* systemd user manager; SOURCE_PRESENT under `direct` */
        Source runs;
        Source files;

        pid_t server_pid;          /* tmux server; 0 none */
        pid_t hidden_server_pid;   /* it lives behind a socket that is gone; 0 none */
        bool server_foreign;       /* a server on our socket that is not of this fleet */
        bool server_other_version; /* it speaks another protocol than the tmux in PATH */
        bool reload_pending;       /* drop-ins changed that the manager may not have read yet */
        bool tmux_settings_wait;   /* the roster says other ones than the running server has */
        bool units_installed;      /* template and holder unit are there */
        UnitState holder;
        uint64_t holder_since_usec; /* CLOCK_MONOTONIC of the last start; 0 unknown */
        UnitState controller;
        uint64_t now_usec;       /* CLOCK_REALTIME of this look */
        uint64_t monotonic_usec; /* CLOCK_MONOTONIC of this look */
        Pacing pacing;           /* what the controller left behind; empty without one */

        ObservedSession *sessions;
        size_t n_sessions;
        ObservedUnit *units;
        size_t n_units;
        ObservedRun *run;
        size_t n_run;
        ObservedStop *stops;
        size_t n_stops;
        ObservedHold *holds;
        size_t n_holds;
        ObservedFiles *file;
        size_t n_file;
};

_must_check_ int observed_new(Supervisor supervisor, Observed **ret);
Observed *observed_free(Observed *o);
DEFINE_CLEANUP(Observed *, observed_free)

/* Each adds one zeroed element and returns it (borrowed until the next add), or NULL without
 * memory. */
ObservedSession *observed_add_session(Observed *o);
ObservedUnit *observed_add_unit(Observed *o);
ObservedRun *observed_add_run(Observed *o);
ObservedStop *observed_add_stop(Observed *o);
ObservedHold *observed_add_hold(Observed *o);
ObservedFiles *observed_add_files(Observed *o);

/* Fills in what follows from the three words. */
void observed_stop_classify(ObservedStop *s);

/* It ended in this boot, and not because mosaic was asked for it. False of NULL. */
bool observed_stop_unasked(const ObservedStop *s);

/* ... and @policy does not have it come back. Under systemd a stop by hand looks the same. */
bool observed_stop_is_final(const ObservedStop *s, RestartPolicy policy);

/* "ended with status 3", "ended by signal KILL": into @buffer, which is returned; NULL if it is not
 * known how it ended. */
const char *observed_stop_phrase(const ObservedStop *s, char *buffer, size_t n);

/* The same as a sentence: "it was ended by signal TERM", or where its launcher says why. @s may be
 * NULL. */
const char *observed_stop_text(const ObservedStop *s, char *buffer, size_t n);

/* Forgets all sessions from the one at @n on. */
void observed_drop_sessions(Observed *o, size_t n);

/* Sorts every list by agent name; to be called once all sources are in and before any find. */
void observed_sort(Observed *o);

/* Find by agent name after observed_sort(); NULL if there is none. Borrowed. */
ObservedSession *observed_session(const Observed *o, const char *agent);
ObservedUnit *observed_unit(const Observed *o, const char *agent);
ObservedRun *observed_run(const Observed *o, const char *agent);
ObservedStop *observed_stop(const Observed *o, const char *agent);
ObservedHold *observed_hold(
                const Observed *o, const char *agent); /* the agent's, else the fleet's */
ObservedFiles *observed_files(const Observed *o, const char *agent);

/* Which start of an agent was the last: the unit knows of one that has not come to a run file yet.
 * NULL: not known. Borrowed. */
const char *observed_invocation(const Observed *o, const char *agent);

/* Sets a source to unknown or absent, with a formatted sentence. */
void source_set(Source *s, SourceState state, const char *format, ...) _printf_(3, 4);
