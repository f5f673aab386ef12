/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "drivers/systemd/manifest.h"
#include "model/base/strv.h"

static char directory[64];

static int make_directory(void **state) {
        (void)state;
        (void)snprintf(directory, sizeof(directory), "/tmp/mosaic-manifest-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        _cleanup_free_ char *file = NULL;

        (void)state;
        if (path_join(directory, "manifest.json", &file) < 0)
                return -1;
        (void)unlink(file);
        return rmdir(directory);
}

static void hash_of(const char *text, char hash[static SHA256_HEX_SIZE]) {
        sha256_hex(text, strlen(text), hash);
}

static void test_round_trip(void **state) {
        Paths p = { .state = directory };
        _cleanup_manifest_ Manifest m = { 0 }, again = { 0 }, empty = { 0 };
        char one[SHA256_HEX_SIZE], two[SHA256_HEX_SIZE], three[SHA256_HEX_SIZE];

        (void)state;
        hash_of("1", one);
        hash_of("2", two);
        hash_of("3", three);
        assert_int_equal(manifest_read(&p, &empty), 0);
        assert_int_equal(empty.n_entries, 0);

        assert_int_equal(manifest_put(&m, "/a", one, 0644, true), 0);
        assert_int_equal(manifest_put(&m, "/b", one, 0755, false), 0);
        assert_int_equal(manifest_put(&m, "/c", one, 0644, false), 0);
        assert_int_equal(manifest_put(&m, "/b", two, 0755, true), 0);
        manifest_drop(&m, "/c");
        manifest_drop(&m, "/nonesuch");
        assert_int_equal(strv_push(&m.directories, "/d"), 0);
        assert_int_equal(manifest_write(&p, &m), 0);
        assert_int_equal(manifest_read(&p, &again), 0);

        assert_int_equal(again.n_entries, 2);
        assert_int_equal(manifest_find(&again, "/b")->mode, 0755);
        assert_true(strv_equal(again.directories, m.directories));
        /* in the middle of a replacement both are ours, and nothing else */
        assert_true(manifest_owns(&again, "/b", one));
        assert_true(manifest_owns(&again, "/b", two));
        assert_false(manifest_owns(&again, "/b", three));
        assert_false(manifest_owns(&again, "/c", one));
        /* a new file has no previous content */
        assert_string_equal(manifest_find(&again, "/a")->previous, "");
        assert_false(manifest_owns(&again, "/a", ""));
        /* and afterwards only the new one */
        assert_int_equal(manifest_put(&again, "/b", two, 0755, false), 0);
        assert_false(manifest_owns(&again, "/b", one));
}

static void test_garbled(void **state) {
        static const char *const texts[] = { "", "{", "[]",
                "{\"version\":2,\"files\":[],\"directories\":[]}",
                "{\"version\":1,\"files\":[{}],\"directories\":[]}",
                ("{\"version\":1,\"files\":[{\"path\":\"relative\",\"sha256\":\"00\",\"mode\":1}],"
                 "\"directories\":[]}"),
                "{\"version\":1,\"files\":[]}" };
        Paths p = { .state = directory };
        _cleanup_free_ char *path = NULL;

        (void)state;
        assert_int_equal(manifest_path(&p, &path), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Manifest m = { 0 };

                assert_int_equal(file_replace(path, texts[i], strlen(texts[i]), 0600), 0);
                assert_int_equal(manifest_read(&p, &m), -EBADMSG);
                assert_null(m.entries);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_garbled),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
