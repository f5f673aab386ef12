/* SPDX-License-Identifier: MIT */

/* Which roster the controller goes by, while a program has the file open for writing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "model/base/hash.h"
#include "reconciler/watch-roster.h"

#define ROSTER_OF(names)                                                                           \
        "version: 1\nruntimes:\n  sleeper:\n    command: [/bin/sleep, '9']\nagents:\n" names
#define AGENT(name) "  " name ": {runtime: sleeper, workdir: ~/run}\n"

static char folder[] = "/tmp/mosaic-watch-roster-XXXXXX";
static char *in_folder(const char *name) {
        static char path[sizeof(folder) + 40];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static Context context;

static int set_up(void **state _unused_) {
        static const struct {
                const char *name, *variable;
        } folders[] = {
                { "home", "MOSAIC_HOME" },
                { "home/fleet", NULL },
                { "state", "XDG_STATE_HOME" },
                { "run", "XDG_RUNTIME_DIR" },
        };

        if (!mkdtemp(folder) || setenv("HOME", folder, 1) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                if (mkdir(in_folder(folders[i].name), 0700) < 0 ||
                                (folders[i].variable &&
                                                setenv(folders[i].variable,
                                                                in_folder(folders[i].name), 1) < 0))
                        return -1;
        return context_open(&context);
}

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *ftw _unused_) {
        return remove(path);
}

static int tear_down(void **state _unused_) {
        context_done(&context);
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static int open_for_writing(const char *text) {
        int fd = open(in_folder("home/fleet/roster.yaml"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                        0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        return fd;
}

static void save(const char *text) {
        assert_int_equal(close(open_for_writing(text)), 0);
}

/* One load; how many agents are in force afterwards. */
static size_t load(const char *open_text, RosterState expected) {
        char sha256[FINGERPRINT_SIZE];
        _cleanup_pass_ Pass p = PASS_NULL;
        RosterView view;
        size_t n;

        if (open_text)
                sha256_hex(open_text, strlen(open_text), sha256);
        assert_int_equal(watch_roster_load(&context, open_text ? sha256 : NULL, &p, &view), 0);
        assert_int_equal(view.state, expected);
        n = p.desired->n_agents;
        roster_view_done(&view);
        return n;
}

/* A writer that is slow: whatever its file says on the way, each line of it valid, is not taken;
 * what was left alone long enough is, and nothing that was written since. */
static void test_open_file(void **state _unused_) {
        static const char one[] = ROSTER_OF(AGENT("a")), two[] = ROSTER_OF(AGENT("a") AGENT("b")),
                          three[] = ROSTER_OF(AGENT("a") AGENT("b") AGENT("c"));
        int fd;

        save(one);
        assert_int_equal(load(NULL, ROSTER_STATE_ACCEPTED), 1);
        fd = open_for_writing(two);
        assert_int_equal(load(NULL, ROSTER_STATE_UNSETTLED), 1);
        assert_int_equal(load(one, ROSTER_STATE_UNSETTLED), 1);
        assert_int_equal(write(fd, AGENT("c"), strlen(AGENT("c"))), (ssize_t)strlen(AGENT("c")));
        assert_int_equal(load(two, ROSTER_STATE_UNSETTLED), 1);
        assert_int_equal(load(three, ROSTER_STATE_ACCEPTED), 3);
        /* It says what is in force: who has it open does not matter. */
        assert_int_equal(load(NULL, ROSTER_STATE_ACCEPTED), 3);
        assert_int_equal(close(fd), 0);
        save(one);
        assert_int_equal(load(NULL, ROSTER_STATE_ACCEPTED), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_open_file) };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
