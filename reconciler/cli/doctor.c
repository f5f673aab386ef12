/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"
#include "model/plan.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"

/* The roster, if there is a valid one, and a look, if one is possible: a machine that is ill must
 * still get its diagnosis. */
static int look(Context *c, Pass *p) {
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        int r;

        if (access(c->paths->roster, F_OK) < 0)
                return 0;
        r = pass_load(c, p);
        if (r != 0)
                return r < 0 ? r : 0;
        r = context_open_driver(c);
        return r < 0 ? r : pass_plan(c, &policy, /* details= */ false, p);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_checks_ Checks checks = CHECKS_NULL;
        _cleanup_pass_ Pass p = PASS_NULL;
        CheckSubject subject;
        ExitCode code;
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        r = look(c, &p);
        if (r < 0)
                return r;
        subject = (CheckSubject){ c->paths, c->record, p.desired, p.observed };
        r = machine_checks(CHECK_BY_DOCTOR, &subject, &checks);
        if (r < 0)
                return r;
        code = output_checks_code(&checks);
        if (c->json) {
                r = output_checks_json("mosaic.doctor", &checks, code);
                return r < 0 ? r : (int)code;
        }
        output_checks(c, &checks);
        output_checks_summary(&checks, code);
        return (int)code;
}

const Verb verb_doctor = {
        .name = "doctor",
        .task = TASK_PROGRAM,
        .synopsis = "[OPTION...]",
        .summary = "Check what a fleet needs of this machine",
        .help = "One line for each check, with the evidence and the command that mends it: the\n"
                "program's parts, tmux and the fleet's socket, the user manager, its PATH, the\n"
                "cgroup controllers it has, linger, permissions, runtimes, installed files.\n"
                "Changes nothing.\n"
                "\n"
                "Options:\n"
                "      --json        Print the checks as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0 all is well, 3 a check failed, 6 one could not be made.\n"
                "\n"
                "Examples:\n"
                "  mosaic doctor\n"
                "  mosaic doctor --json\n",
        .run = run,
};
