/* SPDX-License-Identifier: MIT */
#include "reconciler/next-step.h"

#include <stdarg.h>

#include "drivers/store/roster-record.h"
#include "drivers/systemd/install.h"
#include "reconciler/output.h"
#include "reconciler/pass.h"

static void say(const Context *c, const char *command, const char *format, ...) _printf_(3, 4);

static void say(const Context *c, const char *command, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vprintf(format, ap);
        va_end(ap);
        printf("\nNext:\n  %s%s%s\n\nAll verbs: mosaic --help\n", output_begin(c, STYLE_BOLD),
                        command, output_end(c));
}

static void say_planned(const Context *c, const Pass *p) {
        size_t n = p->plan->n_agents;
        const char *s = n == 1 ? "" : "s";

        switch (plan_exit_code(p->plan)) {
        case EXIT_OK:
                say(c, "mosaic fleet status", "%zu agent%s, as the roster says.", n, s);
                return;
        case EXIT_UNKNOWN:
                say(c, "mosaic doctor", "How the fleet stands could not be seen completely.");
                return;
        case EXIT_BLOCKED:
                say(c, "mosaic fleet plan", "%zu agent%s; a person is needed.", n, s);
                return;
        case EXIT_INTERNAL:
        case EXIT_PENDING:
        case EXIT_NOT_CONVERGED:
        case EXIT_STALE:
        case EXIT_LOCKED:
        case EXIT_USAGE:
        case EXIT_INVALID:
                break;
        }
        if (p->plan->n_actions == 0) {
                say(c, "mosaic fleet plan", "%zu agent%s; what is left to do waits.", n, s);
                return;
        }
        say(c, "mosaic fleet plan",
                        "%zu agent%s; %zu thing%s to do until all is as the roster says.", n, s,
                        p->plan->n_actions, p->plan->n_actions == 1 ? "" : "s");
}

/* It is missing. Once one was accepted, a first one is not what is missing. */
static int say_missing(const Context *c) {
        RosterRecord accepted;
        int r;

        r = roster_record_read(c->paths, &accepted);
        if (r == 0) {
                roster_record_done(&accepted);
                say(c, "mosaic fleet status",
                                "The roster is gone, the one accepted last stays in force; put it "
                                "back:\n%s",
                                c->paths->roster);
                return EXIT_OK;
        }
        if (r != -ENOENT)
                return r;
        say(c, "mosaic fleet init --profile minimal --write", "There is no roster yet: %s",
                        c->paths->roster);
        return EXIT_OK;
}

int next_step_print(Context *c) {
        _cleanup_pass_ Pass p = PASS_NULL;
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        int r;

        printf("mosaic runs a fleet of agents in tmux as one roster says.\n\n");
        if (access(c->paths->roster, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
                return say_missing(c);
        r = pass_load(c, &p);
        if (r < 0)
                return r;
        if (r > 0) {
                say(c, "mosaic fleet validate", "The roster has %zu error%s: %s", p.diags.n_errors,
                                p.diags.n_errors == 1 ? "" : "s", c->paths->roster);
                return EXIT_OK;
        }
        if (c->record->supervisor == SUPERVISOR_SYSTEMD && !units_are_installed(c->paths)) {
                say(c, "mosaic fleet install-systemd",
                                "There is a roster with %zu agent%s, and no unit is installed yet.",
                                p.desired->n_agents, p.desired->n_agents == 1 ? "" : "s");
                return EXIT_OK;
        }
        r = context_open_driver(c);
        if (r == 0)
                r = pass_plan(c, &policy, /* details= */ false, &p);
        if (r < 0)
                return r;
        say_planned(c, &p);
        return EXIT_OK;
}
