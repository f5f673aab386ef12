/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/agent/launcher.h"
#include "drivers/os/file.h"
#include "model/base/strv.h"

static char top[] = "/tmp/mosaic-test-launcher-XXXXXX";
static Launcher launcher = { .name = "web", .state = top };

static void put(const char *name, const char *text) {
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", top, name) > 0);
        assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static int setup(void **state _unused_) {
        assert_non_null(mkdtemp(top));
        assert_int_equal(chdir(top), 0);
        assert_int_equal(mkdir("specs", 0700), 0);
        say_init("test");
        return 0;
}

static int teardown(void **state _unused_) {
        (void)unlink("specs/web.json");
        (void)unlink("fleet.json");
        assert_int_equal(rmdir("specs") | chdir("/") | rmdir(top), 0);
        return 0;
}

#define PRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REST                                                                                       \
        "\"stop_timeout_usec\":5,\"restart_fingerprint\":\"" PRINT                                 \
        "\",\"live_fingerprint\":\"" PRINT "\",\"resolved\":\"" PRINT "\""

static void test_spec(void **state _unused_) {
        _cleanup_(agent_spec_freep) AgentSpec *s = NULL;

        put("specs/web.json",
                        "{\"version\":1,\"name\":\"web\",\"argv\":[\"a\",\"\"],\"workdir\":\"/w\","
                        "\"env\":[\"K=V\"],\"credentials\":[{\"variable\":\"T\",\"file\":\"/f\"}],"
                        "\"success_exit_status\":[\"143\"],\"unknown\":{}," REST "}");
        assert_int_equal(read_spec(&launcher, &s), 0);
        assert_int_equal(strv_length(s->argv), 2);
        assert_string_equal(s->workdir, "/w");
        assert_string_equal(s->env[0], "K=V");
        assert_null(s->env_files);
        assert_int_equal(s->n_credentials, 1);
        assert_string_equal(s->credentials[0].file, "/f");
        assert_int_equal(s->stop_timeout_usec, 5);
        assert_string_equal(s->resolved, PRINT);
}

static void test_spec_refused(void **state _unused_) {
        static const char *const table[] = {
                "",
                "[]",
                "{\"version\":1}",
                "{\"version\":2,\"name\":\"web\",\"argv\":[\"a\"],\"workdir\":\"/w\"," REST "}",
                "{\"version\":1,\"name\":\"api\",\"argv\":[\"a\"],\"workdir\":\"/w\"," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[],\"workdir\":\"/w\"," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[\"\"],\"workdir\":\"/w\"," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[1],\"workdir\":\"/w\"," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[\"a\"],\"workdir\":\"w\"," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[\"a\"],\"workdir\":\"/"
                "w\",\"env\":1," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[\"a\"],\"workdir\":\"/w\","
                "\"credentials\":[{\"variable\":\"T\"}]," REST "}",
                "{\"version\":1,\"name\":\"web\",\"argv\":[\"a\"],\"workdir\":\"/w\","
                "\"credentials\":{}," REST "}",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(agent_spec_freep) AgentSpec *s = NULL;

                put("specs/web.json", table[i]);
                assert_int_equal(read_spec(&launcher, &s), LAUNCHER_REFUSED);
                assert_null(s);
        }
}

static void test_fleet_file(void **state _unused_) {
        static const struct {
                const char *text;
                int result;
        } table[] = {
                { "{\"version\":1,\"tmux_socket\":\"/"
                  "s\",\"width\":80,\"height\":24,\"history\":100}",
                                0 },
                { "{\"version\":1,\"tmux_socket\":\"s\",\"width\":80,\"height\":24,\"history\":"
                  "100}",
                                LAUNCHER_REFUSED },
                { "{\"version\":1,\"tmux_socket\":\"/"
                  "s\",\"width\":0,\"height\":24,\"history\":100}",
                                LAUNCHER_REFUSED },
                { "{\"version\":1,\"tmux_socket\":\"/"
                  "s\",\"width\":80,\"height\":-1,\"history\":100}",
                                LAUNCHER_REFUSED },
                { "{\"version\":1,\"width\":80,\"height\":24,\"history\":100}", LAUNCHER_REFUSED },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(fleet_file_done) FleetFile f = { .tmux_socket = NULL };

                put("fleet.json", table[i].text);
                assert_int_equal(read_fleet_file(&launcher, &f), table[i].result);
                if (table[i].result == 0)
                        assert_string_equal(f.tmux_socket, "/s");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spec),
                cmocka_unit_test(test_spec_refused),
                cmocka_unit_test(test_fleet_file),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
