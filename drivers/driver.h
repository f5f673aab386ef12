/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the reconciler may ask of the world, in model types. The machine itself is drivers/machine/;
 * the recorder and the simulated world of the tests are drivers too. Every call is for many agents
 * at once: nothing is done once per agent that can be done once. No driver decides anything and
 * none knows what a dry run is; each re-checks at the target what it is about to change.
 *
 * Functions return 0 or a negative errno that concerns the whole call; what happened to one agent
 * is in its DriverJob.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/observed.h"
#include "model/screen.h"
#include "model/spec.h"

typedef enum DriverJobKind {
        DRIVER_START,
        DRIVER_STOP,
        DRIVER_SESSION,      /* make the session with its keeper */
        DRIVER_RENAME,       /* give the session the agent's name; needs @session_id */
        DRIVER_KILL_SESSION, /* end the session, if it is still ours; needs @session_id */
} DriverJobKind;

/* One thing to do to one agent. The caller fills the first four; strings are borrowed. */
typedef struct DriverJob {
        DriverJobKind kind;
        const char *agent;
        const char *session_id;
        uint64_t stop_timeout_usec; /* DRIVER_STOP: from TERM to KILL */

        bool finished;
        int error;     /* 0 or a negative errno */
        char *message; /* why it failed; owned by the job */
        uint64_t took_usec;
} DriverJob;

/* What the pane of an agent shows. The caller owns what is in the screen. */
typedef struct DriverScreen {
        bool known;            /* the pane answered, and the agent's process lives */
        Screen screen;         /* as far as the pane answered, also if the agent is dead */
        bool other_foreground; /* another program than the agent has the terminal; if known */
        bool line_mode;        /* the terminal collects lines: nobody reads single keys */
        char terminal[32];     /* its device; "" unknown */
} DriverScreen;

typedef enum DriverInputKind {
        DRIVER_INPUT_LEAVE_MODE, /* copy mode, and its like */
        DRIVER_INPUT_FOCUS,      /* the program is told that the terminal has the focus */
        DRIVER_INPUT_PASTE,      /* @text; at most once a message */
        DRIVER_INPUT_PRESS,      /* @key, as tmux names it */
} DriverInputKind;

/* Something typed into an agent's terminal. Strings are borrowed. */
typedef struct DriverInput {
        DriverInputKind kind;
        const char *agent;
        const Screen *screen; /* the look that it was decided by: the same pane, and (but to leave
                                 a mode) the cursor where it was, else nothing is done */
        const char *id;       /* of the message */
        const char *text;
        size_t size;
        const char *key;
} DriverInput;

typedef enum DriverInputReply {
        DRIVER_INPUT_DONE,
        DRIVER_INPUT_MOVED,   /* the cursor is elsewhere: nothing was typed */
        DRIVER_INPUT_GONE,    /* no such pane of ours any more: nothing was typed */
        DRIVER_INPUT_UNKNOWN, /* it may have been typed */
} DriverInputReply;

typedef void (*DriverJobDone)(DriverJob *job, void *userdata);

typedef struct Driver {
        void *world;

        /* Starts what the next observe() waits for, so that the caller can do something else
         * meanwhile; need not be called. @ret_path: the PATH that the supervisor gives to agents,
         * NULL where there is none or it cannot be told; caller frees. */
        int (*begin)(void *world, char **ret_path);

        /* One complete look. Sorted. @details: also what only `status` shows. */
        int (*observe)(void *world, const Desired *desired, bool details, Observed **ret);

        /* What the panes of these agents show, and whether another program than the agent has the
         * terminal's foreground. @screens: one per agent, zeroed; text stays NULL where it could
         * not be read. */
        int (*capture)(void *world,
                        const Observed *observed,
                        char *const *agents,
                        DriverScreen *screens);

        /* Is the process of the agent's run file the one that the supervisor runs? Returns 0, 1 if
         * not (@ret_why: a sentence, caller frees), negative errno. */
        int (*vouch)(void *world, const Observed *observed, const char *agent, char **ret_why);

        /* Types. An error says that nothing was typed. */
        int (*input)(void *world,
                        const Observed *observed,
                        const DriverInput *input,
                        DriverInputReply *ret);

        /* Takes away what killed senders to this agent left in the server. Its lock is held. */
        int (*forget_inputs)(void *world, const char *agent);

        /* Makes these specs, and what else the roster says of the fleet, the accepted ones. */
        int (*accept)(void *world, const Desired *desired, AgentSpec *const *specs, size_t n);
        /* @reload: some of them are loaded, and a reload() follows. */
        int (*write_dropins)(void *world, AgentSpec *const *specs, size_t n, bool reload);
        int (*reload)(void *world);
        int (*reset_failed)(void *world, char *const *agents);
        int (*remove_files)(void *world, const char *agent);

        /* Leaves word that it is we who are about to end these agents, so that whoever finds them
         * down takes it for an unfinished restart or a changed roster, and not for a stop by hand.
         */
        int (*announce_stops)(void *world, const Observed *observed, char *const *agents);

        /* The tmux server with its holder session. @ret_message: why not; caller frees. */
        int (*start_holder)(void *world, char **ret_message);
        int (*stop_holder)(void *world, char **ret_message);
        /* The controller's unit; where none supervises it, there is nothing to start. */
        int (*start_controller)(void *world, char **ret_message);
        int (*stop_controller)(void *world, char **ret_message);
        int (*repair_holder)(void *world, const Observed *observed, char **ret_message);

        /* DRIVER_SESSION, DRIVER_RENAME, DRIVER_KILL_SESSION: all in one tmux client, finished on
         * return. */
        int (*sessions)(void *world, DriverJob *jobs, size_t n);

        /* DRIVER_START, DRIVER_STOP: queued and running on return; a job stays where it is until it
         * was reported. */
        int (*submit)(void *world, DriverJob *jobs, size_t n);
        /* Returns when at least one more has ended, and reports all that have. */
        int (*wait)(void *world, DriverJobDone done, void *userdata);
} Driver;
