/* SPDX-License-Identifier: MIT */
#include "reconciler/condition.h"

#include <string.h>

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

static const char *unit_word(const AgentSpec *spec, const Observed *o, const ObservedUnit *u) {
        switch (u ? u->state : UNIT_NOT_LOADED) {
        case UNIT_ACTIVE:
                return "running";
        case UNIT_ACTIVATING:
        case UNIT_RESTARTING:
                return "starting";
        case UNIT_DEACTIVATING:
                return "stopping";
        case UNIT_FAILED:
                return unit_hit_start_limit(u, spec->restart_attempts) ? "crash-loop" : "dead";
        case UNIT_OTHER:
                return "unknown";
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
                break;
        }
        if (spec->state == DESIRED_STOPPED)
                return "stopped";
        return was_here(o, spec->name) ? "dead" : "missing";
}

/* The source that did not answer says why. */
static Condition unreachable(const Observed *o) {
        const Source *s = o->manager.state != SOURCE_PRESENT ? &o->manager : &o->runs;

        return (Condition){ .word = "unreachable",
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
        c.word = unit_word(spec, o, u);
        if (spec->elsewhere)
                c.word = "elsewhere";
        else if (m && m->kind == REMARK_HELD)
                c.word = "held";
        else if (m && m->kind == REMARK_BLOCKED && !(u && u->state == UNIT_ACTIVE))
                c.word = "blocked";
        else if (is_given_up(o, spec->name))
                c.word = "crash-loop";
        if (m) {
                c.why = m->text;
                c.help = m->help;
        } else if (a)
                c.why = a->text;
        c.good = strcmp(c.word, "running") == 0 || strcmp(c.word, "stopped") == 0 ||
                 strcmp(c.word, "elsewhere") == 0;
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
                                .word = "leaving",
                                .why = "no longer in the roster; the cap holds its removal back",
                                .help = plan->remarks[i].help,
                        };
        return (Condition){
                .word = "leaving",
                .why = m   ? m->text
                       : a ? a->text
                           : "no longer in the roster",
                .help = m ? m->help : NULL,
        };
}
