/* SPDX-License-Identifier: MIT */
#pragma once

/* A process that only waits, for tests of whose pid it is. */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/cleanup.h"

/* @name: what the kernel calls it; NULL: as the test. It ends with the test at the latest. */
_unused_ static pid_t make_process(const char *name) {
        char byte = 0;
        int ready[2];
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (name)
                        (void)prctl(PR_SET_NAME, name, 0, 0, 0);
                (void)!write(ready[1], &byte, 1);
                for (;;)
                        (void)pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void)close(ready[0]);
        (void)close(ready[1]);
        return pid;
}

_unused_ static void end_process(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* An emulator such as valgrind may not know pidfd_open(2) or pidfd_send_signal(2); every kernel
 * that we run on does. */
static bool has_pidfds(void) {
        _cleanup_close_ int fd = pidfd_open(getpid(), 0);

        if ((fd >= 0 && pidfd_send_signal(fd, 0, NULL, 0) == 0) || errno != ENOSYS)
                return true;
        print_message("no pidfds here\n");
        return false;
}
