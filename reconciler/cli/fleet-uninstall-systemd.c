/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "drivers/os/lock.h"
#include "drivers/systemd/install.h"
#include "drivers/systemd/manifest.h"
#include "model/base/strv.h"
#include "model/base/strbuf.h"
#include "model/plan.h"
#include "reconciler/options.h"
#include "reconciler/output-install.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

#define VERB "uninstall-systemd"

static int refuse_active(const Context *c, char *const *names) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        for (char *const *name = names; name && *name; name++)
                strbuf_addf(&b, "%s %s", name == names ? "" : ",", *name);
        return run_refuse(c, VERB, EXIT_BLOCKED,
                        "still running under %s:%s; nothing was removed. First: mosaic fleet stop",
                        supervisor_to_string(c->record->supervisor), strbuf_text(&b));
}

/* What stands on these files must be down first. Returns 0 to go on, an exit code after its
 * sentence, negative errno. */
static int check_nothing_runs(Context *c) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = context_find_active(c, &names, &why);
        if (r == CONTEXT_ACTIVE) {
                return refuse_active(c, names);
        }
        if (r == CONTEXT_UNKNOWN)
                return run_refuse(c, VERB, EXIT_UNKNOWN,
                                "whether anything runs is not known: %s; nothing was removed", why);
        return r;
}

/* One in the foreground is no unit; without its holds and records it would start everything
 * anew. */
static int keep_controllers_away(const Context *c, int *ret_lock) {
        LockHolder holder;
        int r = lock_take_controller(c->paths, "uninstall", ret_lock, &holder);

        if (r != LOCK_BUSY)
                return r;
        return run_refuse(c, VERB, EXIT_BLOCKED,
                        "a controller runs (pid %d); nothing was removed. First: mosaic fleet stop",
                        (int)holder.pid);
}

/* Who removed the state directory removed the manifest: what is of mosaic is then known to
 * install-systemd only, by its content. */
static int check_manifest(const Context *c) {
        _cleanup_(install_report_freep) InstallReport *there = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = manifest_path(c->paths, &path);
        if (r < 0 || access(path, F_OK) == 0)
                return r;
        r = units_install(c->paths, c->record->tmux_tmpdir, INSTALL_DRY_RUN, NULL, &there);
        if (r < 0 || there->counts[INSTALL_UNCHANGED] == 0)
                return r;
        return run_refuse(c, VERB, EXIT_BLOCKED,
                        "%zu files are as mosaic ships them, and there is no %s that says whether "
                        "it put them there; nothing was removed. To take them over: mosaic fleet "
                        "install-systemd",
                        there->counts[INSTALL_UNCHANGED], path);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        _cleanup_options_ Options o = { 0 };
        UninstallOptions uninstall = { 0 };
        _cleanup_close_ int lock = -1, controller = -1;
        int code, r;

        r = options_parse(c, OPTION_DRY_RUN | OPTION_LOCK_TIMEOUT | OPTION_PURGE, argc, argv, &o);
        if (r != 0)
                return r;
        if (!o.dry_run) {
                r = run_lock(c, "uninstall-systemd", &o, &lock);
                if (r == 0)
                        r = keep_controllers_away(c, &controller);
                if (r != 0)
                        return r;
        }
        r = check_nothing_runs(c);
        if (r == 0)
                r = check_manifest(c);
        if (r != 0)
                return r;
        uninstall = (UninstallOptions){
                .dry_run = o.dry_run,
                .purge = o.purge,
                .remove_state = true,
        };
        r = units_uninstall(c->paths, &uninstall, &report);
        if (r == UNINSTALL_ACTIVE)
                return refuse_active(c, report->active);
        if (r == -ETIMEDOUT)
                return run_refuse(c, VERB, EXIT_UNKNOWN,
                                "whether units run is not known, the user manager does not answer; "
                                "nothing was "
                                "removed");
        if (r == -EBADMSG)
                return run_refuse(c, VERB, EXIT_BLOCKED,
                                "%s/manifest.json is garbled, so what is ours is not known; "
                                "nothing was removed",
                                c->paths->state);
        if (r < 0)
                return r;
        code = report->counts[INSTALL_FAILED] > 0 ? EXIT_INTERNAL : EXIT_OK;
        if (c->json) {
                r = output_install_json("mosaic.fleet.uninstall-systemd", report, code);
                return r < 0 ? r : code;
        }
        output_install(c, report);
        output_install_summary(o.dry_run ? "Would remove" : "Removed", report, code);
        return code;
}

const Verb verb_fleet_uninstall_systemd = {
        .group = "fleet",
        .name = "uninstall-systemd",
        .task = TASK_INSTALL,
        .synopsis = "[OPTION...]",
        .summary = "Remove exactly what install-systemd wrote",
        .help = "Refuses while agents or the tmux server run. This fleet's state (accepted\n"
                "specs, holds) goes too. The roster stays, always; files that you changed stay\n"
                "unless --purge is said.\n"
                "\n"
                "Options:\n"
                "      --dry-run         Say what would be done\n"
                "      --purge           Also files that you changed\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the list of files as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 removed, 1 a file could not be removed, 3 units still run,\n"
                "6 cannot tell, 7 locked.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet stop && mosaic fleet uninstall-systemd\n",
        .run = run,
};
