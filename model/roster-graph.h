/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `after:` as a graph: names that exist, no agent that waits for itself, no circles.
 */

#include "model/roster-finding.h"

/* @effective: one for each agent, in their order. */
_must_check_ int roster_check_graph(const Finder *f, const RosterSettings *effective);
