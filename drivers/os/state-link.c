/* SPDX-License-Identifier: MIT */
#include "drivers/os/state-link.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/os/file.h"

/* Whether the link leads to a directory that is there, and is not ours. */
static bool leads_elsewhere(const Paths *p, const char *link) {
        struct stat ours, theirs;

        if (stat(link, &theirs) < 0)
                return errno == EACCES;
        if (stat(p->state, &ours) < 0)
                return true;
        return ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino;
}

static int check(const Paths *p, const char *link, char **ret_other) {
        char target[PATH_MAX];
        ssize_t n = readlink(link, target, sizeof(target));

        if (n < 0 || (size_t)n == sizeof(target) || !leads_elsewhere(p, link))
                return 0;
        *ret_other = strndup(target, (size_t)n);
        return *ret_other ? STATE_IS_ELSEWHERE : -ENOMEM;
}

int state_link_check(const Paths *p, char **ret_other) {
        _cleanup_free_ char *link = NULL;
        int r = path_join(p->runtime, "state", &link);

        return r < 0 ? r : check(p, link, ret_other);
}

int state_link_claim(const Paths *p, char **ret_other) {
        _cleanup_free_ char *link = NULL;
        int r = path_join(p->runtime, "state", &link);

        if (r == 0)
                r = check(p, link, ret_other);
        if (r != 0)
                return r;
        /* Without the link all works as if there were one state; what hinders it will be told by
         * who needs the directory. */
        if (access(link, F_OK) == 0 || dir_make(p->runtime) < 0)
                return 0;
        if (symlink(p->state, link) == 0 || errno != EEXIST)
                return 0;
        /* It leads to what is gone; or somebody else made it at this moment, and so it is seen. */
        r = check(p, link, ret_other);
        if (r != 0 || access(link, F_OK) == 0 || file_remove(link) < 0 ||
                        symlink(p->state, link) == 0)
                return r;
        return check(p, link, ret_other);
}
