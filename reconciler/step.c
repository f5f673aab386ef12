/* SPDX-License-Identifier: MIT */
#include "reconciler/step.h"

#include "model/base/parse.h"

/* When to look again by ourselves: for what no event tells. */
#define LOOK_PASSING_USEC (2 * USEC_PER_SEC)  /* a state that passes by itself */
#define LOOK_BUSY_USEC (10 * USEC_PER_SEC)    /* somebody is attached, or the agent is at work */
#define LOOK_UNKNOWN_USEC (15 * USEC_PER_SEC) /* something does not answer */
/* A directory or a program is missing, or could not be looked at: whoever makes it tells nobody. */
#define LOOK_SITE_USEC (15 * USEC_PER_SEC)

static uint64_t least(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

static uint64_t wish_for(const Remark *m, uint64_t removals_wait_usec) {
        switch (m->kind) {
        case REMARK_UNKNOWN:
                return LOOK_UNKNOWN_USEC;
        case REMARK_WAITING:
                return LOOK_PASSING_USEC;
        case REMARK_DEFERRED:
                return m->reason == REASON_ROSTER_SETTLES ? removals_wait_usec : LOOK_BUSY_USEC;
        case REMARK_BLOCKED:
                return m->reason == REASON_SITE || m->reason == REASON_PROGRAM_MISSING
                                       ? LOOK_SITE_USEC
                                       : USEC_INFINITY;
        case REMARK_HELD:
        case REMARK_PENDING:
        case REMARK_ELSEWHERE:
        case REMARK_FOREIGN:
        case _REMARK_KIND_MAX:
                break;
        }
        return USEC_INFINITY;
}

/* Only removals are left, and a person is needed before anything is removed: trying again now would
 * come to the same. */
static bool waits_for_a_person(const Plan *rest) {
        return plan_count_actions(rest, ACTION_REMOVE) == rest->n_actions &&
               plan_count_remarks(rest, REMARK_BLOCKED) > 0;
}

uint64_t step_next(const Pass *p, uint64_t removals_wait_usec, uint64_t now_usec) {
        const Plan *last = p->rest ? p->rest : p->plan;
        uint64_t due = pacing_next(&p->observed->pacing, p->look_usec), next = USEC_INFINITY;

        for (size_t i = 0; i < last->n_remarks; i++)
                if (last->remarks[i].reason != REASON_BACKOFF &&
                                last->remarks[i].reason != REASON_CRASH_LOOP &&
                                last->remarks[i].reason != REASON_COMMON_CAUSE)
                        next = least(next, wish_for(last->remarks + i, removals_wait_usec));
        if (due != USEC_INFINITY)
                next = least(next, due > now_usec ? due - now_usec : 0);
        /* An action that is still asked for is tried again, not at once. */
        if (p->rest && p->rest->n_actions > 0 && !waits_for_a_person(p->rest))
                next = least(next, LOOK_PASSING_USEC);
        return next;
}

/* Each start because of the ledger is in it before it happens: a crash in between cannot make it
 * one more. */
static int note_starts(const StepCallbacks *callbacks, Pass *p) {
        Pacing *pacing = &p->observed->pacing;

        pacing_planned(pacing, p->plan, p->look_usec);
        return callbacks->keep(pacing, callbacks->userdata);
}

int step_run(Context *c, uint64_t removals_wait_usec, const StepCallbacks *callbacks, Pass *p) {
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        int r;

        policy.paced = true;
        policy.removals_wait = removals_wait_usec > 0;
        r = pass_plan(c, &policy, /* details= */ false, p);
        if (r == 0 && callbacks->looked)
                r = callbacks->looked(p, callbacks->userdata);
        if (r == 0)
                r = note_starts(callbacks, p);
        if (r < 0)
                return r;
        if (p->plan->n_actions == 0)
                return (int)plan_exit_code(p->plan);
        p->impatient = true;
        r = pass_apply(c, &policy, &callbacks->apply, p);
        return r < 0 ? r : (int)pass_exit_code(p);
}
