/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sentences about what somebody typed: "mosaic: ..." on standard error. Words of a command line may
 * hold anything, and come from scripts; nothing of them can act on the terminal of who reads it.
 */

#include <stdarg.h>

#include "model/base/cleanup.h"

/* One line; what is unsafe in it becomes a '?'. */
void complain(const char *format, ...) _printf_(1, 2);

/* "VERB: " before it. */
void complain_of(const char *verb, const char *format, va_list ap) _printf_(2, 0);
