/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The fleet's tmux server: where its socket is, what lives on it, and command lists sent to it.
 * Every call is `tmux -N -S SOCKET` with a deadline and without TMUX and TMUX_PANE: it can neither
 * start a server nor reach the default one.
 */

#include <stddef.h>
#include <stdint.h>

#include "model/observed.h"

typedef struct TmuxServer {
        char *socket; /* absolute path */
        char *fleet;  /* fleet id or "default", as markers carry it */
        char **env;   /* of every tmux client */
        uint64_t timeout_usec;
} TmuxServer;

/* Ownership of copies only. @tmpdir is the recorded TMUX_TMPDIR. */
_must_check_ int tmux_server_new(
                const char *socket, const char *fleet, const char *tmpdir, TmuxServer **ret);
TmuxServer *tmux_server_free(TmuxServer *s);
DEFINE_CLEANUP(TmuxServer *, tmux_server_free)

/* "3.3a": of the tmux in PATH, which is asked nothing else. -ENOENT: there is none. Caller
 * frees. */
_must_check_ int tmux_version(char **ret);

/* "TMPDIR/tmux-UID/NAME", TMPDIR with links resolved as tmux does. Caller frees. */
_must_check_ int tmux_socket_path(const char *tmpdir, const char *name, char **ret);

/* Whether something accepts connections: 0 yes, -ENOENT no socket, -ECONNREFUSED nobody listens,
 * -EACCES, -ENOTSOCK, -ETIMEDOUT (backlog full: the server hangs) ... */
_must_check_ int tmux_server_probe(const TmuxServer *s);

/* The process that listens on the socket; errors as above. */
_must_check_ int tmux_server_pid(const TmuxServer *s, pid_t *ret);

/*
 * One listing, in two steps, so that other sources can be read while the server writes it. The
 * second fills sessions and server_pid of @o, and o->tmux with its sentence if it is not present.
 * Both fail only without memory. @s is borrowed until the end.
 */
typedef struct TmuxListing TmuxListing;

_must_check_ int tmux_listing_begin(const TmuxServer *s, TmuxListing **ret);

/* False: no server accepted, and the end will say so. */
bool tmux_listing_has_client(const TmuxListing *l);
_must_check_ int tmux_listing_end(TmuxListing *l, Observed *o);
TmuxListing *tmux_listing_free(TmuxListing *l);
DEFINE_CLEANUP(TmuxListing *, tmux_listing_free)

/* Becomes a client of the server for a person at this terminal: `tmux -N -S SOCKET WORD...`.
 * Returns only if that failed, a negative errno. */
_must_check_ int tmux_server_become(const TmuxServer *s, const char *const *words);

/*
 * Sends a command list (lines of tmux configuration syntax) over standard input. Returns 0 if tmux
 * ran all of it, 1 if some command failed (*ret_errors tells which; the rest ran), negative errno
 * if the outcome is unknown. @ret_output and @ret_errors may be NULL; caller frees.
 */
_must_check_ int tmux_server_run(
                const TmuxServer *s, const char *commands, char **ret_output, char **ret_errors);

/* Runs one command whose words are these, with @input as its standard input; for what must not
 * stand on a command line. The same results. */
_must_check_ int tmux_server_feed(
                const TmuxServer *s, const char *const *words, const char *input, size_t size);
