/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/os/state-link.h"

static char top[] = "/tmp/mosaic-test-state-link-XXXXXX";
static char ours[64], theirs[64], runtime[64], link_path[80];

static int setup(void **state _unused_) {
        if (!mkdtemp(top))
                return -1;
        (void)snprintf(ours, sizeof(ours), "%s/ours", top);
        (void)snprintf(theirs, sizeof(theirs), "%s/theirs", top);
        (void)snprintf(runtime, sizeof(runtime), "%s/runtime", top);
        (void)snprintf(link_path, sizeof(link_path), "%s/state", runtime);
        return mkdir(ours, 0700) | mkdir(theirs, 0700);
}

static int teardown(void **state _unused_) {
        (void)unlink(link_path);
        (void)rmdir(theirs);
        return rmdir(ours) | rmdir(runtime) | rmdir(top);
}

static void assert_leads_to(const char *directory) {
        char target[128] = "";

        assert_true(readlink(link_path, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, directory);
}

static void test_claim(void **state _unused_) {
        const Paths here = { .state = ours, .runtime = runtime };
        const Paths there = { .state = theirs, .runtime = runtime };
        _cleanup_free_ char *other = NULL, *again = NULL;

        assert_int_equal(state_link_check(&here, &other), 0);
        assert_int_equal(access(runtime, F_OK), -1); /* who looks makes nothing */
        assert_int_equal(state_link_claim(&here, &other), 0);
        assert_leads_to(ours);
        assert_int_equal(state_link_claim(&here, &other), 0);
        assert_null(other);

        assert_int_equal(state_link_check(&there, &other), STATE_IS_ELSEWHERE);
        assert_string_equal(other, ours);
        assert_int_equal(state_link_claim(&there, &again), STATE_IS_ELSEWHERE);
        assert_string_equal(again, ours);
        assert_leads_to(ours);
}

/* By the directory, not by its name. */
static void test_other_name(void **state _unused_) {
        char dotted[80];
        const Paths here = { .state = dotted, .runtime = runtime };
        char *other = NULL;

        (void)snprintf(dotted, sizeof(dotted), "%s/../ours", theirs);
        assert_int_equal(state_link_claim(&here, &other), 0);
        assert_leads_to(ours);
}

/* A state that was removed or moved is nobody's. */
static void test_gone(void **state _unused_) {
        const Paths there = { .state = theirs, .runtime = runtime };
        char *other = NULL;

        assert_int_equal(rmdir(ours), 0);
        assert_int_equal(state_link_check(&there, &other), 0);
        assert_leads_to(ours);
        assert_int_equal(state_link_claim(&there, &other), 0);
        assert_leads_to(theirs);
        assert_int_equal(mkdir(ours, 0700), 0);
}

/* What is no link of ours is left alone, and nothing is known from it. */
static void test_no_link(void **state _unused_) {
        const Paths here = { .state = ours, .runtime = runtime };
        char *other = NULL;

        assert_int_equal(unlink(link_path), 0);
        assert_int_equal(mkdir(link_path, 0700), 0);
        assert_int_equal(state_link_claim(&here, &other), 0);
        assert_int_equal(rmdir(link_path), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_claim),
                cmocka_unit_test(test_other_name),
                cmocka_unit_test(test_gone),
                cmocka_unit_test(test_no_link),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
