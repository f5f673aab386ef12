/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/manifest.json: which product-owned files this fleet installed, with their contents' hashes.
 * It tells a file the user changed from one that is merely of an older version, and uninstall what
 * to remove.
 *
 * While files are being replaced an entry names both hashes, the one from before and the one to
 * come: after a crash in between either is ours.
 */

#include <stdbool.h>
#include <stddef.h>

#include "drivers/os/paths.h"
#include "model/base/cleanup.h"
#include "model/base/hash.h"

typedef struct ManifestEntry {
        char *path; /* absolute */
        char sha256[SHA256_HEX_SIZE];
        char previous[SHA256_HEX_SIZE]; /* "" except while files are being replaced */
        unsigned mode;
} ManifestEntry;

typedef struct Manifest {
        ManifestEntry *entries;
        size_t n_entries;
        char **directories; /* made by us, outer ones first */
} Manifest;

void manifest_done(Manifest *m);
#define _cleanup_manifest_ _cleanup_(manifest_done)

/* Absent: empty. -EBADMSG: not a manifest of this version. */
_must_check_ int manifest_read(const Paths *p, Manifest *ret);
_must_check_ int manifest_write(const Paths *p, const Manifest *m);
_must_check_ int manifest_path(const Paths *p, char **ret);

/* NULL if there is none. Borrowed, valid until the next manifest_put(). */
ManifestEntry *manifest_find(const Manifest *m, const char *path);

/* Adds or replaces the entry of @path; one that is replaced keeps its old hash as `previous` if
 * asked. */
_must_check_ int
manifest_put(Manifest *m, const char *path, const char *sha256, unsigned mode, bool keep_previous);

void manifest_drop(Manifest *m, const char *path);

/* Whether a file with this hash is one we wrote at that path. */
bool manifest_owns(const Manifest *m, const char *path, const char *sha256);
