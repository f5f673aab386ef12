/* SPDX-License-Identifier: MIT */

/* Who is tried first when half of a fleet was lost at once, and for whom nobody waits. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/parse.h"
#include "model/observed.h"
#include "model/pacing.h"
#include "tests/simulation/world.h"

#define N_AGENTS 6

static const char *const names[N_AGENTS + 1] = { "ada", "bob", "cy", "dot", "eve", "fay" };

static char *copy(const char *text) {
        char *c = strdup(text);

        assert_non_null(c);
        return c;
}

/* All are down under `direct`: those of @well have ended by themselves and well. */
static void
look(Pacing *p, const Desired *d, SourceState server, const char *well, uint64_t now_usec) {
        _cleanup_(observed_freep) Observed *o = NULL;

        assert_int_equal(observed_new(SUPERVISOR_DIRECT, &o), 0);
        o->tmux.state = server;
        o->manager.state = o->runs.state = o->files.state = SOURCE_PRESENT;
        o->monotonic_usec = o->now_usec = now_usec;
        for (size_t i = 0; i < N_AGENTS; i++) {
                bool is_well = well && strcmp(names[i], well) == 0;
                ObservedStop *stop = observed_add_stop(o);

                assert_non_null(stop);
                stop->agent = copy(names[i]);
                stop->this_boot = true;
                stop->result = copy(is_well ? "success" : "exit-code");
                stop->code = copy("exited");
                stop->status = copy(is_well ? "0" : "1");
                observed_stop_classify(stop);
        }
        observed_sort(o);
        assert_int_equal(pacing_observe(p, d, o, now_usec), 0);
}

/* A probe that ended and stays down by its policy is nobody to wait for, also where the server went
 * at the same time: no start of another brings that back. */
static void test_probe_stays_down(void **state _unused_) {
        static const RestartPolicy policies[] = { RESTART_NEVER, RESTART_ON_FAILURE };

        for (size_t k = 0; k < ELEMENTSOF(policies); k++) {
                _cleanup_(desired_freep) Desired *d = world_desired(names, N_AGENTS);
                uint64_t now = 1000 * USEC_PER_SEC;
                char probe[AGENT_NAME_MAX + 1];
                Pacing p = { 0 };

                look(&p, d, SOURCE_PRESENT, NULL, now);
                assert_true(p.brake_usec != 0);
                (void)snprintf(probe, sizeof(probe), "%s", p.probe);
                now += 2 * USEC_PER_SEC;
                look(&p, d, SOURCE_PRESENT, NULL, now);
                pacing_started(&p, probe, now);

                desired_find(d, probe)->restart_policy = policies[k];
                now += USEC_PER_SEC;
                look(&p, d, SOURCE_ABSENT, probe, now);
                assert_true(p.brake_usec == 0 || strcmp(p.probe, probe) != 0);
                pacing_done(&p);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_probe_stays_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
