/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the parts of mosaic-launcher share: where the fleet's directories are, how a message reaches
 * people, and the convention that a step returns 0, or the exit status of the launcher after it has
 * said why.
 */

#include <stddef.h>
#include <stdint.h>

#include "drivers/agent/keeper-protocol.h"
#include "model/base/cleanup.h"
#include "model/json.h"
#include "model/spec.h"

typedef struct Launcher {
        const char *name;    /* of the agent; NULL for --holder */
        const char *home;    /* $MOSAIC_HOME */
        const char *state;   /* $MOSAIC_STATE_DIR */
        const char *runtime; /* $MOSAIC_RUNTIME_DIR */
        const char *fleet;   /* $MOSAIC_FLEET: id or "default" */
} Launcher;

/* What state/fleet.json says. */
typedef struct FleetFile {
        char *tmux_socket; /* absolute */
        unsigned width;    /* cells */
        unsigned height;
        unsigned history; /* lines */
} FleetFile;

void fleet_file_done(FleetFile *f);

/* --- launcher-say.c --------------------------------------------------------------------------- */

/* Takes standard error for messages, on a descriptor that an exec closes. To be called first. */
void say_init(const char *name);

/* From now on messages also go to this terminal; -1: no more. Borrowed. */
void say_to_terminal(int fd);

/* How many bytes went to standard error so far; the keeper counts them too. */
uint64_t said_bytes(void);

/* One line: "mosaic-launcher: NAME: ...". What could drive a terminal is replaced. */
void say(const char *format, ...) _printf_(1, 2);

/* Says it and returns LAUNCHER_REFUSED (a person is needed) or LAUNCHER_TRY_AGAIN. */
int refuse(const char *format, ...) _printf_(1, 2);
int try_again(const char *format, ...) _printf_(1, 2);

/* try_again() for a lack of memory. */
int no_memory(void);

/* --- launcher-files.c ------------------------------------------------------------------------- */

/* state/specs/NAME.json; argv, workdir, env, env_pass, env_files, credentials, stop_timeout_usec,
 * success_exit_status and fingerprints are filled in. */
int read_spec(const Launcher *l, AgentSpec **ret);

/* The same from the record itself, into zeroed memory; freed by the caller also on failure. 0,
 * negative errno: it is no spec of @name. */
_must_check_ int spec_from_json(const Json *j, const char *name, AgentSpec *s);

/* state/fleet.json. */
int read_fleet_file(const Launcher *l, FleetFile *ret);

/* Writes `DIRECTORY/SUBDIRECTORY/NAME.json`. Negative errno; says nothing. */
_must_check_ int
write_record(const char *directory, const char *subdirectory, const char *name, const Json *record);

/* The path of the keeper: below $MOSAIC_LIBEXEC_DIR, else beside this program. Caller frees. */
_must_check_ int keeper_path(char **ret);
