/* SPDX-License-Identifier: MIT */

/*
 * A whole pass. The input is a roster of up to four agents, a world in which anything may be so
 * about each of them, what cannot be seen of it, and what somebody changes while the controller
 * acts. Plans are made of it by every verb; then the controller works on it, judged call by call by
 * the referee of tests/simulation, until the fleet is as the roster says.
 */

#include "drivers/driver.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "reconciler/plan/planner.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/simulation/controller.h"

#define AGENTS_MAX 4

static const char *const names[AGENTS_MAX] = { "ada", "bob", "cy", "dot" };

typedef struct Case {
        Input in;
        World world;
        Referee referee;
        Desired *desired;
        bool faults;
} Case;

/* --- the case --------------------------------------------------------------------------------- */

/* A fingerprint of a version: 1 or 2 as the roster may have it, 3 neither. */
static uint8_t number_of(unsigned version, unsigned which) {
        _cleanup_(agent_spec_freep) AgentSpec *s = world_spec("any", version, version);

        return version == 0 ? 0
               : which == 0 ? world_number(s->restart_fingerprint)
               : which == 1 ? world_number(s->live_fingerprint)
                            : world_number(s->resolved);
}

static Desired *make_roster(Input *in) {
        Desired *d = world_desired(names, AGENTS_MAX);
        bool is_there[AGENTS_MAX] = { false };
        size_t k = 0;

        for (size_t i = 0; i < AGENTS_MAX; i++) {
                unsigned kind = input_choose(in, 8), after = input_byte(in);
                AgentSpec *s;

                agent_spec_free(d->agents[i]);
                if (kind == 0)
                        continue; /* not in it */
                s = world_spec(names[i], kind & 1 ? 1 : 2, kind & 2 ? 1 : 2);
                s->state = kind == 7   ? DESIRED_STOPPED
                           : kind == 6 ? DESIRED_PAUSED
                                       : DESIRED_RUNNING;
                s->elsewhere = kind == 5;
                s->on_change = (OnChange)(after / 64 % _ON_CHANGE_MAX);
                /* Circles are not possible: an agent comes after earlier ones only. */
                for (size_t j = 0; j < i; j++)
                        if (after & 1u << j && is_there[j])
                                assert(strv_push(&s->after, names[j]) == 0);
                is_there[i] = true;
                d->agents[k++] = s;
        }
        d->n_agents = k;
        return d;
}

static void make_agent(World *w, WorldAgent *a, Input *in) {
        static const UnitState states[] = { UNIT_NOT_LOADED, UNIT_ACTIVE, UNIT_FAILED,
                UNIT_RESTARTING };
        unsigned flags = input_byte(in), more = input_byte(in), versions = input_byte(in);

        if (flags == 0)
                return; /* nothing is there */
        a->spec = flags & 1;
        a->restart = a->spec ? number_of(1 + versions % 3, 0) : 0;
        a->live = a->spec ? number_of(1 + versions / 3 % 3, 1) : 0;
        a->resolved = a->spec ? number_of(1 + versions / 9 % 3, 2) : 0;
        a->dropin = flags & 2 ? number_of(1 + versions / 27 % 3, 1) : 0;
        a->loaded = flags & 4 ? a->dropin : 0;
        a->unit = states[flags >> 3 & 3];
        a->hold = (flags >> 5 & 3) == 3;
        a->session = more & 1 && w->server;
        a->misnamed = a->session && more & 2;
        a->namesake = more & 4 && w->server && (!a->session || a->misnamed);
        a->session_number = a->session ? w->next_session++ : 0;
        a->refuses_start = (more & 0x18) == 0x18;
        a->dies_hard = (more & 0x60) == 0x60;
        a->n_starts = a->unit != UNIT_NOT_LOADED;
        if (a->unit == UNIT_ACTIVE) {
                a->pid = world_new_pid(w);
                a->invocation = w->next_invocation++;
                a->running = number_of(1 + input_choose(in, 3), 0);
                a->running_resolved = number_of(1 + input_choose(in, 3), 2);
                a->started_usec = w->now_usec - 1000;
                a->attached = a->session && more & 0x80;
                a->at_work = a->session && flags & 0x80;
        } else if (flags & 0x80 && a->unit == UNIT_NOT_LOADED) {
                a->stopped_well = true;
                a->stopped_mono_usec = input_flag(in) ? w->mono_usec : 1;
                a->invocation = w->next_invocation++;
                a->announced = input_flag(in) ? a->invocation : 0;
        }
}

static void make_world(Case *c) {
        World *w = &c->world;
        unsigned server = input_choose(&c->in, 4);

        world_init(w);
        w->mono_usec = 1000 * USEC_PER_SEC;
        w->now_usec = 1000000000 * USEC_PER_SEC;
        w->server = server != 0;
        w->hidden = server == 3;
        w->reload_pending = input_flag(&c->in);
        for (size_t i = 0; i < AGENTS_MAX; i++)
                make_agent(w, world_agent(w, names[i]), &c->in);
}

/* What a call meets, and what somebody does before it. */
static WorldFault on_call(World *w, const WorldCall *call, void *userdata) {
        Case *c = userdata;
        unsigned what;

        if (call->kind != CALL_LOOK)
                referee_call(&c->referee, w, call);
        if (!c->faults)
                return FAULT_NONE;
        what = input_byte(&c->in);
        if (call->kind == CALL_LOOK) {
                SourceState *const sources[] = { &w->tmux, &w->manager, &w->runs, &w->files };

                for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                        if (what >> i & 1 && what & 0x80)
                                *sources[i] = SOURCE_UNKNOWN;
                return (what & 0xf0) == 0x70 ? FAULT_ERROR : FAULT_NONE;
        }
        if (what < 0xc0)
                return FAULT_NONE;
        return (WorldFault)(what % _FAULT_MAX);
}

/* --- plans ------------------------------------------------------------------------------------ */

static void write_plan(const Plan *p, StrBuf *b) {
        for (size_t i = 0; i < p->n_actions; i++) {
                const Action *a = p->actions + i;

                strbuf_addf(b, "%d %s %d %u %s %s", (int)a->kind, a->agent ? a->agent : "-",
                                (int)a->reason, a->steps, a->session_id ? a->session_id : "-",
                                a->text);
                for (char **after = a->after; after && *after; after++)
                        strbuf_addf(b, " %s", *after);
                strbuf_add_char(b, '\n');
        }
        for (size_t i = 0; i < p->n_remarks; i++)
                strbuf_addf(b, "%d %s %d %s\n", (int)p->remarks[i].kind, p->remarks[i].subject,
                                (int)p->remarks[i].reason, p->remarks[i].text);
}

/* The lists in another order, as another look might give them. */
static void shuffle(Observed *o, unsigned by) {
        for (size_t i = 1; i < o->n_sessions; i++) {
                size_t k = (i + by) % (i + 1);
                ObservedSession s = o->sessions[i];

                o->sessions[i] = o->sessions[k];
                o->sessions[k] = s;
        }
        for (size_t i = 1; i < o->n_units; i++) {
                size_t k = (i + by) % (i + 1);
                ObservedUnit u = o->units[i];

                o->units[i] = o->units[k];
                o->units[k] = u;
        }
        observed_sort(o);
}

static void check_plan(const Plan *p, const Observed *o, const PlanPolicy *policy) {
        bool sees_sessions = o->tmux.state != SOURCE_UNKNOWN;
        bool sees_agents = o->manager.state == SOURCE_PRESENT && o->runs.state == SOURCE_PRESENT &&
                           o->files.state == SOURCE_PRESENT;

        for (size_t i = 0; i < p->n_actions; i++) {
                const Action *a = p->actions + i;
                const ObservedSession *s = a->agent ? observed_session(o, a->agent) : NULL;

                for (size_t k = 0; k < i; k++)
                        assert(!a->agent || !p->actions[k].agent ||
                                        strcmp(a->agent, p->actions[k].agent) != 0);
                if (!a->agent)
                        continue;
                if (!sees_agents || !sees_sessions)
                        assert(!(a->steps & (STEP_KILL_SESSION | STEP_RENAME | STEP_START |
                                                            STEP_SESSION | STEP_FILES)));
                /* To stop what was asked to be stopped, no session need be seen. */
                if (!sees_agents || (!sees_sessions && a->kind != ACTION_STOP))
                        assert(!(a->steps & STEP_STOP));
                /* A session only by the id that was seen with the agent's marker. */
                if (a->steps & (STEP_RENAME | STEP_KILL_SESSION))
                        assert(s && a->session_id && strcmp(s->id, a->session_id) == 0);
                if (policy->mode == PLAN_START)
                        assert(!(a->steps & (STEP_STOP | STEP_KILL_SESSION)));
                if (policy->mode != PLAN_CONVERGE)
                        assert(a->kind != ACTION_REMOVE);
        }
}

static void check_plans(Case *c, unsigned by) {
        static const PlanMode modes[] = { PLAN_CONVERGE, PLAN_START, PLAN_RESTART, PLAN_STOP };
        Driver driver = world_driver(&c->world);

        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                _cleanup_(plan_freep) Plan *first = NULL, *second = NULL;
                _cleanup_strbuf_ StrBuf a = STRBUF_NULL, b = STRBUF_NULL;
                PlanPolicy policy = PLAN_POLICY_DEFAULT;

                policy.mode = modes[i];
                policy.removals_wait = by & 1;
                assert(driver.observe(driver.world, c->desired, false, &o) == 0);
                if (by & 0x80)
                        o->tmux.state = SOURCE_UNKNOWN;
                if (by & 0x40)
                        o->manager.state = SOURCE_UNKNOWN;
                if (by & 0x20)
                        o->runs.state = SOURCE_UNKNOWN;
                if (by & 0x10)
                        o->files.state = SOURCE_UNKNOWN;
                assert(planner_plan(c->desired, o, &policy, o->now_usec, &first) == 0);
                check_plan(first, o, &policy);
                shuffle(o, by);
                assert(planner_plan(c->desired, o, &policy, o->now_usec, &second) == 0);
                write_plan(first, &a);
                write_plan(second, &b);
                assert(strcmp(strbuf_text(&a), strbuf_text(&b)) == 0);
        }
}

/* --- passes ----------------------------------------------------------------------------------- */

static void blame(const Case *c, const char *property, const char *text) {
        fprintf(stderr, "%s: %s\n", property, text);
        for (size_t i = 0; i < c->world.n_agents; i++) {
                const WorldAgent *a = c->world.agents + i;

                fprintf(stderr, "  %s: unit %d session %d hold %d spec %d\n", a->name, (int)a->unit,
                                a->session, a->hold, a->spec);
        }
        abort();
}

static ControllerPass make_pass(Case *c) {
        ControllerPass pass = controller_pass(&c->world, c->desired, 0, &c->referee);

        if (c->referee.property)
                blame(c, c->referee.property, c->referee.text);
        world_settle(&c->world);
        return pass;
}

/* Waits for the ledger, restarts and whoever is attached. */
static void let_time_pass(World *w) {
        w->mono_usec += 3600 * USEC_PER_SEC;
        w->now_usec += 3600 * USEC_PER_SEC;
        world_restart_due(w);
}

/* No more faults, and what could not start can; who is attached may stay. */
static void calm_down(Case *c) {
        c->faults = false;
        for (size_t i = 0; i < c->world.n_agents; i++) {
                WorldAgent *a = c->world.agents + i;

                a->refuses_start = false;
                if (input_flag(&c->in)) {
                        a->attached = 0;
                        a->at_work = a->namesake = false;
                }
        }
}

/* An agent that is to be removed cannot be, for a reason that only a person can take away. */
static bool waits_for_people(const Case *c) {
        const char *text;

        for (size_t i = 0; i < c->world.n_agents; i++)
                if (!desired_find(c->desired, c->world.agents[i].name) &&
                                referee_judge(&c->world, c->desired, c->world.agents + i, &text) ==
                                                VERDICT_EXCUSED)
                        return true;
        return false;
}

static void check_calm(Case *c) {
        World *w = &c->world;
        const char *wrong = NULL;
        unsigned n_well = 0;

        for (unsigned i = 0; i < 12 * AGENTS_MAX + 12; i++) {
                ControllerPass pass = make_pass(c);

                wrong = referee_judge_all(w, c->desired);
                if (!wrong && pass.n_actions == 0) {
                        if (!waits_for_people(c) && controller_would(w, c->desired) > 0)
                                blame(c, "stability", "as wanted, and a plan is not empty");
                        return;
                }
                /* It tries what a person stands in the way of, again and again. */
                n_well = wrong ? 0 : n_well + 1;
                if (n_well == 4)
                        return;
                let_time_pass(w);
        }
        if (wrong)
                blame(c, "convergence", wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Case c; /* worlds are large */
        unsigned by, n_passes;

        c = (Case){ .in = INPUT(data, size) };
        c.desired = make_roster(&c.in);
        make_world(&c);
        by = input_byte(&c.in);
        n_passes = input_choose(&c.in, 4);
        check_plans(&c, by);
        /* What the referee knows of. */
        for (size_t i = 0; i < c.desired->n_agents; i++)
                c.desired->agents[i]->on_change = ON_CHANGE_DEFER;
        c.world.hook = on_call;
        c.world.userdata = &c;
        c.faults = true;
        for (unsigned i = 0; i < n_passes; i++) {
                (void)make_pass(&c);
                let_time_pass(&c.world);
        }
        calm_down(&c);
        check_calm(&c);
        desired_free(c.desired);
        return 0;
}
