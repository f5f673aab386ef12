/* SPDX-License-Identifier: MIT */
#include "reconciler/plan/planner.h"

#include <string.h>

#include "model/base/strv.h"
#include "reconciler/plan/context.h"

bool plan_is_by_name(const PlanContext *c) {
        return strv_length(c->policy->names) > 0;
}

bool plan_in_scope(const PlanContext *c, const char *agent) {
        return !plan_is_by_name(c) || strv_find(c->policy->names, agent);
}

static int compare_session_names(const void *a, const void *b) {
        const ObservedSession *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

static int find_session_name(const void *name, const void *element) {
        const ObservedSession *const *s = element;

        return strcmp(name, (*s)->name);
}

static int collect_others(PlanContext *c) {
        const Observed *o = c->observed;

        c->others = calloc(o->n_sessions + 1, sizeof(*c->others));
        if (!c->others)
                return -ENOMEM;
        for (size_t i = 0; i < o->n_sessions; i++) {
                const ObservedSession *s = o->sessions + i;

                if (s->owner != SESSION_AGENT || strcmp(s->agent, s->name) != 0)
                        c->others[c->n_others++] = s;
        }
        qsort(c->others, c->n_others, sizeof(*c->others), compare_session_names);
        return 0;
}

const ObservedSession *plan_foreign_namesake(const PlanContext *c, const char *agent) {
        const ObservedSession **found = bsearch(
                        agent, c->others, c->n_others, sizeof(*c->others), find_session_name);

        return found ? *found : NULL;
}

const char *plan_waits_for(const PlanContext *c,
                const ObservedSession *session,
                bool must_ask,
                char *buffer,
                size_t n) {
        if (!session || (session->agent && strv_find(c->policy->force_busy, session->agent)))
                return NULL;
        if (session->attached > 0)
                (void)snprintf(buffer, n, "%u client%s attached", session->attached,
                                session->attached == 1 ? "" : "s");
        else if (session->busy == BUSY_YES)
                (void)snprintf(buffer, n, "it is at work");
        else if (session->busy == BUSY_UNKNOWN || (session->busy == BUSY_NOT_ASKED && must_ask))
                (void)snprintf(buffer, n, "whether it is at work cannot be told");
        else
                return NULL;
        return buffer;
}

static int remark_source(PlanContext *c, const char *name, const Source *s, const char *help) {
        if (s->state != SOURCE_UNKNOWN)
                return 0;
        return plan_add_remark(c->plan, REMARK_UNKNOWN, name, /* is_agent= */ false,
                        REASON_OBSERVATION_UNKNOWN, 0, help, "%s",
                        s->why ? s->why : "could not be observed");
}

/* Asked to, the server makes its socket again; a second server would be a second fleet. */
static int plan_repair(PlanContext *c) {
        if (c->observed->hidden_server_pid <= 0 || c->policy->mode == PLAN_STOP)
                return 0;
        return plan_add_action(c->plan, ACTION_HOLDER_REPAIR, NULL, REASON_SOCKET_GONE, 0,
                               STEP_REPAIR,
                               "its socket is gone and it lives (pid %d): it is asked to make it "
                               "again",
                               (int)c->observed->hidden_server_pid)
                               ? 0
                               : -ENOMEM;
}

/* A pass before this one wrote drop-ins and did not come to the reload. */
static int plan_reload(PlanContext *c) {
        if (!c->observed->reload_pending || c->policy->mode == PLAN_STOP ||
                        c->observed->manager.state != SOURCE_PRESENT)
                return 0;
        return plan_add_action(c->plan, ACTION_RELOAD, NULL, REASON_DROPIN_CHANGED, 0, STEP_RELOAD,
                               "it has not read all drop-ins yet")
                               ? 0
                               : -ENOMEM;
}

static int plan_sources(PlanContext *c) {
        const Observed *o = c->observed;
        int r;

        r = remark_source(c, "tmux", &o->tmux, "mosaic doctor");
        if (r < 0)
                return r;
        r = remark_source(c, "systemd", &o->manager, "systemctl --user status");
        if (r < 0)
                return r;
        r = remark_source(c, "runs", &o->runs, NULL);
        if (r < 0)
                return r;
        r = remark_source(c, "files", &o->files, NULL);
        if (r < 0)
                return r;
        c->can_see_agents = o->manager.state == SOURCE_PRESENT && o->runs.state != SOURCE_UNKNOWN &&
                            o->files.state != SOURCE_UNKNOWN;
        c->can_see_sessions = o->tmux.state != SOURCE_UNKNOWN;
        c->can_start = c->can_see_agents && c->can_see_sessions;
        return 0;
}

/* What stands in the way of every start. */
static int plan_obstacles(PlanContext *c) {
        const Observed *o = c->observed;

        if (c->policy->mode == PLAN_STOP)
                return 0;
        if (o->supervisor == SUPERVISOR_SYSTEMD && !o->units_installed &&
                        o->files.state == SOURCE_PRESENT) {
                c->can_start = false;
                if (plan_add_remark(c->plan, REMARK_BLOCKED, "units", /* is_agent= */ false,
                                    REASON_UNITS_MISSING, 0, "mosaic fleet install-systemd",
                                    "the user units are not installed") < 0)
                        return -ENOMEM;
        }
        if (o->server_foreign) {
                c->can_start = false;
                if (plan_add_remark(c->plan, REMARK_BLOCKED, "tmux", /* is_agent= */ false,
                                    REASON_FOREIGN_SERVER, 0,
                                    "choose another name for tmux.socket in the roster",
                                    "the tmux server on this socket is not of this fleet") < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Who supervises was chosen for this machine by init, and is never switched by itself. */
static int plan_supervisor(PlanContext *c) {
        if (c->desired->supervisor == _SUPERVISOR_INVALID ||
                        c->desired->supervisor == c->observed->supervisor ||
                        c->policy->mode == PLAN_STOP)
                return 0;
        return plan_add_remark(c->plan, REMARK_PENDING, "supervisor", /* is_agent= */ false,
                        REASON_SUPERVISOR, 0, NULL,
                        "the roster says %s, this fleet is run by %s; to change it: fleet "
                        "stop, then "
                        "fleet init --supervisor %s --force --write",
                        supervisor_to_string(c->desired->supervisor),
                        supervisor_to_string(c->observed->supervisor),
                        supervisor_to_string(c->desired->supervisor));
}

/* Socket, sizes and history belong to the server: they are taken when it starts. */
static int plan_settings(PlanContext *c) {
        if (!c->observed->tmux_settings_wait || c->policy->mode == PLAN_STOP)
                return 0;
        return plan_add_remark(c->plan, REMARK_PENDING, "tmux", /* is_agent= */ false,
                        REASON_FIELD_RESTART, 0, "mosaic fleet stop; mosaic fleet start",
                        "the keys below tmux: changed: used when the server is started next");
}

/* The server must be there before anything can be started on it. */
static int plan_holder(PlanContext *c) {
        bool needed = false;

        for (size_t i = 0; i < c->plan->n_actions; i++)
                needed = needed || c->plan->actions[i].steps & (STEP_SESSION | STEP_START);
        if (!needed || c->observed->tmux.state == SOURCE_PRESENT)
                return 0;
        return plan_add_action(c->plan, ACTION_HOLDER_START, NULL, REASON_HOLDER_DOWN, 0,
                               STEP_START, "the tmux server is not running")
                               ? 0
                               : -ENOMEM;
}

static int plan_foreign(PlanContext *c) {
        for (size_t i = 0; i < c->observed->n_sessions; i++) {
                const ObservedSession *s = c->observed->sessions + i;

                if (s->owner == SESSION_FOREIGN &&
                                plan_add_remark(c->plan, REMARK_FOREIGN, s->name,
                                                /* is_agent= */ false, REASON_FOREIGN_SESSION, 0,
                                                NULL,
                                                "session %s on our socket is not ours: left alone",
                                                s->id) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int count_unchanged(PlanContext *c) {
        _cleanup_free_ bool *touched = calloc(c->desired->n_agents + 1, sizeof(bool));
        Plan *p = c->plan;

        if (!touched)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_remarks; i++) {
                const Remark *m = p->remarks + i;
                size_t k = SIZE_MAX;

                if (m->is_agent && m->kind != REMARK_PENDING)
                        k = desired_index(c->desired, m->subject);
                if (k != SIZE_MAX)
                        touched[k] = true;
        }
        for (size_t i = 0; i < c->desired->n_agents; i++) {
                const AgentSpec *a = c->desired->agents[i];

                if (a->elsewhere || !plan_in_scope(c, a->name))
                        continue;
                p->n_agents++;
                p->n_unchanged += !touched[i] && !plan_action(p, a->name);
        }
        p->n_unchanged -= p->n_impeded;
        return 0;
}

/* The parts in their order; each sees what those before it put into the plan. */
static int make_plan(PlanContext *c) {
        int r;

        r = collect_others(c);
        if (r == 0)
                r = plan_sources(c);
        if (r == 0)
                r = plan_repair(c);
        if (r == 0)
                r = plan_reload(c);
        if (r == 0)
                r = plan_obstacles(c);
        for (size_t i = 0; i < c->desired->n_agents && r == 0; i++)
                if (plan_in_scope(c, c->desired->agents[i]->name))
                        r = plan_agent(c, c->desired->agents[i]);
        if (r == 0)
                r = plan_prune(c);
        if (r == 0)
                r = plan_holder(c);
        if (r == 0)
                r = plan_supervisor(c);
        if (r == 0)
                r = plan_settings(c);
        if (r == 0)
                r = plan_foreign(c);
        if (r == 0)
                r = plan_order(c);
        return r < 0 ? r : count_unchanged(c);
}

int planner_plan(const Desired *desired,
                const Observed *observed,
                const PlanPolicy *policy,
                uint64_t now_usec,
                Plan **ret) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        PlanContext c;
        int r;

        r = plan_new(&plan);
        if (r < 0)
                return r;
        c = (PlanContext){
                .desired = desired,
                .observed = observed,
                .policy = policy,
                .now_usec = now_usec,
                .plan = plan,
        };
        r = make_plan(&c);
        free(c.others);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(plan);
        return 0;
}
