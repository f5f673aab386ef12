/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the verbs of the reconciler have in common: load, say the findings, look and plan, show,
 * ask, lock, apply, report. A verb is a policy and a few words.
 */

#include "reconciler/options.h"
#include "reconciler/pass.h"

/* Loads the roster; findings are printed. Returns 0, EXIT_INVALID, negative errno. */
_must_check_ int run_load(Context *c, Pass *p);

/* For plan, verify and status: loads, looks and plans; findings are printed. Returns 0 or an exit
 * code that ends the verb, negative errno. */
_must_check_ int run_look(Context *c, const PlanPolicy *policy, bool details, Pass *p);

typedef struct RunChange {
        const char *verb;
        PlanPolicy policy;
        bool ask; /* show the plan and ask on a terminal */
        /* Called under the lock before the observation (holds are set and cleared here), and after
         * the actions; either may be NULL. Negative errno ends the run. */
        int (*prepare)(Context *c, const Options *o, const Pass *p);
        int (*conclude)(Context *c, const Options *o, Pass *p, ExitCode *code);
} RunChange;

/* For apply, start, restart and stop. Returns the exit code or a negative errno. */
_must_check_ int run_change(Context *c, const RunChange *change, const Options *o);

/* Takes the writer's lock; prints who holds it, or why it may not be. 0, EXIT_LOCKED, EXIT_BLOCKED,
 * negative errno. */
_must_check_ int run_lock(Context *c, const char *verb, const Options *o, int *ret_fd);

/* Refuses: a sentence with the code on standard error and, where JSON was asked for, a document
 * that has both. Returns @code. */
_must_check_ int run_refuse(
                const Context *c, const char *verb, ExitCode code, const char *format, ...)
                _printf_(4, 5);

/* The document alone, where the sentence was said already; none if it is not asked for, or if the
 * verb has printed one. */
_must_check_ int run_print_refusal(
                const Context *c, const char *verb, ExitCode code, const char *text);

/* The same for a fleet whose directories others may write to: EXIT_BLOCKED. */
_must_check_ int run_refuse_shared(const Context *c, const char *verb);

/* With the lock in hand: is this the directory that the state of this fleet is in? EXIT_BLOCKED,
 * after its sentence, if it is in another one (XDG_STATE_HOME): a hold that is written elsewhere
 * than others look holds nothing, and its lock keeps nobody out. */
_must_check_ int run_claim_state(const Context *c, const char *verb);

/* The names the user gave must be agents of the roster, or, with @may_have_left, agents that left
 * it and are not removed yet; else a sentence and EXIT_USAGE. */
_must_check_ int run_check_names(
                const Context *c, const Desired *d, bool may_have_left, char *const *names);
