/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/pidwatch.h"
#include "tests/unit/drivers/waiting-process.h"

#define PATIENCE_MSEC 10000

/* A child that lives until it is told to end, or until this process is gone. */
typedef struct Child {
        pid_t pid;
        int pipe;
} Child;

static Child child_new(void) {
        int pipe[2];
        Child c;

        assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
        c.pid = fork();
        assert_true(c.pid >= 0);
        if (c.pid == 0) {
                char byte;

                (void)close(pipe[1]);
                (void)!read(pipe[0], &byte, 1);
                _exit(0);
        }
        (void)close(pipe[0]);
        c.pipe = pipe[1];
        return c;
}

/* Later children have the pipe too: told by a byte, not by its end. */
static void child_end(Child *c) {
        assert_int_equal(write(c->pipe, "x", 1), 1);
        (void)close(c->pipe);
}

static void child_reap(Child *c) {
        assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

static bool is_readable(const PidWatch *w, int timeout) {
        struct pollfd p = { .fd = pidwatch_fd(w), .events = POLLIN };

        return poll(&p, 1, timeout) == 1;
}

static size_t count_fds(void) {
        _cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        return n;
}

/* The set, and whether one of it was gone. */
static bool set(PidWatch *w, size_t n, const pid_t *pids) {
        pid_t copy[16] = { 0 };
        bool gone = true;

        for (size_t i = 0; i < n; i++)
                copy[i] = pids[i];
        assert_int_equal(pidwatch_set(w, copy, n, &gone), 0);
        return gone;
}

static void test_tells_of_an_end(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new(), b = child_new();

        assert_int_equal(pidwatch_new(&w), 0);
        assert_false(pidwatch_take(w));
        assert_false(set(w, 2, (pid_t[]){ a.pid, b.pid }));
        assert_false(is_readable(w, 0));
        assert_false(pidwatch_take(w));
        child_end(&a);
        assert_true(is_readable(w, PATIENCE_MSEC));
        assert_true(pidwatch_take(w));
        /* Said once. */
        assert_false(is_readable(w, 0));
        assert_false(pidwatch_take(w));
        child_reap(&a);
        child_end(&b);
        assert_true(is_readable(w, PATIENCE_MSEC));
        assert_true(pidwatch_take(w));
        child_reap(&b);
        /* Both are still named, and known to be gone. */
        assert_true(set(w, 2, (pid_t[]){ a.pid, b.pid }));
        assert_false(is_readable(w, 0));
}

/* More ends at once than are taken in by one call of the kernel's. */
static void test_many_at_once(void **state _unused_) {
        enum { MANY = 150 };
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child children[MANY];
        pid_t pids[MANY];
        bool gone;

        assert_int_equal(pidwatch_new(&w), 0);
        for (size_t i = 0; i < MANY; i++) {
                children[i] = child_new();
                pids[MANY - 1 - i] = children[i].pid;
        }
        assert_int_equal(pidwatch_set(w, pids, MANY, &gone), 0);
        assert_false(gone);
        for (size_t i = 0; i < MANY; i++)
                child_end(children + i);
        for (size_t i = 0; i < MANY; i++)
                child_reap(children + i);
        assert_true(is_readable(w, 0));
        assert_true(pidwatch_take(w));
        assert_false(is_readable(w, 0));
        assert_false(pidwatch_take(w));
}

static void test_gone_already(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new(), b = child_new();

        assert_int_equal(pidwatch_new(&w), 0);
        child_end(&a);
        child_reap(&a);
        assert_true(set(w, 2, (pid_t[]){ b.pid, a.pid }));
        assert_false(is_readable(w, 0));
        child_end(&b); /* is watched all the same */
        assert_true(is_readable(w, PATIENCE_MSEC));
        assert_true(pidwatch_take(w));
        child_reap(&b);
}

static void test_replaces_the_set(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new(), b = child_new(), c = child_new();

        assert_int_equal(pidwatch_new(&w), 0);
        assert_false(set(w, 2, (pid_t[]){ a.pid, b.pid }));
        assert_false(set(w, 2, (pid_t[]){ c.pid, b.pid }));
        child_end(&a);
        child_reap(&a);
        assert_false(is_readable(w, 0)); /* nobody asks any more */
        assert_false(pidwatch_take(w));

        /* What ended before the set is told anew is not lost. */
        child_end(&b);
        child_reap(&b);
        assert_false(set(w, 2, (pid_t[]){ b.pid, c.pid }));
        assert_true(pidwatch_take(w));
        assert_false(set(w, 0, NULL));
        child_end(&c);
        child_reap(&c);
        assert_false(is_readable(w, 0));
}

static void test_odd_sets(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new();
        size_t n_fds;

        assert_int_equal(pidwatch_new(&w), 0);
        n_fds = count_fds();
        assert_false(set(w, 3, (pid_t[]){ 0, -1, INT32_MIN }));
        assert_int_equal(count_fds(), n_fds);
        assert_false(set(w, 5, (pid_t[]){ a.pid, a.pid, 0, a.pid, a.pid }));
        assert_int_equal(count_fds(), n_fds + 1);
        assert_false(set(w, 2, (pid_t[]){ a.pid, a.pid }));
        assert_int_equal(count_fds(), n_fds + 1);
        child_end(&a);
        child_reap(&a);
        assert_true(pidwatch_take(w));
        assert_int_equal(count_fds(), n_fds - 1); /* and the pipe's */
        assert_true(set(w, 3, (pid_t[]){ a.pid, a.pid, a.pid }));
}

/* Another process has copies of our descriptors, as the one that makes a pass: an end is told once,
 * and what is not watched any more is not told. */
static void test_descriptors_that_others_have_too(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new(), b = child_new(), copy;

        assert_int_equal(pidwatch_new(&w), 0);
        assert_false(set(w, 2, (pid_t[]){ a.pid, b.pid }));
        copy = child_new();
        assert_false(set(w, 1, (pid_t[]){ a.pid }));
        child_end(&b);
        child_reap(&b);
        assert_false(is_readable(w, 0));
        child_end(&a);
        child_reap(&a);
        (void)alarm(10);
        assert_true(pidwatch_take(w));
        (void)alarm(0);
        assert_false(is_readable(w, 0));
        assert_false(pidwatch_take(w));
        child_end(&copy);
        child_reap(&copy);
}

static void test_no_leak(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child children[6];
        size_t n_fds;

        assert_int_equal(pidwatch_new(&w), 0);
        for (size_t i = 0; i < 6; i++)
                children[i] = child_new();
        n_fds = count_fds();
        for (unsigned round = 0; round < 1000; round++) {
                pid_t pids[8];
                size_t n = 0, n_watched;

                for (size_t i = 0; i < 6; i++)
                        if ((round * 37 + 11) >> i & 1)
                                pids[n++] = children[i].pid;
                n_watched = n;
                pids[n++] = INT32_MAX; /* none has this number */
                assert_true(set(w, n, pids));
                assert_int_equal(count_fds(), n_fds + n_watched);
        }
        assert_false(set(w, 0, NULL));
        assert_int_equal(count_fds(), n_fds);
        for (unsigned round = 0; round < 1000; round++) {
                PidWatch *other = NULL;

                assert_int_equal(pidwatch_new(&other), 0);
                assert_false(set(other, 2, (pid_t[]){ children[0].pid, children[1].pid }));
                assert_null(pidwatch_free(other));
        }
        assert_int_equal(count_fds(), n_fds);
        for (size_t i = 0; i < 6; i++) {
                child_end(children + i);
                child_reap(children + i);
        }
}

/* The descriptors run out: said, the others are watched, and the next set tries again. */
static void test_no_descriptors(void **state _unused_) {
        _cleanup_(pidwatch_freep) PidWatch *w = NULL;
        Child a = child_new(), b = child_new();
        pid_t pids[] = { a.pid, b.pid };
        struct rlimit before, tight;
        int first;
        bool gone;

        assert_int_equal(pidwatch_new(&w), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        first = dup(0); /* the lowest one that is free */
        assert_true(first >= 0);
        (void)close(first);
        tight = before;
        tight.rlim_cur = (rlim_t)first + 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(pidwatch_set(w, pids, 2, &gone), -EMFILE);
        assert_false(gone);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(pidwatch_set(w, pids, 2, &gone), 0);
        assert_false(gone);
        child_end(&b);
        child_reap(&b);
        assert_true(pidwatch_take(w));
        child_end(&a);
        child_reap(&a);
        assert_true(pidwatch_take(w));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tells_of_an_end),
                cmocka_unit_test(test_many_at_once),
                cmocka_unit_test(test_gone_already),
                cmocka_unit_test(test_replaces_the_set),
                cmocka_unit_test(test_odd_sets),
                cmocka_unit_test(test_descriptors_that_others_have_too),
                cmocka_unit_test(test_no_leak),
                cmocka_unit_test(test_no_descriptors),
        };

        return has_pidfds() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
