/* SPDX-License-Identifier: MIT */
#include "model/plan.h"
#include "reconciler/install-run.h"
#include "reconciler/verb.h"

/* A controller that runs is the old program still; its restart changes no agent. */
static void print_next(const Context *c, const InstallReport *report) {
        if (report->units_changed)
                printf("If the controller runs, it becomes this version with:\n"
                       "  systemctl --user try-restart %sfleet.service\n",
                                c->paths->unit_prefix);
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
