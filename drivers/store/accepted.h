/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/accepted.json: what a pass needs to know of all accepted specs, in one file, so that it
 * does not read hundreds. A cache and nothing more: an entry counts only while the spec file has
 * the size and time of change that it names; without it the spec itself is read.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "drivers/os/paths.h"
#include "model/json.h"
#include "model/observed.h"
#include "model/spec.h"

/* The whole index; *ret is NULL if there is none that can be used. -ENOMEM. */
_must_check_ int accepted_read(const Paths *p, Json **ret);

/* Fills fingerprints and stop timeout of @f from the entry of its agent. 0, -ENOENT: no
 * entry for a file with this status, -ENOMEM. */
_must_check_ int accepted_lookup(const Json *index, const struct stat *st, ObservedFiles *f);

/* Fills the same from a spec file. -EBADMSG: it is none. */
_must_check_ int accepted_from_spec(const Json *spec, ObservedFiles *f);

/* Puts the entries of specs that were just written into the index. */
_must_check_ int accepted_update(const Paths *p, AgentSpec *const *specs, size_t n);
