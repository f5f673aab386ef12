/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A plan: ordered actions (at most one per agent, plus those of the fleet) and remarks (what is
 * held, blocked, deferred, waiting, unknown or foreign). Made by reconciler/plan, executed by
 * reconciler/apply, shown by reconciler/output. Copies every name it needs; one owner.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"

typedef enum ActionKind {
        ACTION_HOLDER_START,  /* the tmux server */
        ACTION_HOLDER_REPAIR, /* it lives, but its socket is gone */
        ACTION_RELOAD,        /* the user manager must read drop-ins again */
        ACTION_CREATE,        /* an agent that never was here */
        ACTION_START,         /* an agent that should run and does not */
        ACTION_UPDATE,        /* changes the process does not notice */
        ACTION_STOP,          /* wanted: stopped */
        ACTION_RESTART,       /* the process must be replaced */
        ACTION_REMOVE,        /* left the roster */
        _ACTION_KIND_MAX,
} ActionKind;

/* What an action consists of; executed phase by phase over all agents, in this order. */
typedef enum ActionStep {
        STEP_SPEC = 1u << 0,         /* accept the spec */
        STEP_DROPIN = 1u << 1,       /* write our drop-in */
        STEP_RENAME = 1u << 2,       /* give our session its name back */
        STEP_STOP = 1u << 3,         /* stop the unit */
        STEP_RESET_FAILED = 1u << 4, /* clear the unit's failure and start counter */
        STEP_SESSION = 1u << 5,      /* make the session with its keeper */
        STEP_START = 1u << 6,        /* start the unit */
        STEP_KILL_SESSION = 1u << 7, /* end the session, by id */
        STEP_FILES = 1u << 8,        /* delete spec, drop-in, run file and records */
        STEP_RELOAD = 1u << 9,       /* the loaded unit must read its drop-in again */
        STEP_REPAIR = 1u << 10,      /* ask the server for its socket */
} ActionStep;

typedef enum Reason {
        REASON_NOT_PRESENT,
        REASON_SESSION_GONE,
        REASON_SESSION_RENAMED,
        REASON_UNIT_FAILED,
        REASON_NOT_RUNNING,
        REASON_HOLDER_DOWN,
        REASON_SOCKET_GONE,
        REASON_BOOT,
        REASON_FIELD_RESTART,
        REASON_FIELD_LIVE,
        REASON_DROPIN_CHANGED,
        REASON_SPEC_MISSING,
        REASON_TOOL_UPGRADE,
        REASON_REQUESTED,
        REASON_STATE_STOPPED,
        REASON_NOT_IN_ROSTER,
        REASON_ELSEWHERE,
        /* of remarks */
        REASON_HOLD,
        REASON_MANUAL_STOP,
        REASON_ENDED,
        REASON_PROGRAM_MISSING,
        REASON_SITE,
        REASON_UNITS_MISSING,
        REASON_UNIT_MASKED,
        REASON_UNIT_BROKEN,
        REASON_FOREIGN_NAME,
        REASON_FOREIGN_SESSION,
        REASON_FOREIGN_SERVER,
        REASON_REMOVAL_CAP,
        REASON_STILL_BUSY,
        REASON_ON_CHANGE_KEEP,
        REASON_IN_TRANSITION,
        REASON_OBSERVATION_UNKNOWN,
        REASON_RUN_UNPROVEN,
        REASON_DEPENDENCY,
        REASON_SUPERVISOR,
        REASON_BACKOFF,
        REASON_CRASH_LOOP,
        REASON_COMMON_CAUSE,
        REASON_ROSTER_SETTLES,
        _REASON_MAX,
} Reason;

typedef enum Disruption {
        DISRUPTION_NONE,
        DISRUPTION_RESTART,
        DISRUPTION_DESTROY,
} Disruption;

typedef struct Action {
        ActionKind kind;
        char *agent; /* NULL: the fleet's */
        Reason reason;
        char *text;       /* why, one phrase */
        unsigned line;    /* roster line that asks for it; 0 none */
        unsigned steps;   /* ActionStep flags */
        char *session_id; /* STEP_RENAME, STEP_KILL_SESSION */
        char **after;     /* agents whose start in this plan must succeed first */
} Action;

typedef enum RemarkKind {
        REMARK_HELD,      /* exit 0 */
        REMARK_PENDING,   /* exit 0: used at the next restart */
        REMARK_ELSEWHERE, /* exit 0 */
        REMARK_FOREIGN,   /* exit 0 */
        REMARK_WAITING,   /* exit 2: a state that passes by itself */
        REMARK_DEFERRED,  /* exit 2: waits for idle */
        REMARK_BLOCKED,   /* exit 3: a person is needed */
        REMARK_UNKNOWN,   /* exit 6 */
        _REMARK_KIND_MAX,
} RemarkKind;

typedef struct Remark {
        RemarkKind kind;
        char *subject; /* agent, session or source */
        bool is_agent;
        Reason reason;
        char *text;
        char *help; /* the command that resolves it; may be NULL */
        unsigned line;
} Remark;

typedef struct Plan {
        Action *actions;
        size_t n_actions;
        Remark *remarks;
        size_t n_remarks;
        size_t n_agents;    /* in the roster, for this machine */
        size_t n_unchanged; /* of these, as they should be: no action, no remark but PENDING */
        size_t n_impeded;   /* of these, down because of a remark about the whole fleet */
        bool sorted;        /* actions stand as plan_sort() leaves them */
} Plan;

/* Exit codes of every verb, spec section 5. */
typedef enum ExitCode {
        EXIT_OK = 0,
        EXIT_INTERNAL = 1,
        EXIT_PENDING = 2,
        EXIT_BLOCKED = 3,
        EXIT_NOT_CONVERGED = 4,
        EXIT_STALE = 5,
        EXIT_UNKNOWN = 6,
        EXIT_LOCKED = 7,
        EXIT_USAGE = 64,
        EXIT_INVALID = 65,
} ExitCode;

_must_check_ int plan_new(Plan **ret);
Plan *plan_free(Plan *p);
DEFINE_CLEANUP(Plan *, plan_free)

/* Add one element; strings are copied, the text is formatted. The action is returned, borrowed
 * until the next one is added, NULL without memory; of a remark 0 or -ENOMEM. */
Action *plan_add_action(Plan *p,
                ActionKind kind,
                const char *agent,
                Reason reason,
                unsigned line,
                unsigned steps,
                const char *format,
                ...) _printf_(7, 8);
_must_check_ int plan_add_remark(Plan *p,
                RemarkKind kind,
                const char *subject,
                bool is_agent,
                Reason reason,
                unsigned line,
                const char *help,
                const char *format,
                ...) _printf_(8, 9);

/* The holder first, then what is made or changed, removals last; by name among equals. Remarks: the
 * gravest first. */
void plan_sort(Plan *p);

/* The action of an agent, or NULL. In a sorted plan this does not look at all of them. */
const Action *plan_action(const Plan *p, const char *agent);

size_t plan_count_actions(const Plan *p, ActionKind kind);
size_t plan_count_remarks(const Plan *p, RemarkKind kind);

/* EXIT_OK, EXIT_PENDING, EXIT_BLOCKED or EXIT_UNKNOWN. */
ExitCode plan_exit_code(const Plan *p);

const char *action_kind_to_string(ActionKind k); /* "create" */
const char *action_kind_to_sign(ActionKind k);   /* "+" */
const char *reason_to_string(Reason r);          /* "not_present" */
const char *remark_kind_to_string(RemarkKind k);
Disruption action_disruption(ActionKind k);
const char *disruption_to_string(Disruption d);
