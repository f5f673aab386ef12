/* SPDX-License-Identifier: MIT */
#include "drivers/os/clock.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"
#include "reconciler/watch-state.h"

/*
 * A file that is not valid does not hide the fleet: the roster that was accepted last is shown, and
 * the findings with it. Returns 0, EXIT_INVALID with the file's findings in @refused and what is in
 * force in @p, or negative errno; -ENOENT: nothing is in force.
 */
static int load(Context *c, Pass *p, Pass *refused) {
        int r;

        r = pass_load(c, refused);
        if (r == 0) {
                *p = *refused;
                *refused = PASS_NULL;
        }
        if (r != EXIT_INVALID)
                return r;
        r = pass_load_accepted(c, p);
        return r < 0 ? r : r == 0 ? EXIT_INVALID : -ENOENT;
}

static int refuse(Context *c, const Pass *refused) {
        int r;

        if (c->json) {
                r = output_findings_json(c, refused, EXIT_INVALID);
                return r < 0 ? r : EXIT_INVALID;
        }
        output_findings(c, refused, /* warnings= */ false);
        printf("The roster is invalid, and none was accepted before (exit %d)\n", EXIT_INVALID);
        return EXIT_INVALID;
}

static int show(Context *c, const Pass *p, const Pass *refused, const Json *controller) {
        ExitCode code = refused ? EXIT_INVALID : plan_exit_code(p->plan);
        int r;

        if (c->json) {
                r = output_status_json(c, p, refused, controller, code);
                return r < 0 ? r : (int)code;
        }
        if (refused)
                output_findings(c, refused, /* warnings= */ false);
        output_controller(c, controller, clock_realtime_usec());
        r = output_status(c, p);
        if (r < 0)
                return r;
        if (refused)
                printf("The roster is invalid; the one accepted before stays in force (exit %d)\n",
                                EXIT_INVALID);
        else
                output_plan_summary(c, p);
        return (int)code;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_pass_ Pass p = PASS_NULL, refused = PASS_NULL;
        _cleanup_json_ Json *controller = NULL;
        _cleanup_options_ Options o = { 0 };
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        bool valid;
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        r = load(c, &p, &refused);
        if (r == -ENOENT)
                return refuse(c, &refused);
        if (r < 0)
                return r;
        valid = r == 0;
        r = watch_state_read(c->paths, &controller);
        if (r == 0)
                r = context_open_driver(c);
        if (r < 0)
                return r;
        /* What a controller leaves for later is for later. */
        policy.paced = controller != NULL;
        r = pass_plan(c, &policy, /* details= */ true, &p);
        return r < 0 ? r : show(c, &p, valid ? NULL : &refused, controller);
}

const Verb verb_fleet_status = {
        .group = "fleet",
        .name = "status",
        .synopsis = "[OPTION...]",
        .summary = "Show every agent and the condition it is in",
        .help = "A star behind the pane says that somebody is attached. RST is how often systemd\n"
                "restarted the agent since its last start by hand.\n"
                "\n"
                "Options:\n"
                "      --json        Print the table as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Exit status: as 'plan'.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet status\n"
                "  mosaic fleet status --json\n",
        .run = run,
};
