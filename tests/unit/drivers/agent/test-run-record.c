/* SPDX-License-Identifier: MIT */

/* Which process does the record of an earlier agent name? Its pid may be another's by now. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/agent/run-record.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "tests/unit/drivers/waiting-process.h"

static char top[] = "/tmp/mosaic-test-run-record-XXXXXX";
static Launcher launcher = { .name = "web", .runtime = top };
static const AgentSpec spec = { .stop_timeout_usec = 60000000 };

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        assert_int_equal(chdir(top), 0);
        assert_int_equal(mkdir("run", 0700), 0);
        say_init("test");
        return 0;
}

static int teardown(void **state _unused_) {
        (void)unlink("run/web.json");
        return rmdir("run") | chdir("/") | rmdir(top);
}

static void put_record(pid_t pid, uint64_t start, const char *boot) {
        char text[200];

        (void)snprintf(text, sizeof(text),
                        "{\"version\":1,\"boot_id\":\"%s\",\"pid\":%d,\"start_time\":%llu}", boot,
                        (int)pid, (unsigned long long)start);
        assert_int_equal(file_replace("run/web.json", text, strlen(text), 0600), 0);
}

/* Is it another process, then it is left alone and nothing is in the way of a start. */
static void test_of_another(void **state _unused_) {
        char boot[BOOT_ID_SIZE];
        pid_t pid = make_process(NULL);
        uint64_t start;

        assert_int_equal(proc_boot_id(boot), 0);
        assert_int_equal(proc_start_time(pid, &start), 0);
        put_record(pid, start - 1, boot);
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ true), 0);
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ false), 0);
        put_record(pid, start, "another boot");
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ true), 0);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        end_process(pid);
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ true), 0);
}

/* One's own pid, from a record that an earlier process of that pid has left. */
static void test_own_pid(void **state _unused_) {
        char boot[BOOT_ID_SIZE];
        uint64_t start;

        assert_int_equal(proc_boot_id(boot), 0);
        assert_int_equal(proc_start_time(getpid(), &start), 0);
        put_record(getpid(), start, boot);
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ true), 0);
}

/* The same process: it is ended, and waited for. */
static void test_of_an_earlier_agent(void **state _unused_) {
        char boot[BOOT_ID_SIZE];
        pid_t pid = make_process(NULL);
        uint64_t start;
        int status;

        assert_int_equal(proc_boot_id(boot), 0);
        assert_int_equal(proc_start_time(pid, &start), 0);
        put_record(pid, start, boot);
        assert_int_equal(run_record_check(&launcher, &spec, /* end= */ true), 0);
        assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_another),
                cmocka_unit_test(test_own_pid),
                cmocka_unit_test(test_of_an_earlier_agent),
        };

        return has_pidfds() ? cmocka_run_group_tests(tests, setup, teardown) : 77;
}
