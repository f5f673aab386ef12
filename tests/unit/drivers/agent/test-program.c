/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/agent/program.h"

static char top[] = "/tmp/mosaic-test-program-XXXXXX";

static void make(const char *name, mode_t mode) {
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, mode), 0);
        assert_int_equal(close(fd), 0);
}

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        assert_int_equal(chdir(top), 0);
        assert_int_equal(mkdir("a", 0700) | mkdir("b", 0700) | mkdir("b/dir", 0700), 0);
        make("here", 0700);
        make("a/plain", 0600);
        make("b/plain", 0700);
        make("b/only", 0700);
        make("a/closed", 0600);
        return 0;
}

static int teardown(void **state _unused_) {
        static const char *const names[] = { "b/only", "b/plain", "a/plain", "a/closed", "here" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_int_equal(unlink(names[i]), 0);
        assert_int_equal(rmdir("b/dir") | rmdir("a") | rmdir("b") | chdir("/") | rmdir(top), 0);
        return 0;
}

static void test_find(void **state _unused_) {
        static const struct {
                const char *name;
                const char *path;
                int result;
                const char *found;
        } table[] = {
                { "only", "a:b", 0, "b/only" },
                { "plain", "a:b", 0, "b/plain" }, /* the first cannot be executed */
                { "closed", "a:b", -EACCES, NULL },
                { "dir", "a:b", -ENOENT, NULL },
                { "missing", "a:b", -ENOENT, NULL },
                { "here", "a::b:", -ENOENT,
                                NULL }, /* an empty element is not the working directory */
                { "here", ".", 0, "./here" },
                { "./here", NULL, 0, "./here" },
                { "b/only", "a", 0, "b/only" },
                { "b/dir", "b", -EISDIR, NULL },
                { "a/plain", "b", -EACCES, NULL },
                { "here/x", "a", -ENOENT, NULL },
                { "sh", NULL, 0, "/usr/bin/sh" },
                { "sh", "", 0, "/usr/bin/sh" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *found = NULL;

                assert_int_equal(program_find(table[i].name, table[i].path, &found),
                                table[i].result);
                if (table[i].found && strcmp(table[i].name, "sh") == 0)
                        assert_string_equal(strrchr(found, '/'), "/sh");
                else if (table[i].found)
                        assert_string_equal(found, table[i].found);
                else
                        assert_null(found);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
