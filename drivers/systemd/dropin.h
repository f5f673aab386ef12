/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Our drop-in of one agent: mosaic-agent@NAME.service.d/50-mosaic.conf. It carries limits and the
 * restart policy, as numbers and words of fixed lists; nothing else of the roster gets into unit
 * syntax. The text is a pure function of the spec, so that "is it current" is a comparison of
 * bytes.
 *
 * A unit that is loaded keeps what it was loaded with until manager_reload().
 */

#include <stdbool.h>
#include <stddef.h>

#include "drivers/os/paths.h"
#include "model/base/cleanup.h"
#include "model/spec.h"

#define DROPIN_FILE "50-mosaic.conf"

/* The launcher's way to say that a retry cannot help (decision 0001). */
#define EXIT_STATUS_REFUSED 178

/* The text. -EINVAL: a word of success_exit_status is none that may stand there. Caller frees. */
_must_check_ int dropin_render(const AgentSpec *s, char **ret);

/* True for an exit status "0" ... "255" (not that of the launcher's refusal) and a signal
 * "SIGTERM". */
bool exit_status_word_is_valid(const char *word);

/* Paths of the directory and of the file. Callers free. */
_must_check_ int dropin_directory(const Paths *p, const char *agent, char **ret);
_must_check_ int dropin_path(const Paths *p, const char *agent, char **ret);

/* What is on disk: absent, another text, or what the spec says. */
typedef enum DropinState {
        DROPIN_ABSENT,
        DROPIN_DIFFERS,
        DROPIN_CURRENT,
} DropinState;

_must_check_ int dropin_check(const Paths *p, const AgentSpec *s, DropinState *ret);

/* Writes those of the drop-ins that are absent or differ; all are on disk when it returns, at the
 * price of one sync for all. */
_must_check_ int dropins_write(const Paths *p, AgentSpec *const *specs, size_t n);

/* Removes the file, and its directory if nothing of the user's is in it. Absent is success. */
_must_check_ int dropin_remove(const Paths *p, const char *agent);
