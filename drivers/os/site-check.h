/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a valid roster still needs on this machine: directories, files, programs. A lack concerns
 * one agent, so it is a warning and blocks that agent only; one that runs is left alone.
 */

#include "model/roster.h"

/* Looks at every agent that is made here and is not stopped. Adds findings, and sets blocked_text
 * and program_missing of the specs in @d (a first lack per agent; what was set before is replaced).
 * @roster_path: of the file, whose directories are looked at too. Returns 0 or a negative errno. */
_must_check_ int site_check(
                const Desired *d, const char *roster_path, const Machine *m, Diags *diags);
