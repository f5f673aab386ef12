/* SPDX-License-Identifier: MIT */
#include "model/report.h"

#include <assert.h>
#include <stdarg.h>

#include "model/base/format.h"

int report_new(const Plan *plan, Report **ret) {
        Report *r = calloc(1, sizeof(Report));

        if (!r)
                return -ENOMEM;
        r->n_results = plan->n_actions;
        r->results = calloc(r->n_results ? r->n_results : 1, sizeof(ActionResult));
        if (!r->results) {
                free(r);
                return -ENOMEM;
        }
        *ret = r;
        return 0;
}

Report *report_free(Report *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_results; i++)
                free(r->results[i].text);
        free(r->results);
        free(r);
        return NULL;
}

void report_set(Report *r, size_t i, Outcome outcome, const char *format, ...) {
        ActionResult *result = r->results + i;
        va_list ap;

        assert(i < r->n_results);
        if (result->outcome == OUTCOME_FAILED)
                return;
        result->outcome = outcome;
        free(result->text);
        result->text = NULL;
        if (!format)
                return;
        va_start(ap, format);
        (void)!format_valist(&result->text, format, ap); /* the outcome stands without its text */
        va_end(ap);
}

size_t report_count(const Report *r, Outcome outcome) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_results; i++)
                n += r->results[i].outcome == outcome;
        return n;
}

const char *outcome_to_string(Outcome o) {
        static const char *const names[] = {
                [OUTCOME_NOT_STARTED] = "not_started",
                [OUTCOME_DONE] = "done",
                [OUTCOME_FAILED] = "failed",
                [OUTCOME_SKIPPED] = "skipped",
        };

        assert(o < ELEMENTSOF(names));
        return names[o];
}
