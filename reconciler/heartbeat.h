/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A line every ten seconds while something takes long, whatever call of whatever driver it is that
 * takes long: a timer signal writes a text that was prepared before. One per process.
 */

/* From now on; the first line comes after ten seconds. */
void heartbeat_start(void);
void heartbeat_stop(void);

/* What the next line says, up to 200 bytes; without newline. */
void heartbeat_set(const char *text);
