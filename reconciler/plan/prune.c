/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/base/strbuf.h"
#include "reconciler/plan/context.h"

/*
 * What is ours and not wanted here: named by a spec, a unit instance of our template, a session
 * with our marker, or a drop-in, and either not in the roster or, by `host:`, on another machine.
 */
static bool is_wanted(const PlanContext *c, const char *agent) {
        const AgentSpec *spec = desired_find(c->desired, agent);

        return spec && !spec->elsewhere;
}

static int compare_names(const void *a, const void *b) {
        const char *const *x = a, *const *y = b;

        return strcmp(*x, *y);
}

/* Each name once, the wanted ones not at all. The names are the observation's. */
static int collect(const PlanContext *c, const char ***ret, size_t *ret_n) {
        const Observed *o = c->observed;
        const char **all = calloc(o->n_file + o->n_units + o->n_sessions + 1, sizeof(char *));
        size_t n_all = 0, n = 0;

        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < o->n_file; i++)
                if (!is_wanted(c, o->file[i].agent))
                        all[n_all++] = o->file[i].agent;
        for (size_t i = 0; i < o->n_units; i++)
                if (o->units[i].state != UNIT_NOT_LOADED && !is_wanted(c, o->units[i].agent))
                        all[n_all++] = o->units[i].agent;
        for (size_t i = 0; i < o->n_sessions; i++)
                if (o->sessions[i].agent && !is_wanted(c, o->sessions[i].agent))
                        all[n_all++] = o->sessions[i].agent;
        qsort(all, n_all, sizeof(char *), compare_names);
        for (size_t i = 0; i < n_all; i++)
                if (n == 0 || strcmp(all[n - 1], all[i]) != 0)
                        all[n++] = all[i];
        *ret = all;
        *ret_n = n;
        return 0;
}

static bool runs(const Observed *o, const char *agent) {
        const ObservedUnit *u = observed_unit(o, agent);

        return u && unit_state_is_active(u->state);
}

static size_t count_running(const Observed *o) {
        size_t n = 0;

        for (size_t i = 0; i < o->n_units; i++)
                n += unit_state_is_active(o->units[i].state);
        return n;
}

/* @session: the one that @a removes; may be NULL. */
static int set_session(Action *a, const ObservedSession *session) {
        if (!session)
                return 0;
        a->session_id = strdup(session->id);
        return a->session_id ? 0 : -ENOMEM;
}

static int add_removal(PlanContext *c, const char *agent) {
        const Observed *o = c->observed;
        const ObservedUnit *unit = observed_unit(o, agent);
        const ObservedSession *session = observed_session(o, agent);
        unsigned steps = STEP_FILES;
        bool elsewhere = desired_find(c->desired, agent); /* who is wanted here is not removed */
        char busy[80], help[120];
        Action *a;

        if (runs(o, agent) &&
                        plan_waits_for(c, session, /* must_ask= */ true, busy, sizeof(busy))) {
                (void)snprintf(help, sizeof(help), "mosaic fleet apply --force-busy %s", agent);
                return plan_add_remark(c->plan, REMARK_DEFERRED, agent, /* is_agent= */ true,
                                REASON_STILL_BUSY, 0, help, "the removal waits, %s", busy);
        }
        if (c->policy->removals_wait)
                return plan_add_remark(c->plan, REMARK_DEFERRED, agent, /* is_agent= */ true,
                                REASON_ROSTER_SETTLES, 0, NULL,
                                "it left the roster; removed once the file has been left "
                                "alone for a while");
        if (runs(o, agent))
                steps |= STEP_STOP;
        if (unit && unit->state == UNIT_FAILED)
                steps |= STEP_RESET_FAILED;
        if (session)
                steps |= STEP_KILL_SESSION;
        a = plan_add_action(c->plan, ACTION_REMOVE, agent,
                        elsewhere ? REASON_ELSEWHERE : REASON_NOT_IN_ROSTER, 0, steps, "%s",
                        elsewhere ? "by its host: it belongs to another machine"
                                  : "no longer in the roster");
        if (!a)
                return -ENOMEM;
        return set_session(a, session);
}

/* Of the whole fleet what still runs here is removed; of agents by name it is told. */
static int remark_elsewhere(PlanContext *c) {
        for (size_t i = 0; i < c->desired->n_agents; i++) {
                const AgentSpec *a = c->desired->agents[i];
                bool stays = plan_is_by_name(c) && runs(c->observed, a->name);

                if (a->elsewhere && plan_in_scope(c, a->name) &&
                                plan_add_remark(c->plan, stays ? REMARK_DEFERRED : REMARK_ELSEWHERE,
                                                a->name,
                                                /* is_agent= */ true, REASON_ELSEWHERE, a->line,
                                                stays ? "mosaic fleet apply" : NULL,
                                                stays ? "its host: names another machine; it "
                                                        "runs here until the whole fleet is applied"
                                                      : "its host: names another machine") < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Strays of ours at `stop`: their units go too, without names their sessions as well; their files
 * stay. */
static int stop_strays(PlanContext *c, const char *const *names, size_t n) {
        bool by_name = plan_is_by_name(c);

        for (size_t i = 0; i < n; i++) {
                const ObservedSession *session =
                                by_name ? NULL : observed_session(c->observed, names[i]);
                unsigned steps = runs(c->observed, names[i]) ? STEP_STOP : 0;
                Action *a;
                int r;

                /* One that is another machine's and was named has its action. */
                if (by_name && (!plan_in_scope(c, names[i]) || desired_find(c->desired, names[i])))
                        continue;
                if (session)
                        steps |= STEP_KILL_SESSION;
                if (steps == 0)
                        continue;
                a = plan_add_action(c->plan, ACTION_STOP, names[i], REASON_REQUESTED, 0, steps,
                                "asked for; it is not in the roster");
                if (!a)
                        return -ENOMEM;
                r = set_session(a, session);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* More run than may be removed without being told: who, as a person is to say how many. */
static int hold_removals(PlanContext *c,
                const char *const *names,
                size_t n,
                size_t going,
                size_t n_running,
                size_t cap) {
        _cleanup_strbuf_ StrBuf who = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;
        char help[80];
        int r;

        for (size_t i = 0; i < n; i++)
                if (runs(c->observed, names[i]))
                        strbuf_addf(&who, "%s%s", who.length > 0 ? ", " : "", names[i]);
        r = strbuf_finish(&who, &text);
        if (r < 0)
                return r;
        (void)snprintf(help, sizeof(help), "mosaic fleet apply --allow-remove %zu", going);
        return plan_add_remark(c->plan, REMARK_BLOCKED, "removals", /* is_agent= */ false,
                        REASON_REMOVAL_CAP, 0, help,
                        "%zu of %zu running agents left the roster; without being told, "
                        "at most %zu are removed: say --allow-remove %zu for %s",
                        going, n_running, cap, going, text);
}

int plan_prune(PlanContext *c) {
        _cleanup_free_ const char **names = NULL;
        size_t n, n_running, going = 0, cap;
        long allowed = c->policy->allow_remove;
        int r;

        if (c->policy->mode == PLAN_CONVERGE) {
                r = remark_elsewhere(c);
                if (r < 0)
                        return r;
        }
        if (!c->can_see_agents || !c->can_see_sessions)
                return 0;
        if (c->policy->mode != PLAN_STOP &&
                        (c->policy->mode != PLAN_CONVERGE || plan_is_by_name(c)))
                return 0;
        r = collect(c, &names, &n);
        if (r < 0)
                return r;
        if (c->policy->mode == PLAN_STOP)
                return stop_strays(c, names, n);

        n_running = count_running(c->observed);
        for (size_t i = 0; i < n; i++)
                going += runs(c->observed, names[i]);
        cap = n_running / 4 > 1 ? n_running / 4 : 1;
        if (going > cap && (allowed < 0 || (size_t)allowed != going))
                return hold_removals(c, names, n, going, n_running, cap);
        for (size_t i = 0; i < n; i++) {
                r = add_removal(c, names[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}
