/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "model/json.h"
#include "model/plan.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/preflight.h"
#include "reconciler/verb.h"

static volatile sig_atomic_t signal_came;

static void on_signal(int number) {
        signal_came = number;
}

static bool was_interrupted(void) {
        return signal_came != 0;
}

/* The throw-away fleet is taken down first, so these end nothing at once. */
static void catch_signals(void) {
        static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
        struct sigaction action = { .sa_handler = on_signal };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                (void)sigaction(numbers[i], &action, NULL);
        (void)signal(SIGPIPE, SIG_IGN);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_checks_ Checks checks = CHECKS_NULL;
        PreflightCallbacks callbacks = { .interrupted = was_interrupted };
        ExitCode code;
        int r;

        r = options_parse(c, OPTION_LIVE, argc, argv, &o);
        if (r != 0)
                return r;
        if (!c->json)
                callbacks.done = output_check;
        catch_signals();
        r = preflight_run(c, &callbacks, o.live, &checks);
        if (r < 0)
                return r;
        if (was_interrupted())
                fprintf(stderr, "mosaic: preflight: interrupted\n");
        code = was_interrupted() ? EXIT_INTERNAL : output_checks_code(&checks);
        if (c->json) {
                r = output_checks_json("mosaic.fleet.preflight", &checks, code);
                return r < 0 ? r : (int)code;
        }
        output_checks_summary(&checks, code);
        return (int)code;
}

const Verb verb_fleet_preflight = {
        .group = "fleet",
        .name = "preflight",
        .task = TASK_INSTALL,
        .synopsis = "[OPTION...]",
        .summary = "Go through the checklist of a release",
        .help = "Looks at the machine and at what this program would do to the fleet that is\n"
                "there, then brings up a throw-away fleet, starts, restarts and stops it, and\n"
                "takes it away. That one has an id, a home and a tmux socket of its own, so a\n"
                "live fleet is not met. One line for each check, with the evidence. Interrupted,\n"
                "it cleans up first.\n"
                "\n"
                "Options:\n"
                "      --live NAME   Also send a real message to this agent of the live fleet\n"
                "      --json        Print the checks as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Exit status: 0 go, 3 a check failed, 6 one could not be made, 1 interrupted.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet preflight\n"
                "  mosaic fleet preflight --live canary-pi\n"
                "  mosaic fleet preflight --json > preflight.json\n",
        .run = run,
};
