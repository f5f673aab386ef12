/* SPDX-License-Identifier: MIT */
#include "drivers/os/proc.h"

#include <fcntl.h>
#include <string.h>

#include "drivers/os/file.h"
#include "model/base/parse.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static int read_small(const char *path, char *buffer, size_t size) {
        _cleanup_close_ int fd = -1;
        ssize_t n;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, buffer, size - 1);
        if (n < 0)
                return -errno; /* -ESRCH if it ended in between */
        buffer[n] = '\0';
        return 0;
}

/* The fields of /proc/PID/stat after the name, which stands in parentheses and may hold anything,
 * also blanks and parentheses. The first of them is number 3. */
int proc_start_time(pid_t pid, uint64_t *ret) {
        enum { STATE = 3, START_TIME = 22 };
        char path[32], stat[1024], *field, *rest;
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
        r = read_small(path, stat, sizeof(stat));
        if (r < 0)
                return r;
        rest = strrchr(stat, ')');
        if (!rest || rest[1] != ' ')
                return -EBADMSG;
        rest += 2;
        for (int n = STATE; (field = strsep(&rest, " \n")); n++) {
                if (n == STATE && (*field == 'Z' || *field == 'X'))
                        return -ESRCH;
                if (n == START_TIME)
                        return parse_uint64(field, ret) < 0 ? -EBADMSG : 0;
        }
        return -EBADMSG;
}

int proc_boot_id(char ret[BOOT_ID_SIZE]) {
        char text[BOOT_ID_SIZE + 1];
        int r;

        r = read_small(BOOT_ID_PATH, text, sizeof(text));
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        if (strlen(text) != BOOT_ID_SIZE - 1)
                return -EBADMSG;
        memcpy(ret, text, BOOT_ID_SIZE);
        return 0;
}

int proc_cgroup(pid_t pid, char **ret) {
        _cleanup_free_ char *bytes = NULL;
        char path[32], *named = NULL, *unified = NULL, *rest, *line, *copy;
        size_t size;
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
        r = file_read_limited(path, 64 * 1024, &bytes, &size);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        rest = bytes;
        while ((line = strsep(&rest, "\n"))) {
                if (strncmp(line, "0::/", 4) == 0)
                        unified = line + 3;
                else if (strstr(line, ":name=systemd:/"))
                        named = strstr(line, ":name=systemd:/") + strlen(":name=systemd:");
        }
        /* In a hybrid setup both are there, and the manager's own is the named one. */
        if (!named && !unified)
                return -ENODATA;
        copy = strdup(named ? named : unified);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
