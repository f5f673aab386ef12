/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Installs the product-owned files of a fleet: units (from templates) where the user manager reads
 * them, tools, schema and examples below the home. Idempotent. A file that the user changed is
 * kept, the new one lands beside it as NAME.new. Enables nothing, starts and stops nothing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "drivers/os/paths.h"
#include "drivers/systemd/manager.h"
#include "model/base/cleanup.h"

typedef enum InstallStatus {
        INSTALL_NEW,
        INSTALL_UPDATED,
        INSTALL_UNCHANGED,
        INSTALL_MODIFIED, /* changed by the user: kept, ours is NAME.new */
        INSTALL_REMOVED,
        INSTALL_KEPT, /* changed by the user: not removed */
        INSTALL_FAILED,
        _INSTALL_STATUS_MAX,
} InstallStatus;

/* "new", "updated", "unchanged", "modified", "removed", "kept", "failed" */
const char *install_status_to_string(InstallStatus s);

typedef struct InstallItem {
        char *path;
        InstallStatus status;
        char *note; /* sentence; may be NULL */
} InstallItem;

typedef struct InstallReport {
        InstallItem *items; /* in the order of the paths */
        size_t n_items;
        size_t counts[_INSTALL_STATUS_MAX];
        bool units_changed; /* a unit file or drop-in was written or removed, or would be */
        bool reloaded;      /* and the manager has read them */
        char *reload_note;  /* why not, or what else there is to say of it; may be NULL */
        char **active;      /* uninstall: units that run, why nothing was done; else NULL */
} InstallReport;

InstallReport *install_report_free(InstallReport *r);
DEFINE_CLEANUP(InstallReport *, install_report_free)

/* How units_install() goes about it. */
enum {
        INSTALL_DRY_RUN = 1u << 0,  /* say what would be done */
        INSTALL_NO_UNITS = 1u << 1, /* for a fleet that systemd does not run: all but the units */
};

/*
 * Installs, or with INSTALL_DRY_RUN says what would be done. Files that fail are in the report, and
 * the others are installed all the same. One daemon-reload if a unit changed and there is a
 * manager.
 *
 * Returns 0 with a report; -EILSEQ: a path cannot stand in a unit file, *ret_culprit (may be NULL;
 * caller frees) names it; -EBADMSG: the manifest is garbled (what is ours is not known); another
 * negative errno.
 */
_must_check_ int units_install(const Paths *p,
                const char *tmux_tmpdir,
                unsigned flags,
                char **ret_culprit,
                InstallReport **ret);

typedef struct UninstallOptions {
        bool dry_run;
        bool purge;        /* also files the user changed */
        bool remove_state; /* also the state and runtime directories, with everything in them */
} UninstallOptions;

/* Named outcome of units_uninstall(). */
#define UNINSTALL_ACTIVE 1

/*
 * Removes what units_install() wrote, our drop-ins, the links that `systemctl --user enable` made
 * for our units, and directories of ours that are then empty; one daemon-reload.
 *
 * The caller has made sure that nothing of the fleet runs that no manager knows of: with
 * @remove_state what agents stand on goes too.
 *
 * Returns 0 with a report; UNINSTALL_ACTIVE: units of this fleet run (report->active), nothing was
 * touched; -ETIMEDOUT and others: whether any runs is not known, nothing was touched; -EBADMSG as
 * above.
 */
_must_check_ int units_uninstall(
                const Paths *p, const UninstallOptions *options, InstallReport **ret);

/* Whether the template and the holder's unit are where units_install() puts them. */
bool units_are_installed(const Paths *p);
