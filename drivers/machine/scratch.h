/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A fleet to be thrown away: a home, a state, a tmux socket and unit names of its own, in a fresh
 * directory. The program itself is run in it as a person would run it, so that what is tried out is
 * what people use, and that nothing of it can meet a live fleet.
 */

#include "drivers/os/paths.h"
#include "drivers/os/process.h"
#include "drivers/store/fleet-record.h"

typedef struct Scratch {
        char *top;      /* the fresh directory */
        char *roster;   /* where its roster is, once there is one */
        char *program;  /* what is run */
        char **env;     /* of everything that is run */
        char *units;    /* where its units would be */
        char *tmux_dir; /* where its socket would be */
        Supervisor supervisor;
        int lock;  /* held as long as it is in use; dies with its process */
        bool keep; /* something of it could not be taken down: the directory stays */
} Scratch;

#define SCRATCH_NO_MANAGER 1

/* Makes the directory, below $TMPDIR, or below /tmp where that is not set or will not do. Units go
 * where the user manager reads them until the next logout. SCRATCH_NO_MANAGER: @supervisor is
 * systemd, and there is no place for that. */
_must_check_ int scratch_new(const Paths *p, Supervisor supervisor, Scratch **ret);

/* The directories of those whose process was killed before it could take them down: ours, below
 * $TMPDIR or /tmp, and the lock in them is free. A NULL-terminated list or NULL; caller frees. */
_must_check_ int scratch_find_dead(char ***ret);

/* One of these, as if it were made here. LOCK_BUSY: somebody else has it by now; -ENOENT: it is
 * gone, or the user manager that it needs is not there. */
_must_check_ int scratch_adopt(const Paths *p, const char *top, Scratch **ret);

/* Frees it, and removes the directory with everything in it, unless it is to be kept; what runs
 * must have been stopped. */
Scratch *scratch_free(Scratch *s);
DEFINE_CLEANUP(Scratch *, scratch_free)

/* Puts a roster in place of what is there; "@top@" in @text becomes the directory. Directories
 * "work/NAME" are made for the agents. */
_must_check_ int scratch_write_roster(
                const Scratch *s, const char *text, const char *const *agents, size_t n_agents);

/* Runs the program with these words to its end. Returns as process_run() does. */
_must_check_ int scratch_run(const Scratch *s, char *const *words, ProcessResult *ret);

/* What is still there of a fleet that was stopped and uninstalled, as one phrase; "" if nothing is.
 * @unit_prefix: how its units are called, NULL if it never came that far. Caller frees. */
_must_check_ int scratch_leftovers(const Scratch *s, const char *unit_prefix, char **ret);
