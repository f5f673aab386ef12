/* SPDX-License-Identifier: MIT */
#include "drivers/os/ownership.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "model/base/cleanup.h"

/* Named as this user, whose first group it is, and without another member. */
static bool is_private(gid_t gid) {
        const struct passwd *user = getpwuid(geteuid());
        _cleanup_free_ char *name = NULL;
        const struct group *group;

        if (!user || user->pw_gid != gid)
                return false;
        name = strdup(user->pw_name);
        group = name ? getgrgid(gid) : NULL;
        if (!group || strcmp(group->gr_name, name) != 0)
                return false;
        for (char **m = group->gr_mem; *m; m++)
                if (strcmp(*m, name) != 0)
                        return false;
        return true;
}

bool others_may_write(const struct stat *st) {
        return st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && !is_private(st->st_gid));
}
