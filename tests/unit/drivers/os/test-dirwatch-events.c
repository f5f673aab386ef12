/* SPDX-License-Identifier: MIT */

/* Buffers that a kernel writes are test-dirwatch.c's; these are the ones it never does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include <cmocka.h>

#include "drivers/os/dirwatch-events.h"
#include "model/base/cleanup.h"

static char entry[] = "roster.yaml";

static const Watched watched[] = {
        { .id = 1, .file = 0, .name = entry }, { .id = 2, .file = 1 },
        { .id = 1, .file = 7 }, /* nobody's */
};

typedef struct Buffer {
        char bytes[256];
        size_t n;
} Buffer;

/* @length: what the event says of its name, whatever it really is. */
static void add(Buffer *b, int id, uint32_t mask, const char *name, size_t n, uint32_t length) {
        struct inotify_event e = { .wd = id, .mask = mask, .len = length };

        assert_true(b->n + sizeof(e) + n <= sizeof(b->bytes));
        memcpy(b->bytes + b->n, &e, sizeof(e));
        memcpy(b->bytes + b->n + sizeof(e), name, n);
        b->n += sizeof(e) + n;
}

/* In memory that ends where the buffer does, so that valgrind and ASan see a byte too far. */
static bool take(const Buffer *b, bool touched[static 2]) {
        _cleanup_free_ char *copy = malloc(b->n + 1);

        assert_non_null(copy);
        touched[0] = touched[1] = false;
        memcpy(copy + 1, b->bytes, b->n); /* and is not aligned */
        return dirwatch_events(copy + 1, b->n, watched, ELEMENTSOF(watched), touched, 2);
}

static void assert_refused(const Buffer *b) {
        bool touched[2];

        assert_false(take(b, touched));
        assert_true(touched[0] && touched[1]);
}

static void test_whole(void **state _unused_) {
        Buffer b = { 0 };
        bool touched[2];

        assert_true(take(&b, touched));
        assert_false(touched[0] || touched[1]);
        add(&b, 1, IN_MODIFY, "other\0\0\0", 8, 8);
        add(&b, 3, IN_MODIFY, "roster.yaml\0", 12, 12);
        assert_true(take(&b, touched));
        assert_false(touched[0] || touched[1]);
        add(&b, 1, IN_MODIFY, "roster.yaml\0\0\0\0\0", 16, 16);
        assert_true(take(&b, touched));
        assert_true(touched[0] && !touched[1]);
}

static void test_whole_of_a_directory(void **state _unused_) {
        Buffer self = { 0 }, attributes = { 0 };
        bool touched[2];

        add(&self, 1, IN_MOVE_SELF, "other\0\0\0", 8, 8);
        assert_true(take(&self, touched));
        assert_true(touched[0] && !touched[1]);
        add(&attributes, 1, IN_ATTRIB, "", 0, 0);
        assert_true(take(&attributes, touched));
        assert_true(touched[0] && !touched[1]);
}

static void test_overflow(void **state _unused_) {
        Buffer b = { 0 };
        bool touched[2];

        add(&b, -1, IN_Q_OVERFLOW, "", 0, 0);
        assert_true(take(&b, touched));
        assert_true(touched[0] && touched[1]);
}

static void test_half(void **state _unused_) {
        for (size_t n = 1; n < sizeof(struct inotify_event) + 16; n++) {
                Buffer b = { 0 };

                add(&b, 3, IN_MODIFY, "roster.yaml\0\0\0\0\0", 16, 16);
                b.n = n;
                assert_refused(&b);
        }
}

static void test_lengths(void **state _unused_) {
        static const uint32_t lengths[] = { 13, 4096, INT32_MAX, UINT32_MAX - 15, UINT32_MAX };

        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                Buffer b = { 0 };

                add(&b, 3, IN_MODIFY, "roster.yaml\0", 12, lengths[i]);
                assert_refused(&b);
        }
}

static void test_name_without_end(void **state _unused_) {
        Buffer b = { 0 };

        add(&b, 3, IN_MODIFY, "roster.yaml", 11, 11);
        add(&b, 3, IN_MODIFY, "", 0, 0);
        assert_refused(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole),
                cmocka_unit_test(test_whole_of_a_directory),
                cmocka_unit_test(test_overflow),
                cmocka_unit_test(test_half),
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_name_without_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
