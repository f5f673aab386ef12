/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A row of the table in checks.c: whether the kernel holds each agent that runs to its `limits:`.
 * It does not where the user manager lacks a controller, nor where another file of the agent's
 * unit, or `systemctl --user set-property`, allows more than our drop-in.
 */

#include "drivers/machine/checks.h"

_must_check_ int check_limits(const CheckSubject *s, Checks *c);
