/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/proc.h"

/* A name that looks like more fields, and has no end of its own. */
static void test_start_time(void **state _unused_) {
        uint64_t before, parent, child = 0;
        siginfo_t info;
        pid_t pid;

        assert_int_equal(proc_start_time(getpid(), &before), 0);
        assert_true(before > 0);
        assert_int_equal(prctl(PR_SET_NAME, ") Z 1 ) 2 (", 0, 0, 0), 0);
        assert_int_equal(proc_start_time(getpid(), &parent), 0);
        assert_true(parent == before);

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)pause();
                _exit(0);
        }
        assert_int_equal(proc_start_time(pid, &child), 0);
        assert_true(child >= parent);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(proc_start_time(pid, &child), -ESRCH); /* a zombie runs no more */
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(proc_start_time(pid, &child), -ESRCH);
        assert_int_equal(prctl(PR_SET_NAME, "test-proc", 0, 0, 0), 0);
}

/* A pid alone is nobody; and who cannot look does not know. */
static void test_is(void **state _unused_) {
        struct rlimit before, none;
        uint64_t start;
        int fd;

        assert_int_equal(proc_start_time(getpid(), &start), 0);
        assert_int_equal(proc_is(getpid(), start), 1);
        assert_int_equal(proc_is(getpid(), start - 1), 0);
        assert_int_equal(proc_is(INT32_MAX, start), 0);
        fd = dup(0);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){ .rlim_cur = (rlim_t)fd, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(proc_is(getpid(), start), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_boot_id(void **state _unused_) {
        char a[BOOT_ID_SIZE], b[BOOT_ID_SIZE];

        assert_int_equal(proc_boot_id(a), 0);
        assert_int_equal(proc_boot_id(b), 0);
        assert_string_equal(a, b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
}

static void test_cgroup(void **state _unused_) {
        char *path = NULL;
        int r;

        r = proc_cgroup(getpid(), &path);
        assert_true(r == 0 || r == -ENODATA);
        if (r == 0)
                assert_int_equal(path[0], '/');
        free(path);
        assert_int_equal(proc_cgroup(0x7ffffffe, &path), -ESRCH);
}

static void test_parent(void **state _unused_) {
        pid_t parent = 0;

        assert_int_equal(proc_parent(getpid(), &parent), 0);
        assert_int_equal(parent, getppid());
        assert_int_equal(proc_parent(0x7ffffffe, &parent), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start_time),
                cmocka_unit_test(test_is),
                cmocka_unit_test(test_boot_id),
                cmocka_unit_test(test_cgroup),
                cmocka_unit_test(test_parent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
