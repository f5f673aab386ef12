/* SPDX-License-Identifier: MIT */
#include "drivers/store/lines.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "drivers/os/file.h"
#include "model/base/format.h"

static int open_lines(const char *path) {
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

        return fd < 0 ? -errno : fd;
}

/* Two files of half the size at most: the full one becomes PATH.1. Of several writers who find it
 * full one moves it; who opened it before may go on to write into it. Positive: it is to be opened
 * anew. */
static int rotate(const char *path, int fd, size_t more, size_t max) {
        _cleanup_free_ char *old = NULL;
        struct stat ours, there;

        if (fstat(fd, &ours) < 0)
                return -errno;
        if (ours.st_size == 0 || (size_t)ours.st_size + more <= max / 2 ||
                        flock(fd, LOCK_EX | LOCK_NB) < 0)
                return 0;
        if (stat(path, &there) < 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino)
                return 1;
        if (format_text(&old, "%s.1", path) < 0)
                return -ENOMEM;
        return rename(path, old) < 0 ? -errno : 1;
}

/* Whether the last line was cut short: by a full disk, or a crash. */
static bool ends_within_line(int fd) {
        struct stat st;
        char last;

        return fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 &&
               last != '\n';
}

int lines_append(const char *path, const char *text, size_t max) {
        _cleanup_free_ char *whole = NULL;
        _cleanup_close_ int fd = -1;
        const char *begin;
        int r;

        if (format_text(&whole, "\n%s", text) < 0)
                return -ENOMEM;
        fd = open_lines(path);
        if (fd < 0)
                return fd;
        r = rotate(path, fd, strlen(text), max);
        if (r < 0)
                return r;
        if (r > 0) {
                (void)close(fd);
                fd = open_lines(path);
                if (fd < 0)
                        return fd;
        }
        /* The newline at the front ends a line that was cut short, so that only that one is
         * lost. */
        begin = whole + !ends_within_line(fd);
        /* At once: one write, unless the file system takes only a part of it, so lines of two
         * writers do not mix. */
        return file_write_fd(fd, begin, strlen(begin));
}
