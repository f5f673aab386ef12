/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells that one of many processes has ended, within a millisecond and without asking: a pidfd for
 * each, all behind one descriptor that can be polled.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

typedef struct PidWatch PidWatch;

_must_check_ int pidwatch_new(PidWatch **ret);
PidWatch *pidwatch_free(PidWatch *w);
DEFINE_CLEANUP(PidWatch *, pidwatch_free)

/* Readable when a process has ended. Borrowed. */
int pidwatch_fd(const PidWatch *w);

/* From now on these and no others; @pids is sorted in place. *ret_gone: one of them is gone
 * already. -EMFILE and the like: not all of them are watched; the others are. */
_must_check_ int pidwatch_set(PidWatch *w, pid_t *pids, size_t n, bool *ret_gone);

/* Takes in who has ended, without waiting; true if somebody has. */
bool pidwatch_take(PidWatch *w);
