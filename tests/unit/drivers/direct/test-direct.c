/* SPDX-License-Identifier: MIT */

/* Stopping an agent that has no keeper: the process that its run file names, and no other one that
 * has got its pid. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/direct/direct.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "model/base/parse.h"
#include "tests/unit/drivers/waiting-process.h"

#define PRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char top[] = "/tmp/mosaic-test-direct-XXXXXX";
static Paths paths = { .state = top, .runtime = top };

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        assert_int_equal(chdir(top), 0);
        assert_int_equal(mkdir("run", 0700), 0);
        return 0;
}

static int teardown(void **state _unused_) {
        for (char name = 'a'; name <= 'h'; name++)
                (void)unlink((char[]){ 'r', 'u', 'n', '/', name, '.', 'j', 's', 'o', 'n', '\0' });
        (void)unlink("run/web.json");
        return rmdir("run") | chdir("/") | rmdir(top);
}

static void put_named(const char *agent, pid_t pid, uint64_t start) {
        char text[500], path[32], boot[BOOT_ID_SIZE];

        assert_int_equal(proc_boot_id(boot), 0);
        (void)snprintf(text, sizeof(text),
                        "{\"version\":1,\"boot_id\":\"%s\",\"pid\":%d,\"start_time\":%llu,"
                        "\"started_usec\":1,\"restart_fingerprint\":\"" PRINT
                        "\",\"resolved\":\"" PRINT "\"}",
                        boot, (int)pid, (unsigned long long)start);
        (void)snprintf(path, sizeof(path), "run/%s.json", agent);
        assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void put_record(pid_t pid, uint64_t start) {
        put_named("web", pid, start);
}

static int stop(void) {
        DriverJob job = {
                .kind = DRIVER_STOP, .agent = "web", .stop_timeout_usec = 60 * USEC_PER_SEC
        };
        DirectSupervisor *d;

        assert_int_equal(direct_new(&paths, &d), 0);
        assert_int_equal(direct_submit(d, &job), 0);
        assert_int_equal(direct_wait(d, NULL, clock_monotonic_usec() + 60 * USEC_PER_SEC, NULL,
                                         NULL),
                        0);
        assert_true(job.finished);
        direct_free(d);
        free(job.message);
        return job.error;
}

static void test_of_another(void **state _unused_) {
        pid_t pid = make_process(NULL);
        uint64_t start;

        assert_int_equal(proc_start_time(pid, &start), 0);
        put_record(pid, start - 1);
        assert_int_equal(stop(), 0);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        end_process(pid);
        put_record(pid, start);
        assert_int_equal(stop(), 0); /* it has ended */
}

static void test_of_the_agent(void **state _unused_) {
        pid_t pid = make_process(NULL);
        uint64_t start;
        int status;

        assert_int_equal(proc_start_time(pid, &start), 0);
        put_record(pid, start);
        assert_int_equal(stop(), 0);
        assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* A record that cannot be read: whether it runs is not known, and nothing was stopped. */
static void test_not_known(void **state _unused_) {
        assert_int_equal(file_replace("run/web.json", "{", 1, 0600), 0);
        assert_int_equal(stop(), -EBADMSG);
}

/* However few descriptors are left: what is said to be stopped has ended, and only that. */
static void stop_with_descriptors(unsigned n_left) {
        static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
        DriverJob jobs[ELEMENTSOF(names)] = { 0 };
        pid_t pids[ELEMENTSOF(names)];
        struct rlimit before, few;
        DirectSupervisor *d;
        int fd;

        assert_int_equal(direct_new(&paths, &d), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                uint64_t start;

                pids[i] = make_process(NULL);
                assert_int_equal(proc_start_time(pids[i], &start), 0);
                put_named(names[i], pids[i], start);
                jobs[i] = (DriverJob){
                        .kind = DRIVER_STOP,
                        .agent = names[i],
                        .stop_timeout_usec = 60 * USEC_PER_SEC,
                };
                assert_int_equal(direct_submit(d, jobs + i), 0);
        }
        fd = dup(0);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = before;
        few.rlim_cur = (rlim_t)fd + n_left;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(direct_wait(d, NULL, clock_monotonic_usec() + 60 * USEC_PER_SEC, NULL,
                                         NULL),
                        0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                bool ended = waitpid(pids[i], NULL, WNOHANG) == pids[i];

                assert_true(jobs[i].finished);
                assert_int_equal(jobs[i].error == 0, ended);
                if (!ended) {
                        assert_int_equal(kill(pids[i], SIGKILL), 0);
                        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
                }
                free(jobs[i].message);
        }
        direct_free(d);
}

static void test_few_descriptors(void **state _unused_) {
        (void)unlink("run/web.json");
        for (unsigned n_left = 0; n_left < 16; n_left++)
                stop_with_descriptors(n_left);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_another),
                cmocka_unit_test(test_of_the_agent),
                cmocka_unit_test(test_not_known),
                cmocka_unit_test(test_few_descriptors),
        };

        return has_pidfds() ? cmocka_run_group_tests(tests, setup, teardown) : 77;
}
