/* SPDX-License-Identifier: MIT */
#include "reconciler/inside.h"

#include <string.h>

#include "drivers/os/proc.h"
#include "drivers/store/store.h"
#include "drivers/systemd/unit-name.h"
#include "model/base/strv.h"
#include "reconciler/run.h"

/* Deeper than any process tree that a person makes. */
#define ANCESTORS_MAX 256

/* The agent whose unit we are in, however far from its process; NULL: none. A stop ends the whole
 * cgroup. */
static int agent_of_cgroup(const Context *c, const Observed *o, const char **ret) {
        _cleanup_free_ char *cgroup = NULL, *agent = NULL;
        const ObservedRun *run;
        char *rest, *part;
        int r;

        *ret = NULL;
        r = c->record->supervisor == SUPERVISOR_SYSTEMD ? proc_cgroup(getpid(), &cgroup) : -ENODATA;
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        rest = cgroup;
        while (!agent && (part = strsep(&rest, "/"))) {
                r = unit_name_agent(c->paths, part, ".service", &agent);
                if (r < 0)
                        return r;
        }
        run = agent ? observed_run(o, agent) : NULL;
        *ret = run ? run->agent : NULL;
        return 0;
}

/* The agent that is one of our ancestors; NULL: none. Under `direct` who left that tree lives on.
 */
static const char *agent_above(const Observed *o) {
        pid_t pid = getppid();

        for (size_t n = 0; n < ANCESTORS_MAX && pid > 1; n++) {
                for (size_t i = 0; i < o->n_run; i++)
                        if (o->run[i].alive && o->run[i].pid == pid)
                                return o->run[i].agent;
                if (proc_parent(pid, &pid) < 0)
                        break;
        }
        return NULL;
}

static int agent_around(const Context *c, const Observed *o, const char **ret) {
        *ret = agent_above(o);
        return *ret ? 0 : agent_of_cgroup(c, o, ret);
}

static int refuse(const Context *c, const char *verb, const char *agent) {
        return run_refuse(c, verb, EXIT_BLOCKED,
                        "this command runs inside %s, which it would end, and itself with it, "
                        "before all is done; give it in another terminal. Nothing was changed",
                        agent);
}

int inside_check_verb(const Context *c, const char *verb, const PlanPolicy *policy) {
        _cleanup_(observed_freep) Observed *o = NULL;
        const char *agent;
        size_t n = strv_length(policy->names);
        int r;

        if (policy->mode != PLAN_STOP && policy->mode != PLAN_RESTART)
                return 0;
        r = observed_new(c->record->supervisor, &o);
        if (r == 0)
                r = store_observe(c->paths, o);
        if (r < 0)
                return r;
        r = agent_around(c, o, &agent);
        if (r < 0)
                return r;
        if (!agent || (n > 0 && !strv_find(policy->names, agent)))
                return 0;
        /* Nothing comes after it, and its hold is written before. */
        if (policy->mode == PLAN_STOP && n == 1)
                return 0;
        return refuse(c, verb, agent);
}

int inside_check_plan(const Context *c, const char *verb, const Observed *o, const Plan *plan) {
        const char *agent;
        const Action *a;
        int r;

        r = agent_around(c, o, &agent);
        if (r < 0)
                return r;
        a = agent ? plan_action(plan, agent) : NULL;
        if (!a || (a->steps & (STEP_STOP | STEP_KILL_SESSION)) == 0)
                return 0;
        return refuse(c, verb, agent);
}
