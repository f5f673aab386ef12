/* SPDX-License-Identifier: MIT */
#pragma once

/* What became of each action of a plan. Index i belongs to plan->actions[i]. One owner. */

#include <stddef.h>
#include <stdint.h>

#include "model/plan.h"

typedef enum Outcome {
        OUTCOME_NOT_STARTED,
        OUTCOME_DONE,
        OUTCOME_FAILED,
        OUTCOME_SKIPPED, /* because of another action; the text names it */
} Outcome;

typedef struct ActionResult {
        Outcome outcome;
        char *text; /* why it failed or was skipped; NULL if done */
        uint64_t took_usec;
} ActionResult;

typedef struct Report {
        ActionResult *results;
        size_t n_results;
} Report;

_must_check_ int report_new(const Plan *plan, Report **ret);
Report *report_free(Report *r);
DEFINE_CLEANUP(Report *, report_free)

/* Sets a result; a first failure is kept. The text is formatted; NULL format: no text. */
void report_set(Report *r, size_t i, Outcome outcome, const char *format, ...) _printf_(4, 5);

size_t report_count(const Report *r, Outcome outcome);

const char *outcome_to_string(Outcome o);
