/* SPDX-License-Identifier: MIT */

/* The accepted roster: comes back as it was, counts, and is written only when it is another one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/store/roster-record.h"
#include "model/base/hash.h"

static char folder[] = "/tmp/mosaic-roster-record-XXXXXX";
static char state_dir[sizeof(folder) + 20], file[sizeof(state_dir) + 20];
static Paths paths;

static int set_up_group(void **state _unused_) {
        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(state_dir, sizeof(state_dir), "%s/state/x", folder);
        (void)snprintf(file, sizeof(file), "%s/roster.json", state_dir);
        paths.state = state_dir;
        return 0;
}

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *ftw _unused_) {
        return strcmp(path, folder) == 0 ? 0 : remove(path);
}

/* Nothing is there, not even the directory. */
static int set_up(void **state _unused_) {
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static int tear_down_group(void **state _unused_) {
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS) | rmdir(folder);
}

static uint64_t write_text(const char *text) {
        uint64_t generation = UINT64_MAX;

        assert_int_equal(roster_record_write(&paths, text, strlen(text), &generation), 0);
        return generation;
}

static void assert_record(const char *text, uint64_t generation) {
        _cleanup_(roster_record_done) RosterRecord r = { 0 };
        char sha256[SHA256_HEX_SIZE];

        assert_int_equal(roster_record_read(&paths, &r), 0);
        assert_int_equal(r.size, strlen(text));
        assert_memory_equal(r.bytes, text, r.size + 1);
        assert_int_equal(r.generation, generation);
        sha256_hex(text, strlen(text), sha256);
        assert_string_equal(r.sha256, sha256);
        assert_true(r.at_usec > 0 && r.at_usec <= clock_realtime_usec());
}

static void test_none(void **state _unused_) {
        RosterRecord r = { .generation = 7 };

        assert_int_equal(roster_record_read(&paths, &r), -ENOENT);
        assert_int_equal(r.generation, 7); /* written on success only */
}

/* Any text comes back byte by byte; a roster that is accepted anew is the next one. */
static void test_round_trip(void **state _unused_) {
        static const char *const texts[] = { "version: 1\nagents: {}\n", "", "\n\n",
                "tab\there\r\n", "quote \" backslash \\ slash / ", "\x01\x1f\x7f control",
                "\xc2\x85\xe2\x80\xa8", "\xef\xbb\xbfwith a mark", "\xf0\x9f\xa6\x8a",
                "{\"version\": 2}" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(write_text(texts[i]), i + 1);
                assert_record(texts[i], i + 1);
        }
        /* One of before is a new one too. */
        assert_int_equal(write_text(texts[0]), ELEMENTSOF(texts) + 1);
}

static void test_large(void **state _unused_) {
        enum { SIZE = 4 << 20 };
        _cleanup_free_ char *text = malloc(SIZE + 1);

        assert_non_null(text);
        for (size_t i = 0; i < SIZE; i++)
                text[i] = i % 3 ? '\n' : '"'; /* two bytes each in JSON */
        text[SIZE] = '\0';
        assert_int_equal(write_text(text), 1);
        assert_record(text, 1);
}

static void test_mode(void **state _unused_) {
        struct stat st;

        (void)write_text("a");
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(stat(state_dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
}

/* The same roster again: neither another generation nor another file. */
static void test_unchanged(void **state _unused_) {
        struct stat before, after;

        assert_int_equal(write_text("a"), 1);
        assert_int_equal(stat(file, &before), 0);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(write_text("a"), 1);
        assert_int_equal(stat(file, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
        assert_int_equal(write_text("b"), 2);
        assert_int_equal(stat(file, &after), 0);
        assert_int_not_equal(before.st_ino, after.st_ino);
}

/* What cannot be read as a record is none, and does not stop the next one from being written. */
static void test_garbled(void **state _unused_) {
        static const char *const texts[] = { "", "x", "[]", "{}", "{\"version\":1}",
                "{\"version\":2,\"generation\":3,\"at_usec\":4,\"roster\":\"a\"}",
                "{\"version\":1,\"generation\":\"3\",\"at_usec\":4,\"roster\":\"a\"}",
                "{\"version\":1,\"generation\":-3,\"at_usec\":4,\"roster\":\"a\"}",
                "{\"version\":1,\"generation\":3,\"roster\":\"a\"}",
                "{\"version\":1,\"generation\":3,\"at_usec\":4,\"roster\":null}",
                "{\"version\":1,\"generation\":3,\"at_usec\":4,\"roster\":7}",
                "{\"version\":1,\"generation\":3,\"at_usec\":4,\"roster\":\"a\"" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                RosterRecord r = { 0 };

                assert_int_equal(dir_make(state_dir), 0);
                assert_int_equal(file_replace(file, texts[i], strlen(texts[i]), 0600), 0);
                if (roster_record_read(&paths, &r) != -ENOENT)
                        fail_msg("%s", texts[i]);
                assert_null(r.bytes);
                assert_int_equal(write_text("a"), 1);
                assert_record("a", 1);
        }
        assert_int_equal(unlink(file) | mkdir(file, 0700), 0);
        {
                RosterRecord r = { 0 };

                assert_int_equal(roster_record_read(&paths, &r), -ENOENT);
        }
}

/* Cut off anywhere, it is none, never a part of one. */
static void test_cut_off(void **state _unused_) {
        _cleanup_free_ char *whole = NULL;
        size_t n;

        (void)write_text("version: 1\n");
        assert_int_equal(file_read_limited(file, 10000, &whole, &n), 0);
        for (size_t i = 0; i < n; i++) {
                RosterRecord r = { 0 };

                assert_int_equal(file_replace(file, whole, i, 0600), 0);
                assert_int_equal(roster_record_read(&paths, &r), -ENOENT);
        }
}

/* What is no text is refused, and what was in force stays. */
/* Without a descriptor left nothing is known of the record: it is not taken for none, nor is
 * another one written in its place. */
static void test_no_descriptor(void **state _unused_) {
        struct rlimit before, none;
        uint64_t generation;
        RosterRecord r;
        int read, written;

        assert_int_equal(write_text("one"), 1);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        read = roster_record_read(&paths, &r);
        written = roster_record_write(&paths, "two", 3, &generation);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(read, -EMFILE);
        assert_int_equal(written, -EMFILE);
        assert_record("one", 1);
}

static void test_no_text(void **state _unused_) {
        static const char bytes[] = "a\xff\xfe";
        uint64_t generation;

        assert_int_equal(write_text("good"), 1);
        assert_true(roster_record_write(&paths, bytes, sizeof(bytes) - 1, &generation) < 0);
        assert_record("good", 1);
}

#define unit(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
        const struct CMUnitTest tests[] = {
                unit(test_none),
                unit(test_round_trip),
                unit(test_large),
                unit(test_mode),
                unit(test_unchanged),
                unit(test_garbled),
                unit(test_cut_off),
                unit(test_no_text),
                unit(test_no_descriptor),
        };

        return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
