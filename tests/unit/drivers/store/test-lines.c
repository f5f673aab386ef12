/* SPDX-License-Identifier: MIT */

/* Files of lines under many writers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/store/lines.h"

#define MAX 4096
#define WRITERS 4
#define LINES 2000
#define LINE "a line of a message that somebody may want to look up\n"

/* How often the file before the last one was not a full one. */
static int append_lines(const char *path, const char *old) {
        int n_wrong = 0;

        for (int i = 0; i < LINES; i++) {
                struct stat st;

                if (lines_append(path, LINE, MAX) < 0 ||
                                (stat(old, &st) == 0 &&
                                                st.st_size <= MAX / 2 - (off_t)strlen(LINE)))
                        n_wrong++;
        }
        return n_wrong;
}

/* Senders to different agents share a log and no lock: of two that find it full, the second must
 * not put the begin of the new one in the place of the old one. */
static void test_many_writers(void **state) {
        char folder[] = "/tmp/mosaic-lines-XXXXXX", path[64], old[64];
        int n_wrong = 0;

        (void)state;
        assert_non_null(mkdtemp(folder));
        (void)snprintf(path, sizeof(path), "%s/log", folder);
        (void)snprintf(old, sizeof(old), "%s/log.1", folder);
        for (int i = 0; i < WRITERS; i++) {
                pid_t pid = fork();

                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(append_lines(path, old) > 0);
        }
        for (int i = 0; i < WRITERS; i++) {
                int end;

                assert_true(wait(&end) > 0);
                n_wrong += !WIFEXITED(end) || WEXITSTATUS(end) != 0;
        }
        assert_int_equal(unlink(path) | unlink(old) | rmdir(folder), 0);
        assert_int_equal(n_wrong, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_many_writers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
