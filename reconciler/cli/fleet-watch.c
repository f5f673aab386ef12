/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "reconciler/run.h"
#include "reconciler/verb.h"
#include "reconciler/watch.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        int r;

        r = options_parse(c, OPTION_RESYNC, argc, argv, &o);
        if (r != 0)
                return r;
        if (c->supervisor_error != 0)
                return run_refuse(c, "watch", EXIT_UNKNOWN,
                                "the user manager does not answer (%s), so who is to supervise "
                                "this fleet cannot be chosen; say it: mosaic fleet init "
                                "--supervisor",
                                strerror(-c->supervisor_error));
        if (c->record->supervisor == SUPERVISOR_SYSTEMD && !c->paths->manager_socket)
                return run_refuse(c, "watch", EXIT_UNKNOWN,
                                "systemd supervises this fleet, and where its user manager is "
                                "cannot be told: XDG_RUNTIME_DIR is not set");
        return watch_run(c, &(WatchOptions){ .resync_usec = o.resync_usec });
}

const Verb verb_fleet_watch = {
        .group = "fleet",
        .name = "watch",
        .task = TASK_CONVERGE,
        .synopsis = "[OPTION...]",
        .summary = "Keep this machine as the roster says, until stopped",
        .help = "Converges now, then whenever the roster is saved, and heals what drifts: agents\n"
                "that ended too often, lost sessions, a lost tmux server. A roster that is not\n"
                "valid changes nothing: the last accepted one stays in force. Ending the\n"
                "controller, or restarting it, leaves every agent as it is. In the background:\n"
                "systemctl --user enable --now mosaic-fleet\n"
                "\n"
                "Options:\n"
                "      --resync T    Look at everything at least this often (60s)\n"
                "      --json        Print events as JSON, one object a line\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Signals: TERM and INT end it, HUP looks at everything now, USR1 prints what it\n"
                "knows.\n"
                "\n"
                "Exit status: 0 ended by a signal, 6 cannot tell who supervises the fleet, 7 a\n"
                "controller runs already.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet watch\n"
                "  mosaic fleet watch --json | jq 'select(.event == \"action\")'\n",
        .run = run,
};
