/* SPDX-License-Identifier: MIT */
#include "tests/simulation/controller.h"

#include "model/base/parse.h"
#include "reconciler/step.h"

static int keep(const Pacing *ledger, void *userdata) {
        return world_keep(userdata, ledger);
}

static bool is_dead(void *userdata) {
        return ((const World *)userdata)->dead;
}

/* What a pass leaves in memory is gone with it. */
static void leave(World *w, Pass *p) {
        w->dead = false;
        w->n_pending = 0;
        w->told = NULL;
        p->desired = NULL; /* borrowed */
        pass_done(p);
}

ControllerPass controller_pass(
                World *w, const Desired *desired, uint64_t removals_wait_usec, Referee *r) {
        Context c = { .driver = world_driver(w) };
        StepCallbacks callbacks = {
                .keep = keep,
                .apply = { .interrupted = is_dead, .userdata = w },
                .userdata = w,
        };
        ControllerPass result = { .next_usec = USEC_INFINITY };
        Pass p = PASS_NULL;

        p.desired = (Desired *)(uintptr_t)desired;
        referee_begin(r, w, desired);
        r->removals_wait = removals_wait_usec > 0;
        result.code = w->roster == w->accepted ? 0 : world_accept_roster(w);
        if (result.code == 0)
                result.code = step_run(&c, removals_wait_usec, &callbacks, &p);
        referee_end(r, w);
        result.crashed = w->dead;
        result.planned = p.plan != NULL;
        result.n_actions = p.plan ? p.plan->n_actions : 0;
        if (result.code >= 0 && result.planned)
                result.next_usec = step_next(&p, removals_wait_usec, w->mono_usec);
        leave(w, &p);
        return result;
}

int controller_verb(World *w, const Desired *desired, const PlanPolicy *policy, Referee *r) {
        Context c = { .driver = world_driver(w) };
        ApplyCallbacks callbacks = { .interrupted = is_dead, .userdata = w };
        Pass p = PASS_NULL;
        int code;

        p.desired = (Desired *)(uintptr_t)desired;
        p.impatient = true;
        referee_begin(r, w, desired);
        r->converge = policy->mode == PLAN_CONVERGE;
        r->paced = policy->paced;
        code = pass_plan(&c, policy, /* details= */ false, &p);
        if (code == 0)
                code = pass_apply(&c, policy, &callbacks, &p);
        referee_end(r, w);
        leave(w, &p);
        return code;
}

size_t controller_would(World *w, const Desired *desired) {
        Context c = { .driver = world_driver(w) };
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        WorldHook hook = w->hook;
        Pass p = PASS_NULL;
        size_t n = 0;

        policy.paced = true;
        p.desired = (Desired *)(uintptr_t)desired;
        w->hook = NULL;
        if (pass_plan(&c, &policy, /* details= */ false, &p) == 0)
                n = p.plan->n_actions + plan_count_remarks(p.plan, REMARK_UNKNOWN);
        w->hook = hook;
        leave(w, &p);
        return n;
}
