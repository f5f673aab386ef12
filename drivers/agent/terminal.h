/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The terminal of a pane: asked of its keeper, made the controlling terminal of this process,
 * cleaned of what the last agent and the keyboard left in it. Scrollback and screen are never
 * cleared.
 */

#include "drivers/agent/launcher.h"

typedef struct Terminal {
        int fd;        /* the slave side */
        int keeper_fd; /* the connection, for KEEPER_READY */
        char **words;  /* "TERM=...", "TMUX=...", "TMUX_PANE=..." */
} Terminal;

#define TERMINAL_NULL ((Terminal){ .fd = -1, .keeper_fd = -1 })

void terminal_done(Terminal *t);
#define _cleanup_terminal_ _cleanup_(terminal_done)

/*
 * Asks the keeper. Returns 0; -ENOENT, -ECONNREFUSED or -ECONNRESET: there is no keeper (yet, any
 * more); -EREMOTEIO: it has no terminal to give; -EAGAIN, -ETIMEDOUT: it does not answer; others.
 */
_must_check_ int terminal_ask(const char *runtime_dir, const char *name, Terminal *ret);

/*
 * Makes it the controlling terminal. Returns 0; -EBUSY: another session has it; -EIO: the pane is
 * gone; -EPERM: this process cannot lead a session, it leads a process group.
 */
_must_check_ int terminal_own(const Terminal *t);

/*
 * Drops what was typed while nobody read, resets modes and line discipline, and makes it standard
 * input, output and error. -ETIMEDOUT: the terminal takes no output.
 */
_must_check_ int terminal_reset(const Terminal *t);

/* What is written to reset a terminal; for tests. */
extern const char terminal_reset_sequence[];
