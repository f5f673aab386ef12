/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lines on standard output that never make the controller wait: a reader that has stopped reading,
 * or a terminal that was halted with Ctrl-S, loses lines and is told how many.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "model/base/cleanup.h"

typedef struct WatchOutput WatchOutput;

/* @json: how lost lines are told. */
_must_check_ int watch_output_new(sd_event *event, bool json, WatchOutput **ret);

/* What still waits is lost. */
WatchOutput *watch_output_free(WatchOutput *o);
DEFINE_CLEANUP(WatchOutput *, watch_output_free)

/* Writes the text and a newline, now or when there is room. */
void watch_output_line(WatchOutput *o, const char *text);
