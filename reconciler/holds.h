/* SPDX-License-Identifier: MIT */
#pragma once

/* Clearing of holds, for the verbs that start agents. */

#include "reconciler/context.h"

/*
 * Holds of the named agents (NULL or empty: all) go, and so does what is remembered of how they
 * ended. A hold of the whole fleet stays for the other agents, as holds of their own.
 */
_must_check_ int holds_release(Context *c, const Desired *desired, char *const *names);
