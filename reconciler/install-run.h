/* SPDX-License-Identifier: MIT */
#pragma once

/* What `fleet install-systemd` and `update` have in common: one run of the installer. */

#include "drivers/systemd/install.h"
#include "reconciler/context.h"

typedef struct InstallRun {
        const char *verb;    /* as the lock and messages name it */
        const char *format;  /* of the JSON document */
        const char *done;    /* "Installed" */
        const char *would;   /* "Would install" */
        bool only_installed; /* refuse where nothing is installed; leave the units out where systemd
                                does not run the fleet */
        /* After a success that was not only a dry run; may be NULL. Negative errno ends the run. */
        int (*conclude)(Context *c);
        /* What a person does next, in text; may be NULL. */
        void (*next)(const Context *c, const InstallReport *report);
} InstallRun;

/* Returns an exit code or a negative errno. */
_must_check_ int install_run(Context *c, const InstallRun *run, int argc, char **argv);
