/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/clock.h"
#include "drivers/os/lock.h"
#include "model/base/parse.h"

static char top[] = "/tmp/mosaic-test-lock-XXXXXX";

static int setup(void **state _unused_) {
        return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state _unused_) {
        char path[64];

        static const char *const files[] = { "lock", "controller.lock", "send/web", "send/web-2" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                (void)snprintf(path, sizeof(path), "%s/%s", top, files[i]);
                (void)unlink(path);
        }
        (void)snprintf(path, sizeof(path), "%s/send", top);
        return rmdir(path) | rmdir(top);
}

static void on_alarm(int number _unused_) {
}

static void test_lock(void **state _unused_) {
        const struct sigaction action = { .sa_handler = on_alarm };
        const struct itimerval soon = {
                .it_interval = { .tv_usec = 100000 },
                .it_value = { .tv_usec = 100000 },
        };
        const Paths p = { .state = top, .runtime = top };
        _cleanup_close_ int fd = -1, second = -1;
        LockHolder holder;
        uint64_t before;

        assert_int_equal(lock_take(&p, "apply", 0, &fd, &holder), 0);
        assert_int_equal(lock_take(&p, "stop", 0, &second, &holder), LOCK_BUSY);
        assert_int_equal(holder.pid, getpid());
        assert_string_equal(holder.verb, "apply");
        assert_int_equal(second, -1);

        /* Who is interrupted while waiting does not wait on, and gets nothing. */
        assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
        before = clock_monotonic_usec();
        assert_int_equal(lock_take(&p, "stop", 20 * USEC_PER_SEC, &second, &holder), -EINTR);
        assert_true(clock_monotonic_usec() - before < 5 * USEC_PER_SEC);
        assert_int_equal(second, -1);

        assert_int_equal(close(TAKE_FD(fd)), 0);
        assert_int_equal(lock_take(&p, "stop", 0, &second, &holder), 0);
}

/* Who is the controller is seen without taking its lock, and only while it has it. */
static void test_controller(void **state _unused_) {
        const Paths p = { .state = top, .runtime = top };
        _cleanup_close_ int fd = -1;
        LockHolder holder;

        assert_int_equal(lock_controller(&p), 0); /* there is no file */
        assert_int_equal(lock_take_controller(&p, LOCK_WATCH, &fd, &holder), 0);
        assert_int_equal(lock_controller(&p), getpid());
        assert_int_equal(close(TAKE_FD(fd)), 0);
        assert_int_equal(lock_controller(&p), 0); /* our pid still stands in it */
        assert_int_equal(lock_take_controller(&p, "stop", &fd, &holder), 0);
        assert_int_equal(holder.pid, getpid());
        assert_int_equal(lock_controller(&p), 0); /* no controller */
}

/* An agent's lock: one at a time, says what the one before left, and lives as long as a child that
 * was started meanwhile. */
static void test_agent_lock(void **state _unused_) {
        const Paths p = { .state = top, .runtime = top };
        _cleanup_close_ int fd = -1, second = -1, other = -1;
        LockHolder holder;
        int pipes[2];
        pid_t child;

        assert_int_equal(lock_take_agent(&p, "web", "send", 0, &fd, &holder), 0);
        assert_string_equal(holder.verb, "");
        assert_int_equal(lock_take_agent(&p, "web", "send", 0, &second, &holder), LOCK_BUSY);
        assert_int_equal(holder.pid, getpid());
        assert_int_equal(lock_take_agent(&p, "web-2", "send", 0, &other, &holder), 0);
        assert_int_equal(lock_note(fd, "typed-0a1b2c3d"), 0);

        assert_int_equal(pipe(pipes), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                (void)close(pipes[1]);
                _exit(execlp("cat", "cat", (char *)NULL));
        }
        /* The child holds what it inherited until its input ends. */
        assert_int_equal(kill(child, SIGSTOP), 0);
        assert_int_equal(close(TAKE_FD(fd)), 0);
        assert_int_equal(lock_take_agent(&p, "web", "send", 0, &second, &holder), LOCK_BUSY);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(lock_take_agent(&p, "web", "send", 0, &second, &holder), 0);
        assert_string_equal(holder.verb, "typed-0a1b2c3d");
        (void)close(pipes[0]);
        (void)close(pipes[1]);
}

/* Where others can write, nobody takes a lock. */
static void test_shared(void **state _unused_) {
        const Paths p = { .state = top, .runtime = top };
        _cleanup_close_ int fd = -1;
        LockHolder holder;

        assert_int_equal(chmod(top, 0770), 0);
        assert_int_equal(lock_take(&p, "apply", 0, &fd, &holder), -EPERM);
        assert_int_equal(lock_take_controller(&p, "stop", &fd, &holder), -EPERM);
        assert_int_equal(chmod(top, 0700), 0);
        assert_int_equal(lock_take(&p, "apply", 0, &fd, &holder), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_lock),
                cmocka_unit_test(test_agent_lock), cmocka_unit_test(test_controller),
                cmocka_unit_test(test_shared) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
