/* SPDX-License-Identifier: MIT */
#include "reconciler/install-run.h"

#include "drivers/systemd/manifest.h"
#include "model/plan.h"
#include "reconciler/options.h"
#include "reconciler/output-install.h"
#include "reconciler/run.h"

/* Returns 0, an exit code after its sentence, negative errno. */
static int check_installed(Context *c, const InstallRun *run) {
        _cleanup_manifest_ Manifest manifest = { 0 };
        int r = manifest_read(c->paths, &manifest);

        if (r < 0)
                return r == -EBADMSG ? 0 : r; /* the installer says it */
        if (manifest.n_entries > 0 ||
                        (c->record_exists && c->record->supervisor == SUPERVISOR_DIRECT))
                return 0;
        return run_refuse(c, run->verb, EXIT_BLOCKED,
                        "nothing of mosaic is installed in %s yet, so there is nothing to update; "
                        "see 'mosaic fleet install-systemd'",
                        c->paths->home);
}

/* The installer's own refusals, as sentences. */
static int refuse(const Context *c, const InstallRun *run, int r, const char *culprit) {
        if (r == -EILSEQ)
                return run_refuse(c, run->verb, EXIT_BLOCKED,
                                "this path cannot stand in a unit file: %s",
                                culprit ? culprit : "unknown");
        if (r == -EBADMSG)
                return run_refuse(c, run->verb, EXIT_BLOCKED,
                                "%s/manifest.json is garbled, so what is ours is not known; move "
                                "it away to start anew",
                                c->paths->state);
        return r;
}

int install_run(Context *c, const InstallRun *run, int argc, char **argv) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        _cleanup_free_ char *culprit = NULL;
        _cleanup_options_ Options o = { 0 };
        _cleanup_close_ int lock = -1;
        unsigned flags = 0;
        int code, r;

        r = options_parse(c, OPTION_DRY_RUN | OPTION_LOCK_TIMEOUT, argc, argv, &o);
        if (r == 0 && run->only_installed)
                r = check_installed(c, run);
        if (r == 0 && !o.dry_run)
                r = run_lock(c, run->verb, &o, &lock);
        if (r != 0)
                return r;
        if (o.dry_run)
                flags |= INSTALL_DRY_RUN;
        if (run->only_installed && c->record->supervisor != SUPERVISOR_SYSTEMD)
                flags |= INSTALL_NO_UNITS;
        r = units_install(c->paths, c->record->tmux_tmpdir, flags, &culprit, &report);
        if (r < 0)
                return refuse(c, run, r, culprit);
        if (!o.dry_run && run->conclude) {
                r = run->conclude(c);
                if (r < 0)
                        return r;
        }
        code = report->counts[INSTALL_FAILED] > 0 ? EXIT_INTERNAL : EXIT_OK;
        if (c->json) {
                r = output_install_json(run->format, report, code);
                return r < 0 ? r : code;
        }
        output_install(c, report);
        if (code == EXIT_OK && !o.dry_run && run->next)
                run->next(c, report);
        output_install_summary(o.dry_run ? run->would : run->done, report, code);
        return code;
}
