/* SPDX-License-Identifier: MIT */
#include "reconciler/in-force.h"

#include "drivers/os/clock.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/watch-roster.h"
#include "reconciler/watch-state.h"

void in_force_done(InForce *f) {
        pass_done(&f->pass);
        pass_done(&f->refused);
        json_free(f->controller);
        *f = (InForce){ 0 };
}

const Pass *in_force_refused(const InForce *f) {
        return f->valid ? NULL : &f->refused;
}

/* -ENOENT: nothing is in force. */
static int load(Context *c, InForce *f) {
        int r;

        r = pass_load(c, &f->refused);
        f->valid = r == 0;
        if (r == 0) {
                f->pass = f->refused;
                f->refused = PASS_NULL;
        }
        return r == EXIT_INVALID ? pass_load_accepted(c, &f->pass) : r;
}

/* The verb ends here; the controller's own words are the rest of what is known. */
static int refuse(const Context *c, const InForce *f) {
        int r;

        if (c->json) {
                r = output_findings_json(c, &f->refused, EXIT_INVALID);
                return r < 0 ? r : EXIT_INVALID;
        }
        output_findings(c, &f->refused, /* warnings= */ false);
        output_controller(c, f->controller, clock_realtime_usec());
        printf("The roster is invalid, and none was accepted before (exit %d)\n", EXIT_INVALID);
        return EXIT_INVALID;
}

int in_force_look(Context *c, const char *verb, char *const *names, InForce *f) {
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        int r;

        r = watch_state_read(c->paths, &f->controller);
        if (r < 0)
                return r;
        if (f->controller && watch_home_is_gone(c))
                return run_refuse(c, verb, EXIT_BLOCKED,
                                "the Mosaic home %s is gone: the controller changes nothing until "
                                "it is back",
                                c->paths->home);
        r = load(c, f);
        if (r == -ENOENT || r > 0)
                return refuse(c, f);
        if (r == 0)
                r = run_check_names(c, f->pass.desired, /* may_have_left= */ false, names);
        if (r == 0)
                r = context_open_driver(c);
        if (r != 0)
                return r;
        policy.names = names;
        policy.paced = f->controller != NULL;
        return pass_plan(c, &policy, /* details= */ true, &f->pass);
}
