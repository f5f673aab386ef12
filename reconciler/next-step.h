/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `mosaic` without a verb: how things stand in one sentence, and the one command that is sensible
 * next. Looks, and changes nothing.
 */

#include "reconciler/context.h"

/* Returns an exit code (0: it could be told) or a negative errno. */
_must_check_ int next_step_print(Context *c);
