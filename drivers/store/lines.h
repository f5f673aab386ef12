/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files of lines that only grow at their end, for people to read later: the history, the log of
 * messages. What many writers append at once does not mix.
 */

#include <stddef.h>

#include "model/base/cleanup.h"

/* Appends @text, whole lines, in one write. The file and the one before it (PATH.1) stay below @max
 * bytes together. A line that a crash cut short is ended first. */
_must_check_ int lines_append(const char *path, const char *text, size_t max);
