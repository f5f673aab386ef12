/* SPDX-License-Identifier: MIT */
#include "drivers/os/proc.h"

#include <fcntl.h>
#include <string.h>
#include <termios.h>

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

/*
 * Cuts /proc/PID/stat at the blanks behind the name, which stands in parentheses and may hold
 * anything, also blanks and parentheses. fields[i] is the field that proc(5) gives the number i
 * + 3.
 */
#define FIRST_FIELD 3
#define N_FIELDS 22

static int read_stat(pid_t pid, char buffer[static 1024], char *fields[static N_FIELDS]) {
        char path[32], *rest;
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
        r = read_small(path, buffer, 1024);
        if (r < 0)
                return r;
        rest = strrchr(buffer, ')');
        if (!rest || rest[1] != ' ')
                return -EBADMSG;
        rest += 2;
        for (size_t i = 0; i < N_FIELDS; i++) {
                fields[i] = strsep(&rest, " \n");
                if (!fields[i])
                        return -EBADMSG;
        }
        /* A zombie has ended. */
        return *fields[0] == 'Z' || *fields[0] == 'X' ? -ESRCH : 0;
}

int proc_start_time(pid_t pid, uint64_t *ret) {
        char stat[1024], *fields[N_FIELDS];
        int r;

        r = read_stat(pid, stat, fields);
        if (r < 0)
                return r;
        return parse_uint64(fields[22 - FIRST_FIELD], ret) < 0 ? -EBADMSG : 0;
}

int proc_parent(pid_t pid, pid_t *ret) {
        char stat[1024], *fields[N_FIELDS];
        uint64_t parent;
        int r;

        r = read_stat(pid, stat, fields);
        if (r < 0)
                return r;
        if (parse_uint64(fields[4 - FIRST_FIELD], &parent) < 0 || parent > INT32_MAX)
                return -EBADMSG;
        *ret = (pid_t)parent;
        return 0;
}

int proc_is(pid_t pid, uint64_t start_time) {
        uint64_t now;
        int r;

        r = proc_start_time(pid, &now);
        if (r < 0 && r != -ESRCH && r != -EPERM && r != -EACCES)
                return r;
        return r == 0 && now == start_time;
}

int proc_other_foreground(pid_t pid, bool *ret) {
        char stat[1024], *fields[N_FIELDS];
        int r;

        r = read_stat(pid, stat, fields);
        if (r < 0)
                return r;
        if (strcmp(fields[8 - FIRST_FIELD], "-1") == 0)
                return -ENOTTY;
        *ret = strcmp(fields[8 - FIRST_FIELD], fields[5 - FIRST_FIELD]) != 0;
        return 0;
}

int proc_usage(pid_t pid, uint64_t *ret_cpu_usec, uint64_t *ret_memory) {
        char stat[1024], *fields[N_FIELDS];
        uint64_t ticks = 0, pages, v;
        long per_second = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
        int r;

        r = read_stat(pid, stat, fields);
        if (r < 0)
                return r;
        for (unsigned field = 14; field <= 17; field++) {
                if (parse_uint64(fields[field - FIRST_FIELD], &v) < 0)
                        return -EBADMSG;
                ticks += v;
        }
        if (parse_uint64(fields[24 - FIRST_FIELD], &pages) < 0 || per_second <= 0 || page <= 0)
                return -EBADMSG;
        *ret_cpu_usec = ticks * USEC_PER_SEC / (uint64_t)per_second;
        *ret_memory = pages * (uint64_t)page;
        return 0;
}

bool proc_terminal_collects_lines(const char *path) {
        _cleanup_close_ int fd = -1;
        struct termios t;

        fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        return fd >= 0 && tcgetattr(fd, &t) == 0 && (t.c_lflag & ICANON) != 0;
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
