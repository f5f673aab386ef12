/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Environment files (pure): `NAME=VALUE` lines. Blank lines and lines that begin with # are
 * skipped. A value may stand in single or double quotes, which are taken off; nothing is expanded
 * and no character escapes another. A variable that is reserved is a fault, as in `env:`.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"

/* A longer one is refused. */
#define ENV_FILE_MAX (1024 * 1024)

/* The kernel takes no string longer than this (MAX_ARG_STRLEN), name and NUL included. */
#define VARIABLE_MAX (128 * 1024)

/* A file whose whole text is one value. */
#define CREDENTIAL_MAX (VARIABLE_MAX - 256)

/*
 * Sets the variables of a file in @env. Returns 0, -ENOMEM, or -EINVAL with the line and what is
 * wrong with it in words that never quote the line, for it may be a secret; @env may then hold some
 * of them.
 */
_must_check_ int env_file_parse(const char *bytes,
                size_t n,
                char ***env,
                unsigned *ret_line,
                const char **ret_problem);

/* ^[A-Za-z_][A-Za-z0-9_]*$ */
bool env_name_is_valid(const char *name);
