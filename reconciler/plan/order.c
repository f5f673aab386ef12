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

/* One that comes after an agent which is down and stays down cannot be started: says so, instead.
 */
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

/* Held or waiting as what it comes after; where that is blocked, so is this. */
static RemarkKind like_its_dependency(const PlanContext *c, const char *dependency) {
        const AgentSpec *spec = desired_find(c->desired, dependency);

        if (spec && spec->state == DESIRED_STOPPED)
                return REMARK_HELD;
        for (size_t i = 0; i < c->plan->n_remarks; i++) {
                const Remark *m = c->plan->remarks + i;

                if (m->is_agent && strcmp(m->subject, dependency) == 0 &&
                                (m->kind == REMARK_HELD || m->kind == REMARK_WAITING ||
                                                m->kind == REMARK_DEFERRED))
                        return m->kind;
        }
        return REMARK_BLOCKED;
}

static void drop_action(Plan *p, size_t i) {
        Action *a = p->actions + i;

        free(a->agent);
        free(a->text);
        free(a->session_id);
        strv_free(a->after);
        memmove(a, a + 1, (p->n_actions - i - 1) * sizeof(Action));
        p->n_actions--;
}

/* Dropping one can leave another without its dependency: until nothing changes. */
static int drop_dependants(PlanContext *c) {
        bool changed = c->policy->mode == PLAN_CONVERGE;

        while (changed) {
                changed = false;
                for (size_t i = 0; i < c->plan->n_actions; i++) {
                        const Action *a = c->plan->actions + i;
                        const char *missing = missing_dependency(c, a);

                        if (!missing)
                                continue;
                        if (!plan_add_remark(c->plan, like_its_dependency(c, missing), a->agent,
                                            /* is_agent= */ true, REASON_DEPENDENCY, a->line, NULL,
                                            "comes after %s, which is down", missing))
                                return -ENOMEM;
                        drop_action(c->plan, i);
                        changed = true;
                        break;
                }
        }
        return 0;
}

/* The holder first, then what is made or changed, removals last; by name among equals. */
static int wave(ActionKind k) {
        switch (k) {
        case ACTION_HOLDER_START:
        case ACTION_HOLDER_REPAIR:
        case ACTION_RELOAD:
                return 0;
        case ACTION_CREATE:
        case ACTION_START:
                return 1;
        case ACTION_UPDATE:
                return 2;
        case ACTION_STOP:
                return 3;
        case ACTION_RESTART:
                return 4;
        case ACTION_REMOVE:
        case _ACTION_KIND_MAX:
                break;
        }
        return 5;
}

static int compare_actions(const void *a, const void *b) {
        const Action *x = a, *y = b;
        int d = wave(x->kind) - wave(y->kind);

        return d != 0 ? d : strcmp(x->agent ? x->agent : "", y->agent ? y->agent : "");
}

static int compare_remarks(const void *a, const void *b) {
        const Remark *x = a, *y = b;
        int d = (int)y->kind - (int)x->kind;

        if (d == 0)
                d = strcmp(x->subject ? x->subject : "", y->subject ? y->subject : "");
        return d != 0 ? d : strcmp(x->text, y->text);
}

int plan_order(PlanContext *c) {
        Plan *p = c->plan;
        int r;

        r = drop_dependants(c);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_actions; i++) {
                r = add_dependencies(c, p->actions + i);
                if (r < 0)
                        return r;
        }
        if (p->n_actions > 1)
                qsort(p->actions, p->n_actions, sizeof(Action), compare_actions);
        if (p->n_remarks > 1)
                qsort(p->remarks, p->n_remarks, sizeof(Remark), compare_remarks);
        return 0;
}
