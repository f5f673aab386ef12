/* SPDX-License-Identifier: MIT */

/* Records that nothing waits for when they are written: what a crash of the machine leaves of
 * them; and which process it is that they name. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/store/store.h"
#include "model/base/format.h"

static char folder[] = "/tmp/mosaic-store-XXXXXX";
static Paths paths = { .state = folder, .runtime = folder };

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *ftw _unused_) {
        return strcmp(path, folder) == 0 ? 0 : remove(path);
}

static int set_up(void **state _unused_) {
        return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state _unused_) {
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS) | rmdir(folder);
}

/* A record without its content, as old as the epoch or new. */
static void put_empty(const char *sub, bool old) {
        const struct timespec times[] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
        _cleanup_free_ char *dir = NULL, *path = NULL;

        assert_int_equal(format_text(&dir, "%s/%s", folder, sub), 0);
        assert_int_equal(format_text(&path, "%s/web.json", dir), 0);
        assert_int_equal(dir_make(dir), 0);
        assert_int_equal(file_replace_volatile(path, "", 0, 0600), 0);
        if (old)
                assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static Observed *look(void) {
        Observed *o = NULL;

        assert_int_equal(observed_new(SUPERVISOR_SYSTEMD, &o), 0);
        assert_int_equal(store_observe(&paths, o), 0);
        return o;
}

/* Of this boot it is a fault that a person must see; of an earlier one it is nothing. A spec is
 * never that. */
static void test_damaged(void **state _unused_) {
        static const struct {
                const char *sub;
                bool of_this_boot;
        } cases[] = {
                { "run", true },
                { "stops", true },
                { "specs", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool runs = cases[i].of_this_boot;

                for (int old = 0; old < 2; old++) {
                        _cleanup_(observed_freep) Observed *o = NULL;
                        bool nothing = runs && old;

                        assert_int_equal(nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
                        put_empty(cases[i].sub, old);
                        o = look();
                        assert_int_equal((runs ? o->runs : o->files).state,
                                        nothing ? SOURCE_PRESENT : SOURCE_UNKNOWN);
                        assert_int_equal(o->n_run + o->n_stops, 0);
                }
        }
}

static void put(const char *path, const char *text) {
        _cleanup_free_ char *whole = NULL;

        assert_int_equal(format_text(&whole, "%s/%s", folder, path), 0);
        assert_int_equal(file_replace(whole, text, strlen(text), 0600), 0);
}

static bool is_alive(pid_t pid, uint64_t start, const char *boot) {
        _cleanup_(observed_freep) Observed *o = NULL;
        char text[500], print[FINGERPRINT_SIZE];

        (void)snprintf(print, sizeof(print), "%064d", 7);
        (void)snprintf(text, sizeof(text),
                        "{\"version\":1,\"boot_id\":\"%s\",\"pid\":%d,\"start_time\":%llu,"
                        "\"started_usec\":1,\"restart_fingerprint\":\"%s\",\"resolved\":\"%s\"}",
                        boot, (int)pid, (unsigned long long)start, print, print);
        put("run/web.json", text);
        o = look();
        assert_int_equal(o->runs.state, SOURCE_PRESENT);
        assert_int_equal(o->n_run, 1);
        return o->run[0].alive;
}

static uint64_t ended(uint64_t ago_usec, const char *more) {
        _cleanup_(observed_freep) Observed *o = NULL;
        char text[200];

        (void)snprintf(text, sizeof(text), "{\"version\":1,\"boot_id\":\"x\",\"at_usec\":%llu%s}",
                        (unsigned long long)(clock_realtime_usec() - ago_usec), more);
        put("stops/web.json", text);
        o = look();
        assert_int_equal(o->n_stops, 1);
        return o->stops[0].monotonic_usec;
}

/* An end is when its record says by the clock that nobody sets; one that has only the other is as
 * long ago as that says. */
static void test_when_it_ended(void **state _unused_) {
        uint64_t before, when;

        assert_int_equal(nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
        put_empty("stops", false);
        assert_int_equal(ended(5, ",\"monotonic_usec\":7"), 7);
        before = clock_monotonic_usec() - 1000;
        when = ended(1000, "");
        assert_in_range(when, before - 1000, clock_monotonic_usec());
        assert_int_equal(ended(UINT64_C(1000000000000000), ""), 0);
}

/* A pid that lives proves nothing: it may be another's by now, or one of an earlier boot. */
static void test_reused_pid(void **state _unused_) {
        char boot[BOOT_ID_SIZE], text[100];
        pid_t server;
        struct rlimit all, none = { 0 };
        uint64_t start;

        assert_int_equal(nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
        put_empty("run", false);
        assert_int_equal(proc_boot_id(boot), 0);
        assert_int_equal(proc_start_time(getpid(), &start), 0);
        assert_true(is_alive(getpid(), start, boot));
        assert_false(is_alive(getpid(), start - 1, boot));
        assert_false(is_alive(getpid(), start, "another boot"));

        assert_int_equal(store_write_server(&paths, getpid()), 0);
        assert_int_equal(store_read_server(&paths, &server), 0);
        assert_int_equal(server, getpid());
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        none.rlim_max = all.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(store_read_server(&paths, &server),
                        -EMFILE); /* which is not: there is none */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        (void)snprintf(text, sizeof(text), "{\"version\":1,\"pid\":%d,\"start_time\":%llu}",
                        (int)getpid(), (unsigned long long)start - 1);
        put("server.json", text);
        assert_int_equal(store_read_server(&paths, &server), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_when_it_ended),
                cmocka_unit_test(test_reused_pid),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
