/* SPDX-License-Identifier: MIT */

/*
 * The planner alone, again and again in one process, on a fleet that is made in memory: everything
 * as it should be, nothing there yet, every spec changed, everything held, every agent after the
 * one before it, and no agent in the roster any more. What is expected is counted, so that a figure
 * is never one of something else.
 *
 *     plan-fleet SCENE AGENTS RUNS
 */

#include <string.h>

#include "model/base/parse.h"
#include "model/base/strv.h"
#include "reconciler/plan/planner.h"
#include "tests/bench/stopwatch.h"

#define NOW_USEC UINT64_C(1700000000000000)

typedef enum Scene {
        SCENE_IN_SYNC,
        SCENE_COLD,
        SCENE_CHANGED,
        SCENE_HELD,
        SCENE_CHAINED,
        SCENE_REMOVED,
        _SCENE_MAX,
} Scene;

static const char *const scenes[_SCENE_MAX] = {
        [SCENE_IN_SYNC] = "in-sync",
        [SCENE_COLD] = "cold",
        [SCENE_CHANGED] = "changed",
        [SCENE_HELD] = "held",
        [SCENE_CHAINED] = "chained",
        [SCENE_REMOVED] = "removed",
};

static Stopwatch watch;

static void must(bool ok) {
        if (!ok) {
                fprintf(stderr, "plan-fleet: out of memory\n");
                exit(1);
        }
}

static char *copy(const char *s) {
        char *c = strdup(s);

        must(c);
        return c;
}

static void agent_name(char name[static 32], size_t i) {
        (void)snprintf(name, 32, "a%06zu", i);
}

static void fingerprint(char to[static FINGERPRINT_SIZE], char fill) {
        memset(to, fill, FINGERPRINT_SIZE - 1);
        to[FINGERPRINT_SIZE - 1] = '\0';
}

static AgentSpec *make_spec(size_t i, Scene scene) {
        AgentSpec *s = calloc(1, sizeof(AgentSpec));
        char name[32];

        must(s);
        agent_name(name, i);
        s->name = copy(name);
        s->line = (unsigned)i + 1;
        s->runtime = copy("shell");
        s->workdir = copy("/");
        s->on_change = ON_CHANGE_RESTART;
        must(strv_push(&s->argv, "sh") == 0);
        if (scene == SCENE_CHAINED && i > 0) {
                agent_name(name, i - 1);
                must(strv_push(&s->after, name) == 0);
        }
        fingerprint(s->restart_fingerprint, scene == SCENE_CHANGED ? 'b' : 'a');
        fingerprint(s->live_fingerprint, 'a');
        fingerprint(s->resolved, scene == SCENE_CHANGED ? 'b' : 'a');
        return s;
}

static Desired *make_desired(size_t n, Scene scene) {
        Desired *d = calloc(1, sizeof(Desired));

        must(d);
        d->supervisor = _SUPERVISOR_INVALID;
        d->agents = calloc(n + 1, sizeof(AgentSpec *));
        must(d->agents);
        for (; scene != SCENE_REMOVED && d->n_agents < n; d->n_agents++)
                d->agents[d->n_agents] = make_spec(d->n_agents, scene);
        return d;
}

static void add_agent(Observed *o, size_t i) {
        ObservedSession *session = observed_add_session(o);
        ObservedUnit *unit = observed_add_unit(o);
        ObservedRun *run = observed_add_run(o);
        ObservedFiles *files = observed_add_files(o);
        char name[32];

        must(session && unit && run && files);
        agent_name(name, i);
        session->owner = SESSION_AGENT;
        session->agent = copy(name);
        session->name = copy(name);
        session->id = copy("$1");
        session->busy = BUSY_NO;
        unit->agent = copy(name);
        unit->state = UNIT_ACTIVE;
        unit->main_pid = (pid_t)(1000 + i);
        run->agent = copy(name);
        run->alive = true;
        run->pid = unit->main_pid;
        run->started_usec = NOW_USEC;
        fingerprint(run->restart_fingerprint, 'a');
        fingerprint(run->resolved, 'a');
        files->agent = copy(name);
        files->spec = files->dropin = files->dropin_current = true;
        fingerprint(files->restart_fingerprint, 'a');
        fingerprint(files->live_fingerprint, 'a');
        fingerprint(files->resolved, 'a');
}

static void add_hold(Observed *o, size_t i) {
        ObservedHold *h = observed_add_hold(o);
        char name[32];

        must(h);
        agent_name(name, i);
        h->agent = copy(name);
        h->by = copy("ana");
        h->at_usec = NOW_USEC;
}

static Observed *make_observed(size_t n, Scene scene) {
        bool there = scene == SCENE_IN_SYNC || scene == SCENE_CHANGED || scene == SCENE_REMOVED;
        Observed *o = NULL;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
        o->tmux.state = there ? SOURCE_PRESENT : SOURCE_ABSENT;
        o->manager.state = o->runs.state = o->files.state = SOURCE_PRESENT;
        o->units_installed = true;
        o->holder = there ? UNIT_ACTIVE : UNIT_NOT_LOADED;
        o->now_usec = NOW_USEC;
        for (size_t i = 0; i < n; i++) {
                if (there)
                        add_agent(o, i);
                if (scene == SCENE_HELD)
                        add_hold(o, i);
        }
        observed_sort(o);
        return o;
}

/* One action for each agent and one for the server, or none. */
static bool is_expected(const Plan *p, size_t n, Scene scene) {
        switch (scene) {
        case SCENE_IN_SYNC:
                return p->n_actions == 0 && p->n_remarks == 0 && p->n_unchanged == n;
        case SCENE_COLD:
        case SCENE_CHAINED:
                return p->n_actions == n + 1;
        case SCENE_CHANGED:
                return plan_count_actions(p, ACTION_RESTART) == n;
        case SCENE_HELD:
                return p->n_actions == 0 && plan_count_remarks(p, REMARK_HELD) == n;
        case SCENE_REMOVED:
                return plan_count_actions(p, ACTION_REMOVE) == n;
        case _SCENE_MAX:
                break;
        }
        return false;
}

static int run(size_t n, Scene scene, uint64_t runs) {
        _cleanup_(desired_freep) Desired *desired = make_desired(n, scene);
        _cleanup_(observed_freep) Observed *observed = make_observed(n, scene);
        PlanPolicy policy = PLAN_POLICY_DEFAULT;

        policy.allow_remove = (long)n;
        for (uint64_t i = 0; i < runs; i++) {
                _cleanup_(plan_freep) Plan *plan = NULL;
                int r;

                stopwatch_start(&watch);
                r = planner_plan(desired, observed, &policy, NOW_USEC, &plan);
                stopwatch_stop(&watch);
                must(r == 0);
                if (!is_expected(plan, n, scene)) {
                        fprintf(stderr, "plan-fleet: %zu actions and %zu remarks for %s\n",
                                        plan->n_actions, plan->n_remarks, scenes[scene]);
                        return 1;
                }
        }
        stopwatch_print(&watch, "");
        return 0;
}

int main(int argc, char **argv) {
        uint64_t n, runs;

        if (argc != 4 || parse_uint_range(argv[2], 1, 999999, &n) < 0 ||
                        parse_uint_range(argv[3], 1, STOPWATCH_RUNS_MAX, &runs) < 0)
                return 64;
        for (int s = 0; s < _SCENE_MAX; s++)
                if (strcmp(argv[1], scenes[s]) == 0)
                        return run(n, (Scene)s, runs);
        return 64;
}
