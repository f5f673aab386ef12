/* SPDX-License-Identifier: MIT */

/* Saves of all kinds on a real file system: each is told, and nothing else is. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/dirwatch.h"

#define PATIENCE_MSEC 10000
#define WATCHES_MAX 12

/* Deep enough below /tmp that what others do there is not on the way. */
static char top[] = "/tmp/mosaic-dirwatch-XXXXXX";
static char base[sizeof(top) + 40];

static const char *in_base(const char *name) {
        static char paths[4][sizeof(base) + 200];
        static unsigned next;
        char *path = paths[next++ % 4];

        (void)snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
        return path;
}

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *ftw _unused_) {
        return remove(path);
}

static void remove_tree(const char *path) {
        assert_int_equal(nftw(path, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
}

static int set_up_group(void **state _unused_) {
        return mkdtemp(top) ? 0 : -1;
}

static int tear_down_group(void **state _unused_) {
        return rmdir(top);
}

static int set_up(void **state _unused_) {
        char path[sizeof(base)];

        (void)snprintf(path, sizeof(path), "%s/one", top);
        if (mkdir(path, 0700) < 0)
                return -1;
        (void)snprintf(path, sizeof(path), "%s/one/two", top);
        if (mkdir(path, 0700) < 0)
                return -1;
        (void)snprintf(base, sizeof(base), "%s/one/two/three", top);
        return mkdir(base, 0700);
}

static int tear_down(void **state _unused_) {
        char path[sizeof(base)];

        (void)snprintf(path, sizeof(path), "%s/one", top);
        return nftw(path, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static void make_dir(const char *name) {
        assert_int_equal(mkdir(in_base(name), 0700), 0);
}

static void move(const char *from, const char *to) {
        assert_int_equal(rename(in_base(from), in_base(to)), 0);
}

static void make_link(const char *target, const char *name) {
        assert_int_equal(symlink(target, in_base(name)), 0);
}

static void write_in_place(const char *name, const char *text) {
        _cleanup_close_ int fd =
                        open(in_base(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void save_over(const char *name, const char *text) {
        write_in_place("temporary", text);
        move("temporary", name);
}

/* A watch of @name, with its content. */
static DirWatch *watch(const char *name) {
        DirWatch *w = NULL;

        assert_int_equal(dirwatch_new(&w), 0);
        assert_int_equal(dirwatch_add(w, in_base(name), true), 0);
        assert_int_equal(dirwatch_renew(w), 0);
        assert_int_equal(dirwatch_degraded(w), 0);
        assert_true(dirwatch_count(w) <= WATCHES_MAX);
        return w;
}

/* What has happened has been queued when the call that did it is back: nothing is to be waited
 * for. */
static bool take(DirWatch *w) {
        bool touched[1] = { false };

        assert_int_equal(dirwatch_take(w, touched, 1), 0);
        assert_true(dirwatch_count(w) <= WATCHES_MAX);
        return touched[0];
}

#define assert_told(w)                                                                             \
        do {                                                                                       \
                struct pollfd told = { .fd = dirwatch_fd(w), .events = POLLIN };                   \
                                                                                                   \
                assert_int_equal(poll(&told, 1, PATIENCE_MSEC), 1);                                \
                assert_true(take(w));                                                              \
                assert_false(take(w));                                                             \
        } while (0)

#define assert_silent(w) assert_false(take(w))

/* Every way of saving @name is told, and again, and from a watch that has been told of others. */
static void assert_all_saves_told(DirWatch *w, const char *name) {
        for (unsigned round = 0; round < 3; round++) {
                _cleanup_close_ int fd = -1;

                write_in_place(name, "written");
                assert_told(w);
                fd = open(in_base(name), O_WRONLY | O_APPEND | O_CLOEXEC);
                assert_true(fd >= 0);
                assert_int_equal(write(fd, "+", 1), 1); /* and is not closed */
                assert_told(w);
                (void)close(TAKE_FD(fd));
                assert_told(w);
                assert_int_equal(truncate(in_base(name), 0), 0);
                assert_told(w);
                save_over(name, "replaced");
                assert_told(w);
                assert_int_equal(chmod(in_base(name), 0640), 0);
                assert_told(w);
                assert_int_equal(unlink(in_base(name)), 0);
                assert_told(w);
                write_in_place(name, "made");
                assert_told(w);
                move(name, "aside");
                assert_told(w);
                write_in_place("aside", "old name, old file");
                assert_silent(w);
                move("aside", name);
                assert_told(w);
        }
}

static void test_plain_file(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("fleet");
        write_in_place("fleet/roster", "first");
        w = watch("fleet/roster");
        assert_silent(w);
        assert_all_saves_told(w, "fleet/roster");
}

/* Other files, also such whose names begin alike, and whole directories. */
static void test_unrelated(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("fleet");
        write_in_place("fleet/roster", "first");
        w = watch("fleet/roster");
        for (unsigned i = 0; i < 3; i++) {
                write_in_place("fleet/other", "x");
                write_in_place("fleet/roster~", "x");
                write_in_place("fleet/roste", "x");
                save_over("fleet/other", "y");
                assert_int_equal(chmod(in_base("fleet/other"), 0640), 0);
                make_dir("fleet/.swp");
                make_dir("elsewhere");
                write_in_place("elsewhere/roster", "x");
                move("elsewhere", "fleet/inside");
                assert_silent(w);
                remove_tree(in_base("fleet/inside"));
                assert_int_equal(rmdir(in_base("fleet/.swp")), 0);
                assert_int_equal(unlink(in_base("fleet/other")), 0);
                assert_silent(w);
        }
        {
                _cleanup_close_ int fd = open(in_base("fleet/roster"), O_RDONLY | O_CLOEXEC);
                char byte;

                assert_int_equal(read(fd, &byte, 1), 1);
        }
        assert_silent(w);
        write_in_place("fleet/roster", "second");
        assert_told(w);
}

/* Of a socket only that it comes and goes. */
static void test_without_content(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        bool touched[2];

        make_dir("a");
        make_dir("b");
        write_in_place("a/roster", "");
        write_in_place("b/socket", "");
        assert_int_equal(dirwatch_new(&w), 0);
        assert_int_equal(dirwatch_add(w, in_base("a/roster"), true), 0);
        assert_int_equal(dirwatch_add(w, in_base("b/socket"), false), 0);
        assert_int_equal(dirwatch_renew(w), 0);
#define assert_touched(first, second)                                                              \
        do {                                                                                       \
                touched[0] = touched[1] = false;                                                   \
                assert_int_equal(dirwatch_take(w, touched, 2), 0);                                 \
                assert_int_equal(touched[0], first);                                               \
                assert_int_equal(touched[1], second);                                              \
        } while (0)
        for (unsigned i = 0; i < 3; i++) {
                assert_touched(false, false);
                write_in_place("b/socket", "x");
                assert_touched(false, false);
                write_in_place("a/roster", "x");
                assert_touched(true, false);
                assert_int_equal(unlink(in_base("b/socket")), 0);
                assert_touched(false, true);
                write_in_place("b/socket", "");
                assert_touched(false, true);
                remove_tree(in_base("b"));
                assert_touched(false, true);
                make_dir("b");
                assert_touched(false, true);
                write_in_place("b/socket", "");
                assert_touched(false, true);
                move("b", "a/b");
                assert_touched(false, true);
                move("a/b", "b");
                assert_touched(false, true);
        }
#undef assert_touched
}

/* Two files in one directory: neither's wish spoils the other's. */
static void test_same_directory(void **state _unused_) {
        for (unsigned order = 0; order < 2; order++) {
                _cleanup_(dirwatch_freep) DirWatch *w = NULL;
                bool touched[2] = { false, false };

                write_in_place("roster", "");
                write_in_place("socket", "");
                assert_int_equal(dirwatch_new(&w), 0);
                assert_int_equal(dirwatch_add(w, in_base(order ? "roster" : "socket"), order), 0);
                assert_int_equal(dirwatch_add(w, in_base(order ? "socket" : "roster"), !order), 0);
                assert_int_equal(dirwatch_renew(w), 0);
                write_in_place("roster", "x");
                assert_int_equal(dirwatch_take(w, touched, 2), 0);
                assert_int_equal(touched[0], order);
                assert_int_equal(touched[1], !order);
        }
}

static void test_directory_replaced(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("home");
        make_dir("home/fleet");
        write_in_place("home/fleet/roster", "first");
        w = watch("home/fleet/roster");
        for (unsigned round = 0; round < 3; round++) {
                make_dir("fleet.new");
                write_in_place("fleet.new/roster", "of the new one");
                assert_silent(w);
                move("home/fleet", "fleet.old");
                assert_told(w);
                move("fleet.new", "home/fleet");
                assert_told(w);
                write_in_place("fleet.old/roster", "of the old one");
                assert_silent(w);
                remove_tree(in_base("fleet.old"));
                assert_silent(w);
                assert_all_saves_told(w, "home/fleet/roster");

                /* In one step. */
                make_dir("fleet.new");
                write_in_place("fleet.new/roster", "of the new one");
                assert_int_equal(renameat2(AT_FDCWD, in_base("fleet.new"), AT_FDCWD,
                                                 in_base("home/fleet"), RENAME_EXCHANGE),
                                0);
                assert_told(w);
                remove_tree(in_base("fleet.new"));
                assert_silent(w);
                write_in_place("home/fleet/roster", "x");
                assert_told(w);

                /* One level up, and two. */
                move("home", "away");
                assert_told(w);
                make_dir("home");
                assert_told(w);
                make_dir("home/fleet");
                assert_told(w);
                write_in_place("home/fleet/roster", "x");
                assert_told(w);
                remove_tree(in_base("away"));
                assert_silent(w);
                write_in_place("home/fleet/roster", "x");
                assert_told(w);
        }
        remove_tree(in_base("home"));
        assert_told(w);
}

/* The directory two levels above the one that holds the file, with all below it. */
static void test_tree_replaced(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        for (unsigned round = 0; round < 3; round++) {
                make_dir("new");
                make_dir("new/b");
                make_dir("new/b/c");
                write_in_place("new/b/c/roster", "x");
                if (!w)
                        w = watch("a/b/c/roster");
                move("new", "a");
                assert_told(w);
                write_in_place("a/b/c/roster", "y");
                assert_told(w);
                move("a", "away");
                assert_told(w);
                remove_tree(in_base("away"));
                assert_silent(w);
        }
}

/* Nothing is there yet, for many levels. */
static void test_made_later(void **state _unused_) {
        static const char *const steps[] = { "a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e" };
        _cleanup_(dirwatch_freep) DirWatch *w = watch("a/b/c/d/e/roster");

        for (unsigned round = 0; round < 2; round++) {
                for (size_t i = 0; i < 5; i++) {
                        write_in_place("unrelated", "x");
                        assert_silent(w);
                        make_dir(steps[i]);
                        assert_told(w);
                }
                write_in_place("a/b/c/d/e/roster", "x");
                assert_told(w);
                assert_all_saves_told(w, "a/b/c/d/e/roster");
                remove_tree(in_base("a"));
                assert_told(w);
        }

        /* All at once, faster than it is looked. */
        for (size_t i = 0; i < 5; i++)
                make_dir(steps[i]);
        write_in_place("a/b/c/d/e/roster", "x");
        assert_told(w);
        write_in_place("a/b/c/d/e/roster", "y");
        assert_told(w);

        /* A file stands where a directory should. */
        remove_tree(in_base("a/b"));
        assert_told(w);
        write_in_place("a/b", "no directory");
        assert_told(w);
        assert_int_equal(unlink(in_base("a/b")), 0);
        assert_told(w);
        for (size_t i = 1; i < 5; i++)
                make_dir(steps[i]);
        assert_told(w);
}

static void test_link_into_another_directory(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("fleet");
        make_dir("store");
        make_dir("other");
        write_in_place("store/real", "first");
        make_link("../store/real", "fleet/roster");
        w = watch("fleet/roster");
        assert_silent(w);
        assert_all_saves_told(w, "store/real");
        write_in_place("store/unrelated", "x");
        write_in_place("fleet/unrelated", "x");
        assert_silent(w);

        /* The link leads elsewhere, by an absolute path. */
        write_in_place("other/real", "second");
        assert_silent(w);
        make_link(in_base("other/real"), "fleet/roster.new");
        move("fleet/roster.new", "fleet/roster");
        assert_told(w);
        write_in_place("store/real", "nobody's");
        assert_silent(w);
        assert_all_saves_told(w, "other/real");

        /* The directory that it leads to is moved away, and is made anew. */
        move("other", "gone");
        assert_told(w);
        make_dir("other");
        assert_told(w);
        write_in_place("other/real", "third");
        assert_told(w);

        /* It leads to nothing; then there is something. */
        assert_int_equal(unlink(in_base("fleet/roster")), 0);
        assert_told(w);
        make_link("../later/real", "fleet/roster");
        assert_told(w);
        make_dir("later");
        assert_told(w);
        write_in_place("later/real", "fourth");
        assert_told(w);

        /* No link any more. */
        write_in_place("fleet/plain", "fifth");
        move("fleet/plain", "fleet/roster");
        assert_told(w);
        assert_all_saves_told(w, "fleet/roster");
        write_in_place("later/real", "nobody's");
        assert_silent(w);
}

/* A directory on the way is a link, and the link is swapped. */
static void test_linked_directory(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("one");
        make_dir("two");
        write_in_place("one/roster", "1");
        write_in_place("two/roster", "2");
        make_link("one", "current");
        w = watch("current/roster");
        for (unsigned round = 0; round < 4; round++) {
                const char *here = round % 2 ? "two/roster" : "one/roster";
                const char *there = round % 2 ? "one/roster" : "two/roster";

                write_in_place(here, "x");
                assert_told(w);
                write_in_place(there, "x");
                assert_silent(w);
                make_link(round % 2 ? "one" : "two", "new");
                move("new", "current");
                assert_told(w);
        }
}

/* roster -> ..data/roster, ..data -> ..VERSION; a new version is made beside, and ..data
 * swapped. */
static void test_double_link(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        char old[40], next[40], file[60], link[60];

        make_dir("volume");
        make_dir("volume/..0");
        write_in_place("volume/..0/roster", "0");
        make_link("..0", "volume/..data");
        make_link("..data/roster", "volume/roster");
        w = watch("volume/roster");
        for (unsigned i = 1; i <= 20; i++) {
                (void)snprintf(old, sizeof(old), "volume/..%u", i - 1);
                (void)snprintf(next, sizeof(next), "volume/..%u", i);
                (void)snprintf(file, sizeof(file), "volume/..%u/roster", i);
                (void)snprintf(link, sizeof(link), "..%u", i);
                make_dir(next);
                write_in_place(file, "next");
                make_link(link, "volume/..data_tmp");
                assert_silent(w);
                move("volume/..data_tmp", "volume/..data");
                assert_told(w);
                remove_tree(in_base(old));
                assert_silent(w);
                write_in_place(file, "in place, all the same");
                assert_told(w);
        }
}

/* Dots and doubled slashes are no way of their own. */
static void test_odd_paths(void **state _unused_) {
        static const char *const names[] = { "a//b/./roster", "a/../a/b/roster", "x/../a/b/roster",
                "./a/b/../b//roster" };

        make_dir("x");
        make_dir("a");
        make_dir("a/b");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(dirwatch_freep) DirWatch *w = NULL;

                write_in_place("a/b/roster", "first");
                w = watch(names[i]);
                assert_all_saves_told(w, "a/b/roster");
        }
}

static void test_link_loop(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_link("b", "a");
        make_link("a", "b");
        make_link("self/again", "self");
        w = watch("a");
        write_in_place("unrelated", "x");
        assert_silent(w);
        assert_int_equal(unlink(in_base("b")), 0);
        assert_told(w);
        write_in_place("b", "a file at last");
        assert_told(w);
        write_in_place("b", "x");
        assert_told(w);
        dirwatch_free(TAKE_PTR(w));
        w = watch("self/roster");
        assert_int_equal(unlink(in_base("self")), 0);
        assert_told(w);
}

/* Another name of the same file, in a directory that nobody watches. */
static void test_hard_link(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;

        make_dir("fleet");
        make_dir("elsewhere");
        make_dir("elsewhere/deep");
        write_in_place("fleet/roster", "first");
        assert_int_equal(link(in_base("fleet/roster"), in_base("elsewhere/deep/name")), 0);
        w = watch("fleet/roster");
        write_in_place("elsewhere/deep/name", "second");
        assert_told(w);
        save_over("fleet/roster", "a file of its own");
        assert_told(w);
        write_in_place("elsewhere/deep/name", "third");
        assert_silent(w);
}

/* How many watches the kernel has of us. */
static size_t kernel_count(const DirWatch *w) {
        _cleanup_fclose_ FILE *info = NULL;
        char path[64], line[400];
        size_t n = 0;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dirwatch_fd(w));
        info = fopen(path, "re");
        assert_non_null(info);
        while (fgets(line, sizeof(line), info))
                n += strncmp(line, "inotify wd:", 11) == 0;
        return n;
}

/* A thousand saves of each kind later there is nothing more than there was. */
static void test_does_not_grow(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        char name[32];
        size_t n;

        make_dir("fleet");
        make_dir("fleet/..0");
        write_in_place("fleet/..0/roster", "x");
        make_link("..0", "fleet/..data");
        make_link("..data/roster", "fleet/roster");
        w = watch("fleet/roster");
        n = dirwatch_count(w);
        for (unsigned i = 0; i < 1000; i++) {
                make_dir("fleet/..1");
                write_in_place("fleet/..1/roster", "x");
                assert_int_equal(renameat2(AT_FDCWD, in_base("fleet/..1"), AT_FDCWD,
                                                 in_base("fleet/..0"), RENAME_EXCHANGE),
                                0);
                remove_tree(in_base("fleet/..1"));
                assert_true(take(w));
                assert_int_equal(dirwatch_count(w), n);
        }
        for (unsigned i = 0; i < 1000; i++) {
                save_over("fleet/..0/roster", "x");
                assert_true(take(w));
                assert_int_equal(dirwatch_count(w), n);
        }
        assert_int_equal(kernel_count(w), n);
        dirwatch_free(TAKE_PTR(w));

        /* Directories that stay, and are left. */
        for (unsigned i = 0; i < 30; i++) {
                (void)snprintf(name, sizeof(name), "v%u", i);
                make_dir(name);
                (void)snprintf(name, sizeof(name), "v%u/roster", i);
                write_in_place(name, "x");
        }
        make_link("v0", "current");
        w = watch("current/roster");
        n = dirwatch_count(w);
        for (unsigned i = 0; i < 300; i++) {
                (void)snprintf(name, sizeof(name), "v%u", (i + 1) % 30);
                make_link(name, "new");
                move("new", "current");
                assert_true(take(w));
                assert_int_equal(dirwatch_count(w), n);
                assert_int_equal(kernel_count(w), n);
        }
}

/* --- when the kernel does not tell ------------------------------------------------------------ */

static void test_overflow(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        _cleanup_fclose_ FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
        char text[32] = "";
        unsigned long n;
        int files[2];

        assert_non_null(limit);
        assert_non_null(fgets(text, sizeof(text), limit));
        n = strtoul(text, NULL, 10);
        if (n > 200000)
                skip();
        write_in_place("roster", "x");
        w = watch("roster");
        /* In turn: two equal events in a row would be one. Writes cost less than new files. */
        for (size_t i = 0; i < 2; i++) {
                write_in_place(i == 0 ? "one" : "other", "");
                files[i] = open(in_base(i == 0 ? "one" : "other"), O_WRONLY | O_CLOEXEC);
                assert_true(files[i] >= 0);
        }
        for (unsigned long i = 0; i < n + 4; i++)
                assert_int_equal(pwrite(files[i % 2], "x", 1, 0), 1);
        (void)close(files[0]);
        (void)close(files[1]);
        write_in_place("roster", "lost");
        assert_true(take(w));
        assert_false(take(w));
        write_in_place("roster", "y");
        assert_told(w);
}

static void test_no_instance(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        struct rlimit before, tight;
        bool touched[1] = { false };

        write_in_place("roster", "x");
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        tight = before;
        tight.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(dirwatch_new(&w), 0);
        assert_int_equal(dirwatch_add(w, in_base("roster"), true), 0);
        assert_int_equal(dirwatch_renew(w), 0);
        assert_int_equal(dirwatch_fd(w), -1);
        assert_int_equal(dirwatch_degraded(w), -EMFILE);
        assert_int_equal(dirwatch_count(w), 0);
        assert_int_equal(dirwatch_take(w, touched, 1), 0);
        assert_false(touched[0]);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(dirwatch_renew(w), 0);
        assert_int_equal(dirwatch_degraded(w), 0);
        write_in_place("roster", "y");
        assert_told(w);
}

/* The descriptor went bad: all is told, and the next one has another number, so that nobody takes
 * it for the one before. */
static void test_bad_descriptor(void **state _unused_) {
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        _cleanup_close_ int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int before;

        write_in_place("roster", "x");
        w = watch("roster");
        before = dirwatch_fd(w);
        assert_int_equal(dup3(other, before, O_CLOEXEC), before);
        assert_true(take(w));
        assert_int_equal(dirwatch_degraded(w), 0);
        assert_int_not_equal(dirwatch_fd(w), before);
        write_in_place("roster", "y");
        assert_told(w);
}

/* The loop lets go of the bad one before it is closed: somebody else has it open too, as a process
 * that was forked meanwhile, and what epoll still has of it would be told to nobody, for ever. */
static void test_bad_descriptor_in_a_loop(void **state _unused_) {
        _cleanup_close_ int loop = epoll_create1(EPOLL_CLOEXEC), others = -1;
        _cleanup_close_ int bad = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(dirwatch_freep) DirWatch *w = NULL;
        struct epoll_event event = { .events = EPOLLIN }, came;
        int before;

        write_in_place("roster", "x");
        w = watch("roster");
        before = dirwatch_fd(w);
        assert_int_equal(dup3(bad, before, O_CLOEXEC), before); /* reading it fails */
        assert_int_equal(close(TAKE_FD(bad)), 0);
        others = fcntl(before, F_DUPFD_CLOEXEC, 0);
        assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, before, &event), 0);
        assert_int_equal(epoll_wait(loop, &came, 1, 0), 1);
        assert_true(take(w));
        assert_int_not_equal(dirwatch_fd(w), before);
        assert_int_equal(epoll_ctl(loop, EPOLL_CTL_DEL, before, NULL), 0);
        dirwatch_close_old(w);
        assert_int_equal(fcntl(before, F_GETFD), -1);
        assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, dirwatch_fd(w), &event), 0);
        assert_int_equal(epoll_wait(loop, &came, 1, 0), 0);
        write_in_place("roster", "y");
        assert_int_equal(epoll_wait(loop, &came, 1, 10000), 1);
        assert_told(w);
}

static void run_apart(int (*body)(void)) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(body());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* A directory of another user's which may be passed and not read: above the file's it is nothing to
 * speak of, the file's own one is. */
static int pass_without_reading(void) {
        DirWatch *w = NULL;

        if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0)
                return 1;
        if (dirwatch_new(&w) < 0 || dirwatch_add(w, in_base("a/b/roster"), true) < 0)
                return 2;
        if (dirwatch_renew(w) != 0 || dirwatch_degraded(w) != 0)
                return 3;
        if (dirwatch_add(w, in_base("a/roster"), true) < 0)
                return 4;
        if (dirwatch_renew(w) != 0 || dirwatch_degraded(w) != -EACCES)
                return 5;
        dirwatch_free(w);
        return 0;
}

static void test_unreadable_directory(void **state _unused_) {
        char path[sizeof(base)];

        make_dir("a");
        make_dir("a/b");
        (void)snprintf(path, sizeof(path), "%s/one", top);
        assert_int_equal(chmod(top, 0755) | chmod(path, 0755) | chmod(base, 0755), 0);
        (void)snprintf(path, sizeof(path), "%s/one/two", top);
        assert_int_equal(chmod(path, 0755) | chmod(in_base("a/b"), 0755), 0);
        assert_int_equal(chmod(in_base("a"), 0311), 0);
        run_apart(pass_without_reading);
        assert_int_equal(chmod(in_base("a"), 0755), 0);
}

static bool write_limit(const char *text) {
        int fd = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

        if (fd >= 0)
                (void)close(fd);
        return n == (ssize_t)strlen(text);
}

/* In a user namespace of its own, where the limit is ours. 77: none is to be had. */
static int refuse_watches(void) {
        DirWatch *w = NULL;
        bool touched[1] = { false };

        if (unshare(CLONE_NEWUSER) < 0 || !write_limit("2"))
                return 77;
        if (dirwatch_new(&w) < 0 || dirwatch_add(w, in_base("a/b/c/roster"), true) < 0)
                return 1;
        if (dirwatch_renew(w) != 0 || dirwatch_degraded(w) != -ENOSPC || dirwatch_count(w) != 2)
                return 2;
        if (!write_limit("1000") || dirwatch_renew(w) != 0 || dirwatch_degraded(w) != 0)
                return 3;
        write_in_place("a/b/c/roster", "y");
        if (dirwatch_take(w, touched, 1) != 0 || !touched[0])
                return 4;
        if (dirwatch_count(w) > WATCHES_MAX)
                return 5;
        dirwatch_free(w);
        return 0;
}

static void test_no_watches(void **state _unused_) {
        make_dir("a");
        make_dir("a/b");
        make_dir("a/b/c");
        write_in_place("a/b/c/roster", "x");
        run_apart(refuse_watches);
}

/* --- anything --------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return *seed >> 33;
}

/* What the path leads to now: the file's identity and content, or nothing. */
static void read_now(const char *name, char ret[64]) {
        _cleanup_close_ int fd = open(in_base(name), O_RDONLY | O_CLOEXEC);
        struct stat st;
        char text[16] = "";

        if (fd < 0 || fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && read(fd, text, 15) < 0))
                (void)snprintf(ret, 64, "nothing");
        else
                (void)snprintf(ret, 64, "%ju %.15s", (uintmax_t)st.st_ino, text);
}

/* One step of any kind in a small tree of directories, files and links; most of them fail. */
static void step(uint64_t *seed, unsigned n) {
        static const char *const places[] = { "a", "b", "a/x", "b/x", "a/x/roster", "b/x/roster",
                "a/roster", "b/roster", "a/y", "b/y" };
        static const char *const targets[] = { "../b/x", "x/roster", "../b/roster", "y", "../b",
                "../a/y", "b", "a", "roster" };
        char path[2][sizeof(base) + 40], text[16];
        int fd;

        for (unsigned i = 0; i < 2; i++)
                (void)snprintf(path[i], sizeof(path[i]), "%s/%s", base,
                                places[random_next(seed) % ELEMENTSOF(places)]);
        switch (random_next(seed) % 8) {
        case 0:
                (void)!mkdir(path[0], 0700);
                break;
        case 1:
                (void)!rename(path[0], path[1]);
                break;
        case 2:
                (void)!renameat2(AT_FDCWD, path[0], AT_FDCWD, path[1], RENAME_EXCHANGE);
                break;
        case 3:
                (void)!symlink(targets[random_next(seed) % ELEMENTSOF(targets)], path[0]);
                break;
        case 4:
                (void)!unlink(path[0]);
                break;
        case 5:
                (void)!link(path[0], path[1]);
                break;
        case 6:
                (void)!rmdir(path[0]);
                break;
        default:
                fd = open(path[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                if (fd < 0)
                        break;
                (void)snprintf(text, sizeof(text), "%u", n);
                assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
                (void)close(fd);
                break;
        }
}

/* Whatever is done to the tree: if the path leads to something else than before, that is told. */
static void test_any_change_is_told(void **state _unused_) {
        unsigned n_changes = 0;

        for (uint64_t run = 1; run <= 40; run++) {
                _cleanup_(dirwatch_freep) DirWatch *w = NULL;
                uint64_t seed = run;
                char before[64], now[64];

                assert_int_equal(tear_down(NULL), 0);
                assert_int_equal(set_up(NULL), 0);
                w = watch("a/x/roster");
                read_now("a/x/roster", before);
                for (unsigned n = 0; n < 600; n++) {
                        unsigned burst = 1 + (unsigned)random_next(&seed) % 3;
                        bool told;

                        while (burst-- > 0)
                                step(&seed, n);
                        read_now("a/x/roster", now);
                        told = take(w);
                        if (strcmp(before, now) != 0 && !told)
                                fail_msg("run %ju, step %u: %s became %s", (uintmax_t)run, n,
                                                before, now);
                        n_changes += strcmp(before, now) != 0;
                        memcpy(before, now, sizeof(now));
                }
        }
        assert_true(n_changes > 500);
}

#define unit(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                unit(test_plain_file),
                unit(test_unrelated),
                unit(test_without_content),
                unit(test_same_directory),
                unit(test_directory_replaced),
                unit(test_tree_replaced),
                unit(test_made_later),
                unit(test_link_into_another_directory),
                unit(test_linked_directory),
                unit(test_double_link),
                unit(test_odd_paths),
                unit(test_link_loop),
                unit(test_hard_link),
                unit(test_does_not_grow),
                unit(test_overflow),
                unit(test_no_instance),
                unit(test_bad_descriptor),
                unit(test_bad_descriptor_in_a_loop),
                unit(test_no_watches),
                unit(test_unreadable_directory),
                unit(test_any_change_is_told),
        };

        return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
