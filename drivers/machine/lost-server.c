/* SPDX-License-Identifier: MIT */
#include "drivers/machine/lost-server.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "model/base/format.h"
#include "model/base/parse.h"

#define REPAIR_TIMEOUT_USEC (10 * USEC_PER_SEC)

int lost_server_is(pid_t pid, pid_t younger, bool *ret) {
        _cleanup_free_ char *path = NULL, *name = NULL;
        uint64_t start = 0, later = UINT64_MAX;
        size_t size;
        int r;

        if (format_text(&path, "/proc/%d/comm", (int)pid) < 0)
                return -ENOMEM;
        *ret = false;
        r = file_read_limited(path, NAME_MAX, &name, &size);
        if (r == 0 && strncmp(name, "tmux: server", 12) != 0)
                return 0;
        /* One that was killed keeps its name until it is reaped; it has no start time any more. */
        if (r == 0)
                r = proc_start_time(pid, &start);
        if (r == 0 && younger != 0)
                r = proc_start_time(younger, &later);
        if (r == -ENOENT || r == -ESRCH || r == -EPERM || r == -EACCES)
                return 0; /* it is gone, or none of ours */
        if (r < 0)
                return r;
        *ret = start <= later;
        return 0;
}

/* The pid was that of a tmux server a moment ago; by its pidfd it is still the same process. */
int lost_server_repair(const TmuxServer *tmux, pid_t pid, char **ret_message) {
        uint64_t deadline = clock_monotonic_usec() + REPAIR_TIMEOUT_USEC;
        _cleanup_close_ int fd = -1;
        bool is_tmux;
        int r;

        fd = pidfd_open(pid, 0);
        if (fd < 0)
                return -errno;
        r = lost_server_is(pid, /* younger= */ 0, &is_tmux);
        if (r < 0)
                return r;
        if (!is_tmux)
                return -ESRCH;
        if (pidfd_send_signal(fd, SIGUSR1, NULL, 0) < 0)
                return -errno;
        while (tmux_server_probe(tmux) < 0) {
                if (clock_monotonic_usec() >= deadline) {
                        *ret_message = strdup("the server did not make its socket again");
                        return -ETIMEDOUT;
                }
                clock_pause(10 * USEC_PER_MSEC);
        }
        return 0;
}
