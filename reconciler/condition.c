/* SPDX-License-Identifier: MIT */
#include "reconciler/condition.h"

#include <assert.h>
#include <string.h>

static const struct {
        const char *word;
        Style style;
} table[_CONDITION_KIND_MAX] = {
        [CONDITION_RUNNING] = { "running", STYLE_GREEN },
        [CONDITION_STARTING] = { "starting", STYLE_YELLOW },
        [CONDITION_STOPPING] = { "stopping", STYLE_RED },
        [CONDITION_STOPPED] = { "stopped", STYLE_GREEN },
        [CONDITION_ELSEWHERE] = { "elsewhere", STYLE_GREEN },
        [CONDITION_HELD] = { "held", STYLE_YELLOW },
        [CONDITION_BLOCKED] = { "blocked", STYLE_RED },
        [CONDITION_DEAD] = { "dead", STYLE_RED },
        [CONDITION_CRASH_LOOP] = { "crash-loop", STYLE_RED },
        [CONDITION_MISSING] = { "missing", STYLE_RED },
        [CONDITION_LEAVING] = { "leaving", STYLE_RED },
        [CONDITION_UNKNOWN] = { "unknown", STYLE_RED },
        [CONDITION_UNREACHABLE] = { "unreachable", STYLE_RED },
};

const char *condition_to_string(ConditionKind k) {
        assert(k < _CONDITION_KIND_MAX);
        return table[k].word;
}

Style condition_style(ConditionKind k) {
        assert(k < _CONDITION_KIND_MAX);
        return table[k].style;
}

/* The strongest remark about an agent: the plan has them in that order. */
static const Remark *find_remark(const Plan *plan, const char *agent) {
        for (size_t i = 0; i < plan->n_remarks; i++)
                if (plan->remarks[i].is_agent && strcmp(plan->remarks[i].subject, agent) == 0)
                        return plan->remarks + i;
        return NULL;
}

/* Did it ever run here, as far as anything is left of that? */
static bool was_here(const Observed *o, const char *agent) {
        return observed_run(o, agent) || observed_stop(o, agent) || observed_session(o, agent);
}

static ConditionKind kind_by_unit(const AgentSpec *spec, const Observed *o, const ObservedUnit *u) {
        switch (u ? u->state : UNIT_NOT_LOADED) {
        case UNIT_ACTIVE:
                return CONDITION_RUNNING;
        case UNIT_ACTIVATING:
        case UNIT_RESTARTING:
                return CONDITION_STARTING;
        case UNIT_DEACTIVATING:
                return CONDITION_STOPPING;
        case UNIT_FAILED:
                return unit_hit_start_limit(u, spec->restart_attempts) ? CONDITION_CRASH_LOOP
                                                                       : CONDITION_DEAD;
        case UNIT_OTHER:
                return CONDITION_UNKNOWN;
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
                break;
        }
        if (spec->state == DESIRED_STOPPED)
                return CONDITION_STOPPED;
        return was_here(o, spec->name) ? CONDITION_DEAD : CONDITION_MISSING;
}

/* The source that did not answer says why. */
static Condition unreachable(const Observed *o) {
        const Source *s = o->manager.state != SOURCE_PRESENT ? &o->manager : &o->runs;

        return (Condition){ .kind = CONDITION_UNREACHABLE,
                .why = s->why ? s->why : "it could not be observed" };
}

/* Under `direct` the controller's ledger is what knows. */
static bool is_given_up(const Observed *o, const char *agent) {
        const PaceEntry *e = pacing_find(&o->pacing, agent);

        return e && e->crash_loop && e->down_usec != 0;
}

Condition condition_of(const AgentSpec *spec, const Observed *o, const Plan *plan) {
        const ObservedUnit *u = observed_unit(o, spec->name);
        const Remark *m = find_remark(plan, spec->name);
        const Action *a = plan_action(plan, spec->name);
        Condition c = { .why = "" };

        if (o->manager.state != SOURCE_PRESENT || o->runs.state == SOURCE_UNKNOWN)
                return unreachable(o);
        c.kind = kind_by_unit(spec, o, u);
        if (spec->elsewhere)
                c.kind = CONDITION_ELSEWHERE;
        else if (m && m->kind == REMARK_HELD)
                c.kind = CONDITION_HELD;
        else if (m && m->kind == REMARK_BLOCKED && !(u && u->state == UNIT_ACTIVE))
                c.kind = CONDITION_BLOCKED;
        else if (is_given_up(o, spec->name))
                c.kind = CONDITION_CRASH_LOOP;
        if (m) {
                c.why = m->text;
                c.help = m->help;
        } else if (a)
                c.why = a->text;
        return c;
}

bool condition_is_leaving(const char *agent, const Desired *desired, const Observed *o) {
        const ObservedUnit *u = observed_unit(o, agent);

        return !desired_find(desired, agent) &&
               ((u && unit_state_is_active(u->state)) || observed_session(o, agent));
}

Condition condition_of_leaving(const char *agent, const Plan *plan) {
        const Remark *m = find_remark(plan, agent);
        const Action *a = plan_action(plan, agent);

        for (size_t i = 0; i < plan->n_remarks && !m && !a; i++)
                if (plan->remarks[i].reason == REASON_REMOVAL_CAP)
                        return (Condition){
                                .kind = CONDITION_LEAVING,
                                .why = "no longer in the roster; the cap holds its removal back",
                                .help = plan->remarks[i].help,
                        };
        return (Condition){
                .kind = CONDITION_LEAVING,
                .why = m   ? m->text
                       : a ? a->text
                           : "no longer in the roster",
                .help = m ? m->help : NULL,
        };
}
