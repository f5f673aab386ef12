/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/plan.h"
#include "reconciler/options.h"
#include "reconciler/output-install.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static void print_next(const Context *c) {
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

static int run(Context *c, int argc, char **argv) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        _cleanup_free_ char *culprit = NULL;
        _cleanup_options_ Options o = { 0 };
        _cleanup_close_ int lock = -1;
        int code, r;

        r = options_parse(c, OPTION_DRY_RUN | OPTION_LOCK_TIMEOUT, argc, argv, &o);
        if (r != 0)
                return r;
        if (!o.dry_run) {
                r = run_lock(c, "install-systemd", &o, &lock);
                if (r != 0)
                        return r;
        }
        r = units_install(c->paths, c->record->tmux_tmpdir, o.dry_run, &culprit, &report);
        if (r == -EILSEQ) {
                fprintf(stderr,
                                "mosaic: install-systemd: this path cannot stand in a unit file: "
                                "%s\n",
                                culprit ? culprit : "unknown");
                return EXIT_BLOCKED;
        }
        if (r == -EBADMSG) {
                fprintf(stderr,
                                "mosaic: install-systemd: %s/manifest.json is garbled, so what is "
                                "ours is "
                                "not known; move it away to start anew\n",
                                c->paths->state);
                return EXIT_BLOCKED;
        }
        if (r < 0)
                return r;
        /* Who installs units wants systemd to run the fleet, if nothing was chosen before. */
        if (!o.dry_run && !c->record_exists) {
                c->record->supervisor = SUPERVISOR_SYSTEMD;
                r = fleet_record_write(c->paths, c->record);
                if (r < 0)
                        return r;
        }
        code = report->counts[INSTALL_FAILED] > 0 ? EXIT_INTERNAL : EXIT_OK;
        if (c->json) {
                r = output_install_json("install-systemd", report, code);
                return r < 0 ? r : code;
        }
        output_install(c, report);
        if (code == EXIT_OK && !o.dry_run)
                print_next(c);
        output_install_summary(o.dry_run ? "Would install" : "Installed", report, code);
        return code;
}

const Verb verb_fleet_install_systemd = {
        .group = "fleet",
        .name = "install-systemd",
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
