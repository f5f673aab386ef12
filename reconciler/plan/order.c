/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/base/strv.h"
#include "reconciler/plan/context.h"

static const Action *starting(const Plan *p, const char *agent) {
        const Action *a = plan_action(p, agent);

        return a && a->steps & STEP_START ? a : NULL;
}

static bool is_up(const PlanContext *c, const char *agent) {
        const ObservedUnit *u = observed_unit(c->observed, agent);

        return u && u->state == UNIT_ACTIVE;
}

/* A start waits for the agents it is declared to come after, if these start in the same plan. */
static int add_dependencies(PlanContext *c, Action *a) {
        const AgentSpec *spec = a->agent ? desired_find(c->desired, a->agent) : NULL;

        if (!spec || !(a->steps & STEP_START))
                return 0;
        for (char **d = spec->after; d && *d; d++) {
                int r = starting(c->plan, *d) ? strv_push(&a->after, *d) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* One that comes after an agent which is down and stays down cannot be started: says so,
 * instead. */
static const char *missing_dependency(const PlanContext *c, const Action *a) {
        const AgentSpec *spec = a->agent ? desired_find(c->desired, a->agent) : NULL;

        if (!spec || (a->kind != ACTION_CREATE && a->kind != ACTION_START))
                return NULL;
        for (char **d = spec->after; d && *d; d++) {
                const AgentSpec *other = desired_find(c->desired, *d);

                if (other && !other->elsewhere && !is_up(c, *d) && !starting(c->plan, *d))
                        return *d;
        }
        return NULL;
}

/* What the remarks say of each agent, by its place in the roster: one that comes after it is held
 * or waits as it does. */
static int read_fates(const PlanContext *c, RemarkKind **ret) {
        RemarkKind *fates = malloc((c->desired->n_agents + 1) * sizeof(RemarkKind));

        if (!fates)
                return -ENOMEM;
        for (size_t i = 0; i < c->desired->n_agents; i++)
                fates[i] = c->desired->agents[i]->state == DESIRED_STOPPED ? REMARK_HELD
                                                                           : REMARK_BLOCKED;
        for (size_t i = 0; i < c->plan->n_remarks; i++) {
                const Remark *m = c->plan->remarks + i;
                size_t k = m->is_agent ? desired_index(c->desired, m->subject) : SIZE_MAX;

                if (k != SIZE_MAX && fates[k] == REMARK_BLOCKED &&
                                (m->kind == REMARK_HELD || m->kind == REMARK_WAITING ||
                                                m->kind == REMARK_DEFERRED))
                        fates[k] = m->kind;
        }
        *ret = fates;
        return 0;
}

/* Says so of one whose dependency stays down, and takes it out of the plan; 1: was one. Its place
 * stays until the others have been looked at, without a step. */
static int drop_if_dependant(PlanContext *c, Action *a, RemarkKind *fates) {
        const char *missing = a->steps != 0 ? missing_dependency(c, a) : NULL;
        size_t own, other;

        if (!missing)
                return 0;
        own = desired_index(c->desired, a->agent);
        other = desired_index(c->desired, missing);
        fates[own] = fates[other];
        if (plan_add_remark(c->plan, fates[own], a->agent, /* is_agent= */ true, REASON_DEPENDENCY,
                            a->line, NULL, "comes after %s, which is down", missing) < 0)
                return -ENOMEM;
        a->steps = 0;
        return 1;
}

static void remove_dropped(Plan *p) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_actions; i++) {
                Action *a = p->actions + i;

                if (a->steps != 0) {
                        p->actions[n++] = *a;
                        continue;
                }
                free(a->agent);
                free(a->text);
                free(a->session_id);
                strv_free(a->after);
        }
        p->n_actions = n;
}

/* Dropping one can leave another without its dependency: until nothing changes. */
static int drop_dependants(PlanContext *c) {
        _cleanup_free_ RemarkKind *fates = NULL;
        int r, n_dropped;

        if (c->policy->mode != PLAN_CONVERGE)
                return 0;
        r = read_fates(c, &fates);
        if (r < 0)
                return r;
        do {
                n_dropped = 0;
                for (size_t i = 0; i < c->plan->n_actions; i++) {
                        r = drop_if_dependant(c, c->plan->actions + i, fates);
                        if (r < 0)
                                return r;
                        n_dropped += r;
                }
        } while (n_dropped > 0);
        remove_dropped(c->plan);
        return 0;
}

int plan_order(PlanContext *c) {
        Plan *p = c->plan;
        int r;

        /* First of all, so that the action of an agent is found without looking at each. */
        plan_sort(p);
        r = drop_dependants(c);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_actions; i++) {
                r = add_dependencies(c, p->actions + i);
                if (r < 0)
                        return r;
        }
        plan_sort(p);
        return 0;
}
