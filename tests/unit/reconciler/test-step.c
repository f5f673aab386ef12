/* SPDX-License-Identifier: MIT */

/* When the controller looks again by itself after a pass. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/base/parse.h"
#include "reconciler/step.h"

#define NONE _ACTION_KIND_MAX

static void test_next(void **state _unused_) {
        static const struct {
                ActionKind left, other; /* what is still asked for after the pass; NONE: nothing */
                RemarkKind remark;      /* _REMARK_KIND_MAX: none */
                uint64_t next;
                Reason reason; /* 0: one that an event tells the end of */
        } cases[] = {
                { NONE, NONE, _REMARK_KIND_MAX, USEC_INFINITY },
                { NONE, NONE, REMARK_BLOCKED, USEC_INFINITY },
                { NONE, NONE, REMARK_BLOCKED, 15 * USEC_PER_SEC, REASON_SITE },
                { NONE, NONE, REMARK_BLOCKED, 15 * USEC_PER_SEC, REASON_PROGRAM_MISSING },
                { NONE, NONE, REMARK_WAITING, 2 * USEC_PER_SEC },
                { NONE, NONE, REMARK_UNKNOWN, 15 * USEC_PER_SEC },
                { ACTION_START, NONE, _REMARK_KIND_MAX, 2 * USEC_PER_SEC },
                { ACTION_START, NONE, REMARK_BLOCKED, 2 * USEC_PER_SEC },
                { ACTION_REMOVE, NONE, _REMARK_KIND_MAX, 2 * USEC_PER_SEC },
                /* Nothing is removed before a person has done something: an event, or the
                 * resync. */
                { ACTION_REMOVE, NONE, REMARK_BLOCKED, USEC_INFINITY },
                { ACTION_REMOVE, ACTION_REMOVE, REMARK_BLOCKED, USEC_INFINITY },
                { ACTION_REMOVE, ACTION_START, REMARK_BLOCKED, 2 * USEC_PER_SEC },
                { ACTION_REMOVE, NONE, REMARK_WAITING, 2 * USEC_PER_SEC },
                { ACTION_REMOVE, NONE, REMARK_UNKNOWN, 2 * USEC_PER_SEC },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                _cleanup_(plan_freep) Plan *plan = NULL, *rest = NULL;
                Pass p = PASS_NULL;

                assert_int_equal(observed_new(SUPERVISOR_DIRECT, &o), 0);
                assert_int_equal(plan_new(&plan) | plan_new(&rest), 0);
                if (cases[i].left != NONE)
                        assert_non_null(plan_add_action(rest, cases[i].left, "a",
                                        REASON_NOT_IN_ROSTER, 0, 0, "so"));
                if (cases[i].other != NONE)
                        assert_non_null(plan_add_action(rest, cases[i].other, "b",
                                        REASON_NOT_IN_ROSTER, 0, 0, "so"));
                if (cases[i].remark != _REMARK_KIND_MAX)
                        assert_int_equal(plan_add_remark(rest, cases[i].remark, "c",
                                                         /* is_agent= */ true,
                                                         cases[i].reason ? cases[i].reason
                                                                         : REASON_FOREIGN_NAME,
                                                         0, NULL, "so"),
                                        0);
                p.observed = o;
                p.plan = plan;
                p.rest = rest;
                if (step_next(&p, 0, 1000) != cases[i].next)
                        fail_msg("case %zu: %llu", i, (unsigned long long)step_next(&p, 0, 1000));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_next) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
