/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who is at work: asked of running agents that the roster would restart or remove, all of them in
 * one look at their screens. The signs are those of the runtime that runs (the roster may name
 * another by now); an agent without any is at work while another process than itself has the
 * foreground of its terminal: a build in a shell.
 */

#include "drivers/driver.h"

/* Sets `busy` of the sessions of such agents. Returns 0 or -ENOMEM. */
_must_check_ int busy_find(const Driver *driver, const Desired *desired, Observed *observed);
