/* SPDX-License-Identifier: MIT */
#include "drivers/agent/program.h"

#include <string.h>
#include <sys/stat.h>

#include "drivers/os/process.h"
#include "model/base/format.h"

static int check(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EACCES;
        return access(path, X_OK) < 0 ? -errno : 0;
}

int program_find(const char *name, const char *path, char **ret) {
        _cleanup_free_ char *copy = NULL;
        char *rest, *dir;
        int result = -ENOENT, r;

        if (strchr(name, '/')) {
                r = check(name);
                if (r < 0)
                        return r;
                copy = strdup(name);
                if (!copy)
                        return -ENOMEM;
                *ret = TAKE_PTR(copy);
                return 0;
        }
        copy = strdup(path && *path ? path : PROCESS_DEFAULT_PATH);
        if (!copy)
                return -ENOMEM;
        rest = copy;
        while ((dir = strsep(&rest, ":"))) {
                _cleanup_free_ char *candidate = NULL;

                /* An empty element means the working directory, which an agent writes to: not
                 * here. */
                if (*dir == '\0')
                        continue;
                if (format_text(&candidate, "%s/%s", dir, name) < 0)
                        return -ENOMEM;
                r = check(candidate);
                if (r == 0) {
                        *ret = TAKE_PTR(candidate);
                        return 0;
                }
                if (r == -EACCES)
                        result = r;
        }
        return result;
}
