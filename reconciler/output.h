/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Results for people: plan, progress, report, findings, status. Plain ASCII signs, colour only
 * where the context says so, nothing wider than 80 columns but what the user wrote. The last line,
 * the exit code and `summary.exit` in JSON say the same.
 */

#include "model/base/strbuf.h"
#include "model/check.h"
#include "model/json.h"
#include "reconciler/pass.h"

typedef enum Style {
        STYLE_PLAIN,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_RED,
        STYLE_GREEN,
        STYLE_YELLOW,
        STYLE_BLUE,
} Style;

/* The escape sequence that begins a style, "" without colour; output_end() ends it. */
const char *output_begin(const Context *c, Style s);
const char *output_end(const Context *c);

/* Appends text of others (names of foreign sessions, reasons of holds, words of programs), which
 * must not act on the terminal: no control characters, C1 in UTF-8 included. */
void output_add_safe(StrBuf *b, const char *s);

/* What was built, for printing. If memory was missing it is less than should be there, and
 * output_is_short() says so from then on: no exit code of success may follow. */
const char *output_text(const StrBuf *b);
bool output_is_short(void);

/* Breaks text at blanks so that it fits the terminal; @indent cells are already used, and begin
 * each further line. Elsewhere than on a terminal it stays one line. */
void output_wrapped(const Context *c, const char *text, size_t indent);

/* The findings about the roster, on standard error; warnings only if @warnings. */
void output_findings(const Context *c, const Pass *p, bool warnings);

/* Header, actions, remarks. */
void output_plan(const Context *c, const Pass *p);

/* "[3/7] ok 1.2 s ..." as an action ends. */
void output_progress(
                const Context *c, const Plan *plan, const Report *report, size_t i, size_t n_ended);

/* The closing table: what was done, failed, skipped, not started, with the reasons. */
void output_report(const Context *c, const Pass *p);

/* The last line of plan and verify, and of apply and its kin. */
void output_plan_summary(const Context *c, const Pass *p);
/* The last line where what is shown is not the file, which is invalid. */
void output_refused_summary(void);
void output_report_summary(const Context *c, const Pass *p, ExitCode code);

/* One line per check, and the last line of verify. */
void output_check(const Context *c, const Check *check);
void output_checks(const Context *c, const Checks *checks);
void output_verify_summary(const Context *c, const Pass *p, const Checks *checks, ExitCode code);

/* What the controller says of itself, and since when what is not as it should be; NULL: none
 * runs. */
void output_controller(const Context *c, const Json *controller, uint64_t now_usec);
/* The same beside one agent, and what the controller holds against it; @indent cells are used. */
void output_controller_of(const Context *c,
                const Json *controller,
                const Observed *o,
                const char *agent,
                size_t indent);
void output_put_pacing(JsonBuilder *b, const char *key, const Observed *o, const char *agent);
void output_put_controller(JsonBuilder *b, const char *key, const Json *controller);
/* What checks alone amount to, and the last line of a verb that makes only checks. */
ExitCode output_checks_code(const Checks *checks);
void output_checks_summary(const Checks *checks, ExitCode code);

/* One table over all agents. */
_must_check_ int output_status(const Context *c, const Pass *p);

/* Finishes a document and prints it. 0 or a negative errno. */
_must_check_ int output_print_document(JsonBuilder *b);
/* The same on one line: for documents that come one after another. */
_must_check_ int output_print_line(JsonBuilder *b);

/* Whether one was printed. */
bool output_has_document(void);

/* The members that documents begin with. @d may be NULL. */
void output_put_head(JsonBuilder *b, const Context *c, const char *verb, const Desired *d);

/* Parts that several documents have: an agent as status shows it, "remarks", "checks". */
void output_put_agent(JsonBuilder *b, const char *key, const AgentSpec *spec, const Pass *p);
void output_put_remarks(JsonBuilder *b, const Plan *plan);
void output_put_checks(JsonBuilder *b, const Checks *checks);

/* "refused": the findings of a file that is not in force; null if @refused is NULL. */
void output_put_refused(JsonBuilder *b, const Pass *refused);

/* Which sources answered, and how long that took: "observed". */
void output_put_observed(JsonBuilder *b, const Pass *p);

/* The document that `plan --json` prints. Caller frees. */
_must_check_ int output_plan_document(const Context *c, const Pass *p, ExitCode code, Json **ret);

/* The same as JSON documents, on standard output. @verb names the format: "plan", "apply" ... */
_must_check_ int output_pass_json(const Context *c, const char *verb, const Pass *p, ExitCode code);
_must_check_ int output_verify_json(
                const Context *c, const Pass *p, const Checks *checks, ExitCode code);
_must_check_ int output_checks_json(const char *format, const Checks *checks, ExitCode code);
/* @refused: the findings of a file that is not in force, NULL if it is. */
_must_check_ int output_status_json(const Context *c,
                const Pass *p,
                const Pass *refused,
                const Json *controller,
                const Checks *checks,
                ExitCode code);
_must_check_ int output_findings_json(const Context *c, const Pass *p, ExitCode code);
