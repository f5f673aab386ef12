/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "drivers/os/file.h"
#include "model/base/strv.h"

static char top[] = "/tmp/mosaic-test-file-XXXXXX";

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        return chdir(top);
}

static int teardown(void **state _unused_) {
        return chdir("/") | rmdir(top);
}

static void assert_content(const char *path, const char *text) {
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        assert_int_equal(file_read_limited(path, 1000, &bytes, &n), 0);
        assert_string_equal(bytes, text);
        assert_int_equal(n, strlen(text));
}

static size_t count_entries(const char *path) {
        _cleanup_closedir_ DIR *d = opendir(path);
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        return n - 2;
}

static void test_replace(void **state _unused_) {
        mode_t mask = umask(0077);
        struct stat st;

        assert_int_equal(file_replace("f", "one", 3, 0644), 0);
        (void)umask(mask);
        assert_content("f", "one");
        assert_int_equal(stat("f", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(file_replace("./f", "", 0, 0600), 0);
        assert_content("f", "");
        assert_int_equal(stat("f", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(count_entries("."), 1); /* no temporary file stays */

        assert_int_equal(file_replace_volatile("f", "two", 3, 0640), 0);
        assert_content("f", "two");
        assert_int_equal(stat("f", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(count_entries("."), 1);

        assert_int_equal(file_replace("no/f", "x", 1, 0600), -ENOENT);
        assert_int_equal(file_replace("f/g", "x", 1, 0600), -ENOTDIR);
        assert_int_equal(file_replace("f/", "x", 1, 0600), -EISDIR);
        assert_int_equal(mkdir("d", 0700), 0);
        assert_int_equal(file_replace("d", "x", 1, 0600), -EISDIR);
        assert_int_equal(count_entries("."), 2);
        assert_int_equal(rmdir("d") | unlink("f"), 0);
}

/* Only a plain file is replaced; what a crash left under the temporary name is no obstacle. */
static void test_replace_only_files(void **state _unused_) {
        char text[] = "new", link[] = "link", pipe[] = "pipe";
        const struct {
                char *name;
                mode_t type;
                int error;
        } cases[] = {
                { link, S_IFLNK, -ELOOP },
                { pipe, S_IFIFO, -ENOTSUP },
        };
        char leftover[64];
        struct stat st;

        assert_int_equal(file_replace("target", "kept", 4, 0600), 0);
        assert_int_equal(symlink("target", link), 0);
        assert_int_equal(mkfifo(pipe, 0600), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *names[] = { cases[i].name, NULL }, *texts[] = { text, NULL };

                assert_int_equal(file_replace(cases[i].name, "x", 1, 0600), cases[i].error);
                assert_int_equal(file_replace_many(".", names, texts, 0600), cases[i].error);
                assert_int_equal(file_replace_many_volatile(".", names, texts, 0600),
                                cases[i].error);
                assert_int_equal(lstat(cases[i].name, &st), 0);
                assert_int_equal(st.st_mode & S_IFMT, cases[i].type);
        }
        assert_int_equal(file_replace("/dev/null", "x", 1, 0600), -ENOTSUP);
        assert_content("target", "kept");
        (void)snprintf(leftover, sizeof(leftover), ".target.tmp-%ld", (long)getpid());
        assert_int_equal(symlink("target", leftover), 0);
        assert_int_equal(file_replace("target", "new", 3, 0600), 0);
        assert_content("target", "new");
        assert_int_equal(count_entries("."), 3);
        assert_int_equal(unlink(link) | unlink(pipe) | unlink("target"), 0);
}

/* A pid that no process has: of a child that was waited for. */
static pid_t dead_pid(void) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        return pid;
}

static void test_sweep(void **state _unused_) {
        const long dead = (long)dead_pid(), alive = (long)getpid();
        const struct {
                const char *prefix, *before;
                long pid;
                const char *after;
                time_t age;
                bool swept;
        } cases[] = {
                { "", ".a.json.tmp-", dead, "", 100, true },
                { "a.js", ".a.json.tmp-", dead, "", 100, true },
                { "", ".x.tmp-1.tmp-", dead, "", 100, true },
                { "b", ".a.json.tmp-", dead, "", 100, false },
                { "", ".a.json.tmp-", dead, "", 5, false },
                { "", ".a.json.tmp-", alive, "", 100, false },
                { "", ".a.json.tmp-", dead, "x", 100, false },
                { "", ".a.json.tmp-x", dead, "", 100, false },
                { "", ".tmp-", dead, "", 100, false },
                { "", "a.json.tmp-", dead, "", 100, false },
                { "", ".a.json-", dead, "", 100, false },
        };

        assert_int_equal(mkdir("swept", 0700), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const time_t then = time(NULL) - cases[i].age;
                const struct timespec times[2] = { { .tv_sec = then }, { .tv_sec = then } };
                char *path;

                assert_true(asprintf(&path, "swept/%s%ld%s", cases[i].before, cases[i].pid,
                                            cases[i].after) > 0);
                assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
                assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
                dir_sweep("swept", cases[i].prefix);
                assert_int_equal(access(path, F_OK) < 0, cases[i].swept);
                if (!cases[i].swept)
                        assert_int_equal(unlink(path), 0);
                free(path);
        }
        dir_sweep("absent", "");
        assert_int_equal(rmdir("swept"), 0);
}

static void test_replace_many(void **state _unused_) {
        for (size_t n = 0; n <= 10; n += 2) { /* fsync(2) for few, syncfs(2) for many */
                _cleanup_strv_ char **names = NULL, **texts = NULL;

                assert_int_equal(mkdir("many", 0700), 0);
                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(strv_pushf(&names, "f%zu", i), 0);
                        assert_int_equal(strv_pushf(&texts, "text %zu", i), 0);
                }
                assert_int_equal(file_replace_many("many", names, texts, 0600), 0);
                assert_int_equal(count_entries("many"), n);
                for (size_t i = 0; i < n; i++) {
                        char path[32], text[32];

                        (void)snprintf(path, sizeof(path), "many/f%zu", i);
                        (void)snprintf(text, sizeof(text), "text %zu", i);
                        assert_content(path, text);
                        assert_int_equal(unlink(path), 0);
                }
                assert_int_equal(rmdir("many"), 0);
        }
}

static void test_replace_many_failures(void **state _unused_) {
        char one[] = "one", two[] = "two", *names[] = { one, two, NULL };

        assert_int_equal(mkdir("many", 0700) | mkdir("many/two", 0700), 0);
        assert_int_equal(file_replace_many("many", names, names + 1, 0600), -EINVAL);
        assert_int_equal(file_replace_many("absent", names, names, 0600), -ENOENT);
        assert_int_equal(file_replace_many("many", names, names, 0600), -EISDIR);
        assert_int_equal(count_entries("many"), 2); /* "one" and the directory, nothing temporary */
        assert_int_equal(unlink("many/one") | rmdir("many/two") | rmdir("many"), 0);
}

static void test_read(void **state _unused_) {
        _cleanup_free_ char *bytes = NULL, *large = malloc(10000);
        size_t n;

        assert_non_null(large);
        memset(large, 'x', 10000);
        assert_int_equal(file_replace("f", large, 10000, 0600), 0);
        assert_int_equal(file_read_limited("f", 10000, &bytes, &n), 0);
        assert_int_equal(n, 10000);
        assert_memory_equal(bytes, large, 10000);
        free(TAKE_PTR(bytes));
        assert_int_equal(file_read_limited("f", 9999, &bytes, &n), -EFBIG);
        assert_int_equal(file_read_limited("f", 0, &bytes, &n), -EFBIG);
        assert_int_equal(file_read_limited("absent", 10, &bytes, &n), -ENOENT);
        assert_int_equal(file_read_limited(".", 10, &bytes, &n), -EINVAL);
        assert_int_equal(mkfifo("fifo", 0600), 0);
        assert_int_equal(
                        file_read_limited("fifo", 10, &bytes, &n), -EINVAL); /* and does not wait */
        assert_null(bytes);
        assert_int_equal(unlink("fifo") | unlink("f"), 0);
        assert_int_equal(file_read_limited("/proc/self/status", 65536, &bytes, &n), 0);
        assert_true(n > 100);
}

static void test_remove_and_make(void **state _unused_) {
        struct stat st;

        assert_int_equal(file_remove("absent"), 0);
        assert_int_equal(file_replace("f", "x", 1, 0600), 0);
        assert_int_equal(file_remove("f"), 0);
        assert_int_equal(access("f", F_OK), -1);

        assert_int_equal(dir_make("a/b/c"), 0);
        assert_int_equal(dir_make("a/b/c"), 0);
        assert_int_equal(dir_make("a/b/d/"), 0);
        assert_int_equal(stat("a", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(file_replace("a/f", "x", 1, 0600), 0);
        assert_int_equal(dir_make("a/f"), -ENOTDIR);
        assert_int_equal(dir_make("a/f/g"), -ENOTDIR);
        assert_int_equal(dir_make(""), -EINVAL);
        assert_int_equal(
                        unlink("a/f") | rmdir("a/b/c") | rmdir("a/b/d") | rmdir("a/b") | rmdir("a"),
                        0);
}

/* What others may have written is not read, and a directory that they can write to is not ours. */
static void test_own(void **state _unused_) {
        static const struct {
                mode_t mode;
                int result;
        } modes[] = { { 0600, 0 }, { 0400, 0 }, { 0644, 0 }, { 0620, -EPERM }, { 0602, -EPERM } };
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        assert_int_equal(file_replace("f", "one", 3, 0600), 0);
        assert_int_equal(mkdir("d", 0700) | symlink("d", "link"), 0);
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(chmod("f", modes[i].mode) | chmod("d", modes[i].mode | 0100), 0);
                assert_int_equal(file_read_own("f", 10, &text, &n), modes[i].result);
                assert_int_equal(dir_check_own("d"), modes[i].result);
                assert_int_equal(dir_check_own("link"), modes[i].result);
        }
        assert_int_equal(file_read_own("none", 10, &bytes, &n), -ENOENT);
        assert_int_equal(dir_check_own("none"), 0);
        if (geteuid() == 0) {
                assert_int_equal(chmod("f", 0600) | chmod("d", 0700), 0);
                assert_int_equal(chown("f", 12345, 12345) | chown("d", 12345, 12345), 0);
                assert_int_equal(file_read_own("f", 10, &bytes, &n), -EPERM);
                assert_int_equal(dir_check_own("d"), -EPERM);
        }
        assert_int_equal(unlink("f") | unlink("link") | rmdir("d"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replace),
                cmocka_unit_test(test_replace_only_files),
                cmocka_unit_test(test_sweep),
                cmocka_unit_test(test_replace_many),
                cmocka_unit_test(test_replace_many_failures),
                cmocka_unit_test(test_read),
                cmocka_unit_test(test_remove_and_make),
                cmocka_unit_test(test_own),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
