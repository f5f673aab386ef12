/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/os/paths.h"

static char base[PATH_MAX / 2];

static const char *below(const char *name) {
        static char buffers[4][PATH_MAX];
        static unsigned next;
        char *b = buffers[next++ % 4];

        (void)snprintf(b, PATH_MAX, "%s/%s", base, name);
        return b;
}

static bool resolve_base(const char *name) {
        _cleanup_free_ char *real = realpath(name, NULL);

        return real && snprintf(base, sizeof(base), "%s", real) > 0;
}

static int make_base(void **state) {
        char name[] = "/tmp/mosaic-paths-XXXXXX";

        (void)state;
        if (!mkdtemp(name) || !resolve_base(name))
                return -1;
        return mkdir(below("home"), 0700) < 0 || mkdir(below("run"), 0700) < 0 ||
               mkdir(below("real"), 0700) < 0;
}

static int remove_base(void **state) {
        (void)state;
        (void)unlink(below("link"));
        (void)unlink(below("dangling"));
        return rmdir(below("home")) < 0 || rmdir(below("run")) < 0 || rmdir(below("real")) < 0 ||
               rmdir(base) < 0;
}

static int clear(void **state) {
        static const char *const names[] = { "MOSAIC_HOME", "MOSAIC_STATE_DIR",
                "MOSAIC_RUNTIME_DIR", "MOSAIC_LIBEXEC_DIR", "MOSAIC_FLEET", "XDG_STATE_HOME",
                "XDG_CONFIG_HOME" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void)unsetenv(names[i]);
        (void)setenv("HOME", below("home"), 1);
        (void)setenv("XDG_RUNTIME_DIR", below("run"), 1);
        return 0;
}

static Paths *paths(void) {
        Paths *p = NULL;

        assert_int_equal(paths_new(&p), 0);
        return p;
}

static void test_default(void **state) {
        const struct passwd *user = getpwuid(getuid());
        _cleanup_(paths_freep) Paths *p = NULL;
        _cleanup_free_ char *unit = NULL, *holder = NULL;

        (void)state;
        if (!user)
                skip();
        (void)setenv("HOME", user->pw_dir, 1);
        p = paths();
        assert_string_equal(p->fleet_id, "");
        assert_string_equal(p->id_or_default, "default");
        assert_string_equal(p->unit_prefix, "mosaic-");
        assert_string_equal(p->runtime, below("run/mosaic/default"));
        assert_string_equal(p->manager_socket, below("run/systemd/private"));
        assert_int_equal(paths_agent_unit(p, "web", &unit), 0);
        assert_string_equal(unit, "mosaic-agent@web.service");
        assert_int_equal(paths_unit(p, "tmux-holder", &holder), 0);
        assert_string_equal(holder, "mosaic-tmux-holder.service");
}

/* $HOME of one shell must not make a second fleet with the plain unit names. */
static void test_other_home_variable(void **state) {
        _cleanup_(paths_freep) Paths *p = paths();

        (void)state;
        assert_string_equal(p->home, below("home/.config/mosaic"));
        assert_int_equal(strlen(p->fleet_id), 8);
        assert_string_equal(p->roster, below("home/.config/mosaic/fleet/roster.yaml"));
        assert_string_equal(p->units, below("home/.config/systemd/user"));
}

static void test_one_home_one_id(void **state) {
        static const char *const same[] = { "real", "real/", "link", "./real/.", "link/",
                "home/../real" };
        _cleanup_(paths_freep) Paths *first = NULL, *other = NULL;

        (void)state;
        assert_int_equal(symlink("real", below("link")), 0);
        (void)setenv("MOSAIC_HOME", below("real"), 1);
        first = paths();
        assert_int_equal(strspn(first->fleet_id, "0123456789abcdef"), 8);
        for (size_t i = 0; i < ELEMENTSOF(same); i++) {
                _cleanup_(paths_freep) Paths *p = NULL;

                (void)setenv("MOSAIC_HOME", below(same[i]), 1);
                p = paths();
                assert_string_equal(p->home, below("real"));
                assert_string_equal(p->fleet_id, first->fleet_id);
        }
        (void)setenv("MOSAIC_HOME", below("home"), 1);
        other = paths();
        assert_string_not_equal(other->fleet_id, first->fleet_id);
}

/* A home that is not there (not yet; unmounted) has the name it would have. */
static void test_missing(void **state) {
        static const struct {
                const char *given;
                const char *home;
        } cases[] = {
                { "none/at//all/", "none/at/all" },
                { "dangling", "gone/target" },
                { "dangling/x", "gone/target/x" },
                { "real/./new", "real/new" },
        };

        (void)state;
        assert_int_equal(symlink("gone/./target", below("dangling")), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(paths_freep) Paths *p = NULL;

                (void)setenv("MOSAIC_HOME", below(cases[i].given), 1);
                p = paths();
                assert_string_equal(p->home, below(cases[i].home));
        }
        (void)setenv("MOSAIC_HOME", below("none/../x"), 1);
        {
                Paths *p = NULL;

                assert_int_equal(paths_new(&p), -EINVAL);
                assert_null(p);
        }
}

static void test_relative(void **state) {
        _cleanup_(paths_freep) Paths *p = NULL;
        _cleanup_free_ char *here = getcwd(NULL, 0);

        (void)state;
        assert_int_equal(chdir(base), 0);
        (void)setenv("MOSAIC_HOME", "real/sub", 1);
        p = paths();
        assert_int_equal(chdir(here), 0);
        assert_string_equal(p->home, below("real/sub"));
}

static void test_variables(void **state) {
        _cleanup_(paths_freep) Paths *p = NULL, *q = NULL, *other = NULL;

        (void)state;
        (void)setenv("MOSAIC_HOME", below("real"), 1);
        (void)setenv("XDG_STATE_HOME", "relative/is/ignored", 1);
        (void)setenv("XDG_CONFIG_HOME", "/xdg/config", 1);
        (void)setenv("MOSAIC_LIBEXEC_DIR", "/opt/libexec", 1);
        (void)setenv("MOSAIC_STATE_DIR", "/unit/state", 1);
        (void)setenv("MOSAIC_RUNTIME_DIR", "/unit/runtime", 1);
        p = paths();
        assert_string_equal(p->units, "/xdg/config/systemd/user");
        assert_string_equal(p->libexec, "/opt/libexec");
        /* without the fleet's name they are nobody's */
        assert_true(strncmp(p->state, below("home/.local/state/mosaic/"),
                                    strlen(below("home/.local/state/mosaic/"))) == 0);
        (void)setenv("MOSAIC_FLEET", p->fleet_id, 1);
        q = paths();
        assert_string_equal(q->state, "/unit/state");
        assert_string_equal(q->runtime, "/unit/runtime");
        (void)setenv("MOSAIC_FLEET", "default", 1);
        other = paths();
        assert_string_equal(other->state, p->state);
}

static void test_no_runtime_directory(void **state) {
        _cleanup_(paths_freep) Paths *p = NULL;
        char usual[64];

        (void)state;
        (void)snprintf(usual, sizeof(usual), "/run/user/%u", (unsigned)geteuid());
        if (access(usual, F_OK) >= 0)
                skip();
        (void)setenv("XDG_RUNTIME_DIR", below("none"), 1);
        p = paths();
        assert_null(p->manager_socket);
        assert_true(strncmp(p->runtime, p->state, strlen(p->state)) == 0);
}

/* After `su`, XDG_RUNTIME_DIR is somebody else's, and so is the manager behind it. */
static void test_foreign_runtime_directory(void **state) {
        _cleanup_(paths_freep) Paths *p = NULL;
        char usual[64];

        (void)state;
        (void)snprintf(usual, sizeof(usual), "/run/user/%u", (unsigned)geteuid());
        if (geteuid() != 0 || access(usual, F_OK) >= 0)
                skip();
        assert_int_equal(chown(below("run"), 1, 1), 0);
        p = paths();
        assert_int_equal(chown(below("run"), 0, 0), 0);
        assert_null(p->manager_socket);
}

/* They are printed, and written into units and JSON. */
static void test_no_text(void **state) {
        static const char *const names[] = { "HOME", "MOSAIC_HOME", "XDG_RUNTIME_DIR",
                "XDG_STATE_HOME", "XDG_CONFIG_HOME" };
        static const char *const bad[] = { "/a\033[1m", "/a\nb", "/\xc2\x9b", "/\xff",
                "/\xe2\x80\xae" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                        Paths *p = NULL;

                        (void)clear(state);
                        (void)setenv(names[i], bad[k], 1);
                        /* A runtime directory that is not there is not used. */
                        if (strcmp(names[i], "XDG_RUNTIME_DIR") == 0) {
                                assert_int_equal(paths_new(&p), 0);
                                paths_free(p);
                        } else
                                assert_int_equal(paths_new(&p), -EILSEQ);
                }
        (void)clear(state);
        (void)setenv("MOSAIC_HOME", "/\xc3\xb6 \xe6\xbc\xa2", 1);
        paths_free(paths());
}

static void test_join(void **state) {
        static const struct {
                const char *dir;
                const char *joined;
        } cases[] = { { "/", "/x" }, { "/a", "/a/x" }, { "/a/", "/a/x" }, { "a//", "a/x" },
                { "", "/x" } };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *s = NULL;

                assert_int_equal(path_join(cases[i].dir, "x", &s), 0);
                assert_string_equal(s, cases[i].joined);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_default, clear),
                cmocka_unit_test_setup(test_other_home_variable, clear),
                cmocka_unit_test_setup(test_one_home_one_id, clear),
                cmocka_unit_test_setup(test_missing, clear),
                cmocka_unit_test_setup(test_relative, clear),
                cmocka_unit_test_setup(test_variables, clear),
                cmocka_unit_test_setup(test_no_runtime_directory, clear),
                cmocka_unit_test_setup(test_foreign_runtime_directory, clear),
                cmocka_unit_test_setup(test_no_text, clear),
                cmocka_unit_test(test_join),
        };

        return cmocka_run_group_tests(tests, make_base, remove_base);
}
