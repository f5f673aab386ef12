/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the controller does in one pass once it holds the lock and the roster: look, take the look
 * into the ledger, plan, write the ledger down, apply, and say when to look again. Knows no files
 * and no pipe; these are the caller's callbacks, so that the tests run the same code on a world in
 * memory.
 */

#include "reconciler/pass.h"

typedef struct StepCallbacks {
        /* The plan is made, nothing is done yet. May be NULL. Negative: the pass ends with it. */
        int (*looked)(const Pass *p, void *userdata);
        /* The ledger is to be kept, durably: what follows is in it. Negative: nothing is done. */
        int (*keep)(const Pacing *ledger, void *userdata);
        ApplyCallbacks apply;
        void *userdata;
} StepCallbacks;

/*
 * @p->desired must be there. @removals_wait_usec: the roster was touched a moment ago, nothing is
 * removed for so long; 0: it may be. Returns the exit code, or a negative errno.
 */
_must_check_ int step_run(
                Context *c, uint64_t removals_wait_usec, const StepCallbacks *callbacks, Pass *p);

/* In how long to look again for what no event tells; USEC_INFINITY: no wish. @now_usec:
 * CLOCK_MONOTONIC. After a step_run() that did not fail. */
uint64_t step_next(const Pass *p, uint64_t removals_wait_usec, uint64_t now_usec);
