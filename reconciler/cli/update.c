/* SPDX-License-Identifier: MIT */
#include "model/plan.h"
#include "reconciler/install-run.h"
#include "reconciler/verb.h"
#include "reconciler/watch-state.h"

/* A controller that runs is the old program still, with units that changed or without; its restart
 * changes no agent. */
static void print_next(const Context *c, const InstallReport *report) {
        _cleanup_json_ Json *controller = NULL;

        if (watch_state_read(c->paths, &controller) < 0 || !controller)
                return;
        if (!report->units_changed && !watch_state_other_version(controller))
                return;
        if (c->record->supervisor == SUPERVISOR_SYSTEMD)
                printf("The controller becomes this version with:\n"
                       "  systemctl --user try-restart %sfleet.service\n",
                                c->paths->unit_prefix);
        else
                printf("The controller becomes this version when it is ended and started again\n");
}

static int run(Context *c, int argc, char **argv) {
        static const InstallRun update = {
                .verb = "update",
                .format = "mosaic.update",
                .done = "Updated",
                .would = "Would update",
                .only_installed = true,
                .next = print_next,
        };

        return install_run(c, &update, argc, argv);
}

const Verb verb_update = {
        .name = "update",
        .task = TASK_INSTALL,
        .synopsis = "[OPTION...]",
        .summary = "Bring the installed files to this version of mosaic",
        .help = "Units, tools, schema and examples of this fleet become those of this program. A\n"
                "file that you changed is kept, and the new one lands beside it as NAME.new. The\n"
                "roster, secrets and state are never touched, and agents that run keep running.\n"
                "\n"
                "Options:\n"
                "      --dry-run         Say what would be done\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the list of files as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 updated, 1 a file could not be written, 3 nothing is installed\n"
                "yet or a person is needed, 7 locked.\n"
                "\n"
                "Examples:\n"
                "  mosaic update --dry-run\n"
                "  mosaic update\n",
        .run = run,
};
