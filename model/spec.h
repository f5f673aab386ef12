/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Desired state: one resolved agent (AgentSpec) and the fleet (Desired). Made by
 * model/roster-resolve from a checked roster for one machine; everything that plans, shows or runs
 * an agent reads it from here, nobody else knows a default.
 *
 * Trees with one owner: desired_free() frees everything below.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"
#include "model/base/diag.h"

#define AGENT_NAME_MAX 40
#define FINGERPRINT_SIZE 65 /* SHA-256 in hex and the NUL */

typedef enum RestartPolicy {
        RESTART_ALWAYS,
        RESTART_ON_FAILURE,
        RESTART_NEVER,
        _RESTART_POLICY_MAX,
} RestartPolicy;

typedef enum DesiredState {
        DESIRED_RUNNING,
        DESIRED_PAUSED, /* alive, gets no messages */
        DESIRED_STOPPED,
        _DESIRED_STATE_MAX,
} DesiredState;

typedef enum OnChange {
        ON_CHANGE_DEFER,   /* wait until nobody is attached and the agent is idle */
        ON_CHANGE_RESTART, /* restart at once */
        ON_CHANGE_KEEP,    /* never by itself; shown as pending */
        _ON_CHANGE_MAX,
} OnChange;

typedef enum Supervisor {
        SUPERVISOR_SYSTEMD,
        SUPERVISOR_DIRECT,
        _SUPERVISOR_MAX,
        _SUPERVISOR_INVALID = -1,
} Supervisor;

const char *restart_policy_to_string(RestartPolicy p);
const char *desired_state_to_string(DesiredState s);
const char *on_change_to_string(OnChange c);
const char *supervisor_to_string(Supervisor s);
Supervisor supervisor_from_string(const char *s);

/* A secret by reference: the launcher reads @file and exports its text as @variable. */
typedef struct Credential {
        char *variable;
        char *file; /* absolute */
} Credential;

/* How a runtime is talked to. Patterns are PCRE2, matched on single visible lines. */
typedef struct RuntimeTalk {
        char *ready_pattern;
        char *busy_pattern;
        char *waiting_pattern; /* an approval or login dialog is open */
        char *reset_keys;
        char *quit_keys;
        uint64_t ready_timeout_usec;

        /* Matched on "the line above the cursor" LF "the cells left of the cursor": an empty input
         * box and nothing typed. NULL: cannot be told for this runtime. */
        char *composer_pattern;
        /* Matched on "what stands from the cursor on" LF "the line below": an input box is empty
         * only if this matches too. NULL: not looked at. */
        char *composer_rest;
        char *composer_unfocused;   /* matched on a line: an empty box that the cursor has left */
        char *composer_misreads;    /* matched on a whole message: it would not arrive as text */
        char *composer_prefix;      /* stands before the label line of a message */
        char *busy_title;           /* pattern on the pane's title; may be NULL */
        char *waiting_title;        /* likewise */
        uint64_t reset_settle_usec; /* pause after the reset command before the prompt is trusted */
        char *submit_key;           /* tmux key name, "Enter" unless the runtime says otherwise */
        uint64_t submit_delay_usec; /* least time between the text and the key */
} RuntimeTalk;

typedef struct AgentSpec {
        char *name;
        unsigned line; /* of the agent's key in the roster, 1-based; 0 unknown */

        /* restart class: a change needs a new process */
        char *runtime;
        char *model;      /* may be NULL */
        char **argv;      /* complete; [0] as written, looked up in the agent's PATH */
        char *workdir;    /* absolute */
        char **env;       /* "K=V", sorted by name, all merges done */
        char **env_files; /* absolute */
        Credential *credentials;
        size_t n_credentials;

        /* live class: changed without touching the process */
        char **env_pass; /* names taken from the user manager's environment; outside the
                          * fingerprint */
        RestartPolicy restart_policy;
        uint64_t restart_delay_usec;
        unsigned restart_attempts; /* 0: no limit */
        uint64_t restart_window_usec;
        uint64_t limit_memory; /* bytes; 0: none */
        unsigned limit_cpu;    /* percent of one core; 0: none */
        unsigned limit_tasks;  /* 0: none */
        uint64_t stop_timeout_usec;
        char **success_exit_status; /* words that SuccessExitStatus= takes, from the runtime's
                                     * data */

        /* none class: read by verbs, known to no process */
        DesiredState state;
        OnChange on_change;
        char *description; /* may be NULL */
        char **labels;     /* "k=v", sorted */
        char **after;      /* names */
        RuntimeTalk talk;
        char **resume_args; /* arguments that continue the last conversation; data for the
                             * operator */
        char *install;      /* sentence: how to get the program; may be NULL */

        char **hosts;   /* patterns of `host:`; empty: any machine */
        bool elsewhere; /* `host:` does not match this machine: not made here */

        /* Why this agent cannot be started on this machine now (program missing ...); NULL if it
         * can. An agent that runs is left alone. */
        char *blocked_text;
        bool program_missing; /* that is why */

        /*
         * SHA-256 over declared keys only: the same on every run and after an upgrade of mosaic.
         * `resolved` also covers what the product's own data brought in (a built-in runtime's
         * arguments): where only it differs, the cause is tool_upgrade.
         */
        char restart_fingerprint[FINGERPRINT_SIZE];
        char live_fingerprint[FINGERPRINT_SIZE];
        char resolved[FINGERPRINT_SIZE];
} AgentSpec;

typedef struct YamlDoc YamlDoc; /* model/base/yaml.h */

typedef struct Desired {
        char *fleet_name;    /* from the roster; may be NULL */
        char *tmux_socket;   /* socket name (-L); NULL: the default of this fleet id */
        unsigned tmux_width; /* cells */
        unsigned tmux_height;
        unsigned tmux_history; /* lines */
        AgentSpec **agents;    /* sorted by name, `elsewhere` ones included */
        size_t n_agents;
        char roster_sha256[FINGERPRINT_SIZE]; /* of the roster's bytes */
        Supervisor supervisor; /* what `supervisor:` asks for; _SUPERVISOR_INVALID: it says
                                * nothing */
        YamlDoc *roster;       /* what it was made from, for places; NULL: of no file */
} Desired;

AgentSpec *agent_spec_free(AgentSpec *s);
DEFINE_CLEANUP(AgentSpec *, agent_spec_free)
Desired *desired_free(Desired *d);
DEFINE_CLEANUP(Desired *, desired_free)

/* Binary search by name; NULL if there is none. Borrowed. */
AgentSpec *desired_find(const Desired *d, const char *name);

/* Its place in d->agents; SIZE_MAX if it is not in the roster. */
size_t desired_index(const Desired *d, const char *name);

/* The place of the value at a JSON pointer such as "/agents/web/workdir" (of a list or mapping: of
 * its key); SPAN_NONE if the roster does not write it. For findings made after loading. */
Span desired_place(const Desired *d, const char *pointer);

/* ^[a-z][a-z0-9-]{0,39}$ : what may be a tmux session, a unit instance and a file name. */
bool agent_name_is_valid(const char *name);

/* Of the environment: set by mosaic, tmux or systemd for each agent, and by nobody else. */
bool variable_is_reserved(const char *name);
