/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/agent/session-script.h"
#include "drivers/os/file.h"
#include "framework/assets.h"

static char top[] = "/tmp/mosaic-test-script-XXXXXX";

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        return chdir(top);
}

static int teardown(void **state _unused_) {
        (void)unlink("script");
        assert_int_equal(chdir("/") | rmdir(top), 0);
        return 0;
}

/* In a process of its own, which then ends with 100 if the function returned. */
static int run(const char *bytes, size_t n) {
        int status;
        pid_t pid;

        (void)unlink("script");
        if (bytes)
                assert_int_equal(file_replace_volatile("script", bytes, n, 0644), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(session_script_run("script", "web") == 0 ? 100 : 101);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Only the very bytes that were shipped are not run. */
static void test_script(void **state _unused_) {
        const Asset *shipped = asset_find("tools/fleet/start-agent-session.sh");
        static const char own[] = "test $# -eq 1 && test \"$1\" = web && exit 7";
        char *changed;

        assert_non_null(shipped);
        assert_int_equal(run((const char *)shipped->bytes, shipped->size), 100);
        assert_int_equal(run(own, strlen(own)), 7);

        assert_int_equal(unsetenv("MOSAIC_LIBEXEC_DIR"), 0);
        assert_int_equal(run((const char *)shipped->bytes, shipped->size - 1), 178);
        changed = malloc(shipped->size + 1);
        assert_non_null(changed);
        memcpy(changed, shipped->bytes, shipped->size);
        changed[shipped->size] = '\n';
        assert_int_equal(run(changed, shipped->size + 1), 178);
        assert_int_equal(changed[shipped->size - 2], '"'); /* of "$1" */
        changed[shipped->size - 1] = ' ';
        assert_int_equal(run(changed, shipped->size), 178);
        free(changed);
        assert_in_range(run(NULL, 0), 1, 99);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_script) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
