/* SPDX-License-Identifier: MIT */
#pragma once

/* What install.c and uninstall.c share. */

#include "drivers/systemd/install.h"
#include "drivers/systemd/manifest.h"

#define INSTALLED_SIZE_MAX (4 * 1024 * 1024)
#define INSTALL_MANAGER_TIMEOUT_USEC (10 * UINT64_C(1000000))

_must_check_ int install_report_new(InstallReport **ret);

/* Adds a line; the note is formatted and may be NULL. */
_must_check_ int install_report_add(
                InstallReport *r, const char *path, InstallStatus status, const char *note, ...)
                _printf_(4, 5);

/* Sorts by path. */
void install_report_sort(InstallReport *r);

/* What is at a path. */
typedef enum FileKind {
        FILE_ABSENT,
        FILE_REGULAR, /* hash and mode are known */
        FILE_OTHER,   /* a link, a directory, larger than anything of ours */
} FileKind;

typedef struct FileFacts {
        FileKind kind;
        char sha256[SHA256_HEX_SIZE];
        unsigned mode;
} FileFacts;

_must_check_ int file_facts_read(const char *path, FileFacts *ret);

/* One daemon-reload, if a unit changed. A manager that is not there is no error. */
_must_check_ int install_reload(const Paths *p, InstallReport *r);
