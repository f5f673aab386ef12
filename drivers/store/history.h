/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/history.jsonl: one line per action that was carried out, newest last; what `explain` shows.
 * A convenience: it is never read to decide anything, and a failure to write it fails nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "drivers/os/paths.h"
#include "model/report.h"

typedef struct HistoryEntry {
        uint64_t at_usec; /* CLOCK_REALTIME */
        char *verb;
        char *action; /* "create", "restart" ... */
        char *reason;
        char *outcome;
        char *text; /* may be NULL */
        uint64_t took_usec;
} HistoryEntry;

typedef struct History {
        HistoryEntry *items; /* oldest first */
        size_t n_items;
} History;

void history_done(History *h);
#define _cleanup_history_ _cleanup_(history_done)

/* Appends the actions of an applied plan that were begun; keeps the file below 1 MiB. */
_must_check_ int history_append(
                const Paths *p, const char *verb, const Plan *plan, const Report *report);

/* The last @max entries of one agent. A file that is not there holds none; lines that do not parse
 * are left out. */
_must_check_ int history_read(const Paths *p, const char *agent, size_t max, History *ret);
