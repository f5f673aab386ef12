/* SPDX-License-Identifier: MIT */
#pragma once

/* The journal of the user's units, as far as this user may read it. */

#include "model/base/cleanup.h"

enum { _JOURNAL_HAS_NONE, JOURNAL_HAS_ENTRIES };

/* Whether the journal has anything about a unit of the user's manager. Returns 0 (nothing, or no
 * journal at all), JOURNAL_HAS_ENTRIES, negative errno. */
_must_check_ int journal_look(const char *unit);
