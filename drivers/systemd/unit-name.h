/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which agent is it? The way back from what paths_agent_unit() makes. Pure.
 */

#include "drivers/os/paths.h"

/* "mosaic-agent@web.service" -> "web", for units of this fleet; @suffix: ".service", or what else
 * is to stand behind the name. *ret is NULL for other units, and for a name that no roster can
 * give. Caller frees. */
_must_check_ int unit_name_agent(const Paths *p, const char *unit, const char *suffix, char **ret);
