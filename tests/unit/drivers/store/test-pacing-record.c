/* SPDX-License-Identifier: MIT */

/* The ledger on disk: comes back as it was, of this boot only, and is left alone when it says the
 * same. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/store/pacing-record.h"

static char folder[] = "/tmp/mosaic-pacing-record-XXXXXX";
static char file[sizeof(folder) + 20];
static Paths paths = { .state = folder };

static int set_up_group(void **state _unused_) {
        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(file, sizeof(file), "%s/pacing.json", folder);
        return 0;
}

static int tear_down_group(void **state _unused_) {
        return rmdir(folder);
}

static int tear_down(void **state _unused_) {
        return file_remove(file);
}

/* Each number another one, so that none can stand for another. */
static Pacing ledger(PaceEntry items[3]) {
        static const char *const names[] = { "ab-1", "ab-10",
                "a234567890123456789012345678901234567890" };
        Pacing p = { .items = items,
                .n_items = 3,
                .brake_usec = 101,
                .probe = "ab-10",
                .released_usec = UINT64_C(1) << 60,
                .slot_usec = 103,
                .n_slot = 16 };

        for (unsigned i = 0; i < 3; i++) {
                items[i] = (PaceEntry){ .n_starts = i == 2 ? UINT32_MAX : 10 * i + 1,
                        .n_ends = 10 * i + 2,
                        .window_usec = 10 * i + 3,
                        .down_usec = 10 * i + 4,
                        .due_usec = 10 * i + 5,
                        .crash_loop = i == 1,
                        .kept_down = i == 2 };
                (void)snprintf(items[i].agent, sizeof(items[i].agent), "%s", names[i]);
        }
        return p;
}

static void write_ledger(const Pacing *p) {
        _cleanup_free_ char *aside = NULL;

        assert_int_equal(pacing_record_write(&paths, p, &aside), 0);
        assert_null(aside);
}

static void assert_empty(void) {
        Pacing p = { .brake_usec = 7 };

        assert_int_equal(pacing_record_read(&paths, &p), 0);
        assert_int_equal(p.n_items, 0);
        assert_int_equal(p.brake_usec, 0);
        assert_string_equal(p.probe, "");
        pacing_done(&p);
}

static const PaceEntry *entry_of(const Pacing *p, const char *agent) {
        const PaceEntry *e = pacing_find(p, agent);

        assert_non_null(e);
        return e;
}

static void test_round_trip(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items);
        _cleanup_(pacing_done) Pacing q = { 0 };

        write_ledger(&p);
        assert_int_equal(pacing_record_read(&paths, &q), 0);
        assert_int_equal(q.n_items, 3);
        for (size_t i = 0; i < 3; i++) {
                const PaceEntry *e = entry_of(&q, items[i].agent); /* sorted, so that it is found */

                assert_int_equal(e->n_starts, items[i].n_starts);
                assert_int_equal(e->n_ends, items[i].n_ends);
                assert_int_equal(e->window_usec, items[i].window_usec);
                assert_int_equal(e->down_usec, items[i].down_usec);
                assert_int_equal(e->due_usec, items[i].due_usec);
                assert_int_equal(e->crash_loop, items[i].crash_loop);
                assert_int_equal(e->kept_down, items[i].kept_down);
        }
        assert_int_equal(q.brake_usec, p.brake_usec);
        assert_string_equal(q.probe, p.probe);
        assert_int_equal(q.released_usec, p.released_usec);
        assert_int_equal(q.slot_usec, p.slot_usec);
        assert_int_equal(q.n_slot, p.n_slot);
}

/* Only a brake, and only entries. */
static void test_parts(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items);
        _cleanup_(pacing_done) Pacing q = { 0 }, r = { 0 };

        p.n_items = 0;
        write_ledger(&p);
        assert_int_equal(pacing_record_read(&paths, &q), 0);
        assert_int_equal(q.brake_usec, 101);
        assert_int_equal(q.n_items, 0);
        p.n_items = 1;
        p.brake_usec = 0;
        write_ledger(&p);
        assert_int_equal(pacing_record_read(&paths, &r), 0);
        assert_int_equal(r.brake_usec, 0);
        assert_int_equal(r.n_items, 1);
}

static void test_empty_is_no_file(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items), none = { 0 };

        assert_empty();
        write_ledger(&none);
        assert_int_equal(access(file, F_OK), -1);
        write_ledger(&p);
        assert_int_equal(access(file, F_OK), 0);
        write_ledger(&none);
        assert_int_equal(access(file, F_OK), -1);
        assert_empty();
}

static void test_unchanged(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items);
        struct stat before, after;

        write_ledger(&p);
        assert_int_equal(stat(file, &before), 0);
        assert_int_equal(before.st_mode & 07777, 0600);
        for (unsigned i = 0; i < 5; i++) {
                _cleanup_(pacing_done) Pacing q = { 0 };

                assert_int_equal(pacing_record_read(&paths, &q), 0);
                write_ledger(&p);
        }
        assert_int_equal(stat(file, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
        items[1].due_usec++;
        write_ledger(&p);
        assert_int_equal(stat(file, &after), 0);
        assert_int_not_equal(before.st_ino, after.st_ino);
}

static void get_text(char **ret) {
        size_t n;

        assert_int_equal(file_read_limited(file, 100000, ret, &n), 0);
}

static void put_text(const char *text) {
        assert_int_equal(file_replace(file, text, strlen(text), 0600), 0);
}

/* The times of another boot say nothing. */
static void test_other_boot(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items);
        _cleanup_(pacing_done) Pacing q = { 0 };
        _cleanup_free_ char *text = NULL;
        char boot[BOOT_ID_SIZE];

        write_ledger(&p);
        get_text(&text);
        assert_int_equal(proc_boot_id(boot), 0);
        assert_non_null(strstr(text, boot));
        strstr(text, boot)[0] ^= 1;
        put_text(text);
        assert_empty();
        write_ledger(&p); /* and is replaced */
        assert_int_equal(pacing_record_read(&paths, &q), 0);
        assert_int_equal(q.n_items, 3);
}

/* Whatever a byte of it becomes, and wherever it is cut off: an empty ledger or a sound one. */
static void test_garbled(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items);
        _cleanup_free_ char *text = NULL;
        size_t n;

        write_ledger(&p);
        get_text(&text);
        n = strlen(text);
        for (size_t i = 0; i < n; i++) {
                char *piece = strndup(text, i);

                assert_non_null(piece);
                put_text(piece);
                free(piece);
                assert_empty();
        }
        for (size_t i = 0; i < n; i++)
                for (const char *c = "x-\"9,\xff"; *c; c++) {
                        _cleanup_(pacing_done) Pacing q = { 0 };
                        char kept = text[i];

                        text[i] = *c;
                        put_text(text);
                        text[i] = kept;
                        assert_int_equal(pacing_record_read(&paths, &q), 0);
                        for (size_t k = 0; k < q.n_items; k++) {
                                assert_true(agent_name_is_valid(q.items[k].agent));
                                assert_ptr_equal(pacing_find(&q, q.items[k].agent), q.items + k);
                        }
                }
        assert_int_equal(unlink(file) | mkdir(file, 0700), 0);
        assert_empty();
        assert_int_equal(rmdir(file), 0);
}

/* What is no ledger is kept beside the new one, whatever it is; also when there is nothing to
 * write.
 */
static void test_set_aside(void **state _unused_) {
        static const char *const kinds[] = { "directory", "garbled", "unreadable", "link" };
        PaceEntry items[3];
        Pacing full = ledger(items), none = { 0 };

        for (size_t i = 0; i < 2 * ELEMENTSOF(kinds); i++) {
                const char *kind = kinds[i / 2];
                _cleanup_free_ char *aside = NULL, *wanted = NULL, *inside = NULL;
                struct stat st;

                assert_true(asprintf(&inside, "%s/x", file) > 0);
                if (strcmp(kind, "directory") == 0)
                        assert_int_equal(mkdir(file, 0700) | mkdir(inside, 0700), 0);
                else if (strcmp(kind, "link") == 0)
                        assert_int_equal(symlink("/nowhere", file), 0);
                else
                        put_text(strcmp(kind, "garbled") == 0 ? "{\"version\":1" : "");
                if (strcmp(kind, "unreadable") == 0)
                        assert_int_equal(chmod(file, 0), 0);
                assert_empty();
                assert_int_equal(
                                pacing_record_write(&paths, i % 2 == 0 ? &full : &none, &aside), 0);
                assert_true(asprintf(&wanted, "%s.%zu", file, i + 1) > 0);
                assert_non_null(aside);
                assert_string_equal(aside, wanted);
                assert_int_equal(lstat(aside, &st), 0);
                assert_int_equal(access(file, F_OK) == 0, i % 2 == 0);
                assert_int_equal(file_remove(file), 0);
        }
        for (size_t i = 1; i <= 2 * ELEMENTSOF(kinds); i++) {
                char path[sizeof(file) + 30];

                (void)snprintf(path, sizeof(path), "%s.%zu/x", file, i);
                (void)rmdir(path);
                *strrchr(path, '/') = '\0';
                assert_int_equal(remove(path), 0);
        }
}

/* Without a descriptor left nothing is known of the ledger: it is not taken for an empty one, by
 * which everything would be started at once. */
static void test_no_descriptor(void **state _unused_) {
        PaceEntry items[3];
        Pacing p = ledger(items), q;
        struct rlimit before, none;
        char *aside = NULL;
        int r, written;

        write_ledger(&p);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = pacing_record_read(&paths, &q);
        written = pacing_record_write(&paths, &p, &aside);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EMFILE);
        assert_int_equal(written, -EMFILE);
        assert_null(aside);
}

#define unit(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                unit(test_round_trip),
                unit(test_parts),
                unit(test_empty_is_no_file),
                unit(test_unchanged),
                unit(test_other_boot),
                unit(test_garbled),
                unit(test_set_aside),
                unit(test_no_descriptor),
        };

        return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
