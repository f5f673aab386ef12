/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which bytes may reach the YAML library. Some inputs make libfyaml 0.7 read freed memory, loop or
 * stop reading without an error; others (terminal controls, marks that reorder text) must not reach
 * people. All of them are refused here, with their place, before the library sees the text.
 */

#include "model/base/diag.h"

#define YAML_SIZE_MAX (4u << 20) /* a thousand agents are 0.5 MiB */
#define YAML_LINE_MAX (64u << 10)
/* the library needs quadratic time for blank lines in a scalar, */
#define YAML_BLANK_LINES_MAX 200
/* and keeps some 270 bytes for each open bracket before it says anything about the first one */
#define YAML_BRACKETS_MAX 100000u

/* Adds a finding for each place that is refused, up to a few. Returns whether the
 * text may be parsed. */
bool yaml_bytes_check(const char *bytes, size_t size, Diags *diags);
