/* SPDX-License-Identifier: MIT */
#include "model/plan.h"
#include "reconciler/install-run.h"
#include "reconciler/verb.h"

static void print_next(const Context *c, const InstallReport *report _unused_) {
        if (c->record->supervisor == SUPERVISOR_DIRECT) {
                printf("This fleet runs without systemd (supervisor direct) and makes no use of "
                       "units;\n'mosaic fleet init --supervisor systemd --force' changes that once "
                       "it is stopped.\n");
                return;
        }
        printf("Next:\n"
               "  systemctl --user daemon-reload\n"
               "  mosaic fleet start\n"
               "To keep it as the roster says, now and from every boot on:\n"
               "  systemctl --user enable --now %sfleet\n"
               "  loginctl enable-linger\n"
               "Or only to start it at every boot:\n"
               "  systemctl --user enable %sfleet-boot\n",
                        c->paths->unit_prefix, c->paths->unit_prefix);
}

/* Who installs units wants systemd to run the fleet, if nothing was chosen before. */
static int choose_systemd(Context *c) {
        if (c->record_exists)
                return 0;
        c->record->supervisor = SUPERVISOR_SYSTEMD;
        return fleet_record_write(c->paths, c->record);
}

static int run(Context *c, int argc, char **argv) {
        static const InstallRun install = {
                .verb = "install-systemd",
                .format = "mosaic.fleet.install-systemd",
                .done = "Installed",
                .would = "Would install",
                .conclude = choose_systemd,
                .next = print_next,
        };

        return install_run(c, &install, argc, argv);
}

const Verb verb_fleet_install_systemd = {
        .group = "fleet",
        .name = "install-systemd",
        .task = TASK_INSTALL,
        .synopsis = "[OPTION...]",
        .summary = "Install user units, tools and schema",
        .help = "Idempotent. A file that you changed is kept, and the new one lands beside it as\n"
                "NAME.new. Enables and starts nothing; says the commands that do.\n"
                "\n"
                "Options:\n"
                "      --dry-run         Say what would be done\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the list of files as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 installed, 1 a file could not be written, 3 a person is needed,\n"
                "7 locked.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet install-systemd\n",
        .run = run,
};
