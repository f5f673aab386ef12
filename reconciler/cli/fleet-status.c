/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"
#include "drivers/os/clock.h"
#include "reconciler/in-force.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"

static int show(Context *c, const Pass *p, const Pass *refused, const Json *controller) {
        ExitCode code = refused ? EXIT_INVALID : plan_exit_code(p->plan);
        const CheckSubject subject = { c->paths, c->record, p->desired, p->observed };
        _cleanup_checks_ Checks checks = CHECKS_NULL;
        int r;

        r = machine_checks(CHECK_BY_STATUS, &subject, &checks);
        if (r < 0)
                return r;
        if (c->json) {
                r = output_status_json(c, p, refused, controller, &checks, code);
                return r < 0 ? r : (int)code;
        }
        if (refused)
                output_findings(c, refused, /* warnings= */ false);
        output_controller(c, controller, clock_realtime_usec());
        r = output_status(c, p);
        if (r < 0)
                return r;
        for (size_t i = 0; i < checks.n_items; i++)
                if (checks.items[i].state == CHECK_FAILED)
                        output_check(c, checks.items + i);
        if (refused)
                output_refused_summary();
        else
                output_plan_summary(c, p);
        return (int)code;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_in_force_ InForce f = { 0 };
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        r = in_force_look(c, argv[0], NULL, &f);
        return r != 0 ? r : show(c, &f.pass, in_force_refused(&f), f.controller);
}

const Verb verb_fleet_status = {
        .group = "fleet",
        .name = "status",
        .task = TASK_LOOK,
        .synopsis = "[OPTION...]",
        .summary = "Show every agent and the condition it is in",
        .help = "A star behind the pane says that somebody is attached. RST is how often systemd\n"
                "restarted the agent since its last start by hand. A check that failed is named\n"
                "below the table; 'mosaic doctor' makes them all.\n"
                "\n"
                "Options:\n"
                "      --json        Print the table as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: as 'plan'.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet status\n"
                "  mosaic fleet status --json\n",
        .run = run,
};
