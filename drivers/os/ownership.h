/* SPDX-License-Identifier: MIT */
#pragma once

/* Who besides this user may write a file, by its mode and group. Access control lists are not
 * looked at. Source: stat(2), the user database. */

#include <stdbool.h>
#include <sys/stat.h>

/* False where only a group may write that is this user's alone: Debian and Ubuntu make one for each
 * user, and Ubuntu's umask of 002 goes with it. A user database that does not answer counts as
 * others. */
bool others_may_write(const struct stat *st);
