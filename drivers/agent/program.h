/* SPDX-License-Identifier: MIT */
#pragma once

/* Finding the program of an agent before anybody is told that it runs. */

#include "model/base/cleanup.h"

/*
 * A name with a slash is taken as it is, from the working directory; another one is looked for in
 * @path, a PATH (NULL: the system's default). Returns 0 with a name for execve(2), which the caller
 * frees; -ENOENT; -EACCES if only files were found that cannot be executed; -EISDIR, -ENOMEM.
 */
_must_check_ int program_find(const char *name, const char *path, char **ret);
