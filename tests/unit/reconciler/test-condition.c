/* SPDX-License-Identifier: MIT */

/* One word for what an agent is in: units, remarks, actions and sources in all combinations that
 * differ. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/condition.h"

#define NO_UNIT (-1)
#define NO_REMARK (-1)

static const struct {
        const char *word;
        bool good;
        int unit; /* UnitState */
        const char *result;
        int remark; /* RemarkKind */
        DesiredState wanted;
        bool elsewhere;
        SourceState manager, runs;
} cases[] = {
        { "running", true, UNIT_ACTIVE, NULL, NO_REMARK },
        { "starting", false, UNIT_ACTIVATING, NULL, NO_REMARK },
        { "starting", false, UNIT_RESTARTING, NULL, NO_REMARK },
        { "stopping", false, UNIT_DEACTIVATING, NULL, NO_REMARK },
        { "unknown", false, UNIT_OTHER, NULL, NO_REMARK },
        { "dead", false, UNIT_FAILED, "exit-code", NO_REMARK },
        { "dead", false, UNIT_FAILED, NULL, NO_REMARK },
        { "crash-loop", false, UNIT_FAILED, "start-limit-hit", NO_REMARK },
        { "missing", false, NO_UNIT, NULL, NO_REMARK },
        { "missing", false, UNIT_INACTIVE, NULL, NO_REMARK },
        { "stopped", true, NO_UNIT, NULL, NO_REMARK, DESIRED_STOPPED },
        { "running", true, UNIT_ACTIVE, NULL, NO_REMARK, DESIRED_PAUSED },
        /* What a remark says of it counts more than that it is down ... */
        { "held", false, UNIT_INACTIVE, NULL, REMARK_HELD },
        { "blocked", false, NO_UNIT, NULL, REMARK_BLOCKED },
        { "blocked", false, UNIT_FAILED, "exit-code", REMARK_BLOCKED },
        /* ... but what runs, runs. */
        { "running", true, UNIT_ACTIVE, NULL, REMARK_BLOCKED },
        { "running", true, UNIT_ACTIVE, NULL, REMARK_DEFERRED },
        { "running", true, UNIT_ACTIVE, NULL, REMARK_PENDING },
        { "starting", false, UNIT_ACTIVATING, NULL, REMARK_WAITING },
        { "elsewhere", true, NO_UNIT, NULL, REMARK_ELSEWHERE, DESIRED_RUNNING, true },
        /* Nothing is said of what was not seen. */
        { "unreachable", false, UNIT_ACTIVE, NULL, NO_REMARK, DESIRED_RUNNING, false,
                        SOURCE_UNKNOWN },
        { "unreachable", false, UNIT_ACTIVE, NULL, NO_REMARK, DESIRED_RUNNING, false,
                        SOURCE_PRESENT, SOURCE_UNKNOWN },
        { "unreachable", false, NO_UNIT, NULL, REMARK_HELD, DESIRED_RUNNING, false,
                        SOURCE_UNKNOWN },
};

static void test_words(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                _cleanup_(plan_freep) Plan *plan = NULL;
                char name[] = "web";
                AgentSpec spec = {
                        .name = name, .state = cases[i].wanted, .elsewhere = cases[i].elsewhere
                };
                Condition c;

                assert_int_equal(observed_new(SUPERVISOR_SYSTEMD, &o), 0);
                assert_int_equal(plan_new(&plan), 0);
                o->manager.state = cases[i].manager;
                o->runs.state = cases[i].runs;
                if (cases[i].unit != NO_UNIT) {
                        ObservedUnit *u = observed_add_unit(o);

                        assert_non_null(u);
                        u->agent = strdup("web");
                        u->state = (UnitState)cases[i].unit;
                        u->result = cases[i].result ? strdup(cases[i].result) : NULL;
                }
                observed_sort(o);
                /* Remarks of others and of the fleet are not its own. */
                assert_int_equal(plan_add_remark(plan, REMARK_BLOCKED, "other", true, REASON_SITE,
                                                 0, NULL, "theirs"),
                                0);
                assert_int_equal(plan_add_remark(plan, REMARK_FOREIGN, "web", false,
                                                 REASON_FOREIGN_SESSION, 0, NULL,
                                                 "a session of that name"),
                                0);
                if (cases[i].remark != NO_REMARK)
                        assert_int_equal(
                                        plan_add_remark(plan, (RemarkKind)cases[i].remark, "web",
                                                        true, REASON_HOLD, 0, "do this", "because"),
                                        0);
                c = condition_of(&spec, o, plan);
                if (strcmp(condition_to_string(c.kind), cases[i].word) != 0 ||
                                (condition_style(c.kind) == STYLE_GREEN) != cases[i].good)
                        fail_msg("case %zu: %s, expected %s", i, condition_to_string(c.kind),
                                        cases[i].word);
                assert_non_null(c.why);
                if (cases[i].remark != NO_REMARK && c.kind != CONDITION_UNREACHABLE) {
                        assert_string_equal(c.why, "because");
                        assert_string_equal(c.help, "do this");
                } else
                        assert_null(c.help);
        }
}

/* Without a remark it is the action that says why. */
static void test_action_says_why(void **state) {
        _cleanup_(observed_freep) Observed *o = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        char name[] = "web";
        AgentSpec spec = { .name = name };
        Condition c;

        (void)state;
        assert_int_equal(observed_new(SUPERVISOR_DIRECT, &o), 0);
        assert_int_equal(plan_new(&plan), 0);
        o->manager.state = o->runs.state = SOURCE_PRESENT;
        observed_sort(o);
        assert_non_null(plan_add_action(
                        plan, ACTION_START, "web", REASON_NOT_RUNNING, 3, STEP_START, "it ended"));
        c = condition_of(&spec, o, plan);
        assert_int_equal(c.kind, CONDITION_MISSING);
        assert_string_equal(c.why, "it ended");
        assert_int_equal(condition_style(c.kind), STYLE_RED);
}

/* Dead is what ran here: a record of its end, its run file or its terminal says so. */
static void test_dead_or_missing(void **state) {
        (void)state;
        for (unsigned trace = 0; trace < 4; trace++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                _cleanup_(plan_freep) Plan *plan = NULL;
                char name[] = "web";
                AgentSpec spec = { .name = name };
                char **agent = NULL;

                assert_int_equal(observed_new(SUPERVISOR_SYSTEMD, &o), 0);
                assert_int_equal(plan_new(&plan), 0);
                o->manager.state = o->runs.state = SOURCE_PRESENT;
                if (trace == 1)
                        agent = &observed_add_stop(o)->agent;
                else if (trace == 2)
                        agent = &observed_add_run(o)->agent;
                else if (trace == 3) {
                        ObservedSession *s = observed_add_session(o);

                        s->owner = SESSION_AGENT;
                        agent = &s->agent;
                }
                if (agent) {
                        *agent = strdup("web");
                        assert_non_null(*agent);
                }
                observed_sort(o);
                assert_int_equal(condition_of(&spec, o, plan).kind,
                                trace > 0 ? CONDITION_DEAD : CONDITION_MISSING);
                spec.state = DESIRED_STOPPED;
                assert_int_equal(condition_of(&spec, o, plan).kind, CONDITION_STOPPED);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_action_says_why),
                cmocka_unit_test(test_dead_or_missing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
