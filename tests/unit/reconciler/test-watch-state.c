/* SPDX-License-Identifier: MIT */

/* What the controller says of itself: since when, and that nobody believes one that is gone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/file.h"
#include "drivers/os/lock.h"
#include "drivers/os/proc.h"
#include "reconciler/watch-state.h"

static char folder[] = "/tmp/mosaic-watch-state-XXXXXX";
static char runtime[sizeof(folder) + 20], file[sizeof(runtime) + 40];
static char state_dir[sizeof(folder) + 20];
static Paths paths = { .runtime = runtime, .state = state_dir };
static const Context context = { .paths = &paths };

static int set_up_group(void **state _unused_) {
        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(runtime, sizeof(runtime), "%s/run", folder);
        (void)snprintf(state_dir, sizeof(state_dir), "%s/state", folder);
        (void)snprintf(file, sizeof(file), "%s/controller.json", runtime);
        return 0;
}

static int tear_down_group(void **state _unused_) {
        char lock[sizeof(state_dir) + 20];

        (void)snprintf(lock, sizeof(lock), "%s/controller.lock", state_dir);
        return file_remove(file) | file_remove(lock) | rmdir(state_dir) | rmdir(runtime) |
               rmdir(folder);
}

static Json *read_state(void) {
        Json *j = NULL;

        assert_int_equal(watch_state_read(&paths, &j), 0);
        return j;
}

static void assert_nobody(void) {
        _cleanup_json_ Json *j = read_state();

        assert_null(j);
}

/* --- conditions ------------------------------------------------------------------------------- */

static void test_since(void **state _unused_) {
        static const struct {
                bool status;
                const char *reason, *message;
                bool changes;
        } steps[] = {
                { false, "missing", NULL, true }, /* said for the first time */
                { false, "missing", NULL, false },
                { false, "missing", "there is none", false },
                { false, "missing", "there is still none", false },
                { false, "invalid", "there is still none", true },
                { true, "invalid", NULL, true },
                { true, "accepted", NULL, true },
                { true, "accepted", NULL, false },
                { false, "accepted", NULL, true },
                { true, "accepted", NULL, true },
        };
        WatchState s = { 0 };
        uint64_t since = 0;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                const WatchCondition *c = s.conditions + CONDITION_ROSTER;
                uint64_t now = 1000 + i;
                bool changed = watch_state_set(&s, CONDITION_ROSTER, steps[i].status,
                                steps[i].reason, steps[i].message, now);

                if (changed != steps[i].changes)
                        fail_msg("step %zu", i);
                since = changed ? now : since;
                assert_true(c->is_set);
                assert_int_equal(c->since_usec, since);
                assert_int_equal(c->status, steps[i].status);
                assert_string_equal(c->reason, steps[i].reason);
                if (steps[i].message) {
                        assert_string_equal(c->message, steps[i].message);
                        assert_ptr_not_equal(c->message, steps[i].message);
                } else
                        assert_null(c->message);
        }
        /* The others are not touched. */
        for (int t = 0; t < _CONDITION_TYPE_MAX; t++)
                assert_int_equal(s.conditions[t].is_set, t == CONDITION_ROSTER);
        watch_state_done(&s);
        assert_false(s.conditions[CONDITION_ROSTER].is_set);
        watch_state_done(&s);
}

/* Longer than there is room for: it is the same all the same. */
static void test_long_reason(void **state _unused_) {
        static const char reason[] = "a_reason_that_is_much_longer_than_the_field_that_holds_it";
        WatchState s = { 0 };

        assert_true(watch_state_set(&s, CONDITION_FILES, true, reason, NULL, 1));
        assert_false(watch_state_set(&s, CONDITION_FILES, true, reason, NULL, 2));
        assert_int_equal(s.conditions[CONDITION_FILES].since_usec, 1);
        watch_state_done(&s);
}

static void test_words(void **state _unused_) {
        for (int t = 0; t < _CONDITION_TYPE_MAX; t++)
                for (int u = 0; u < t; u++)
                        assert_string_not_equal(condition_type_to_string((ConditionType)t),
                                        condition_type_to_string((ConditionType)u));
}

/* --- the file --------------------------------------------------------------------------------- */

static void fill(WatchState *s) {
        *s = (WatchState){
                .started_usec = 11,
                .generation = 12,
                .roster_sha256 = "abc",
                .n_passes = 13,
                .pass_usec = 14,
                .took_msec = 15,
                .cause = "drift",
                .n_actions = 16,
                .exit = 2,
                .next_usec = 17,
        };
        (void)watch_state_set(s, CONDITION_MANAGER, false, "disconnected", "gone \"away\"", 18);
}

static uint64_t number(const Json *j, const char *key) {
        uint64_t n;

        assert_int_equal(json_get_uint64(j, key, &n), 0);
        return n;
}

static void test_round_trip(void **state _unused_) {
        _cleanup_(watch_state_done) WatchState s = { 0 };
        _cleanup_json_ Json *j = NULL, *k = NULL;
        _cleanup_free_ char *text = NULL;
        const Json *pass, *condition;
        struct stat st;

        assert_nobody(); /* not even the directory is there */
        fill(&s);
        assert_int_equal(watch_state_write(&context, &s, &text), 0);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_null(strchr(text, '\n'));
        j = read_state();
        assert_non_null(j);
        assert_int_equal(json_parse(text, strlen(text), &k), 0);
        assert_true(json_equal(j, k));
        assert_int_equal(number(j, "pid"), getpid());
        assert_int_equal(number(j, "started_usec"), 11);
        assert_int_equal(number(j, "generation"), 12);
        assert_string_equal(json_get_string(j, "roster_sha256"), "abc");
        assert_int_equal(number(j, "passes"), 13);
        pass = json_get(j, "last_pass");
        assert_int_equal(number(pass, "at_usec"), 14);
        assert_int_equal(number(pass, "took_ms"), 15);
        assert_string_equal(json_get_string(pass, "cause"), "drift");
        assert_int_equal(number(pass, "actions"), 16);
        assert_int_equal(number(pass, "exit"), 2);
        assert_int_equal(number(j, "next_pass_usec"), 17);
        assert_int_equal(json_length(json_get(j, "conditions")), 1);
        condition = json_at(json_get(j, "conditions"), 0);
        assert_string_equal(json_get_string(condition, "type"), "WatchingUnits");
        assert_string_equal(json_get_string(condition, "reason"), "disconnected");
        assert_string_equal(json_get_string(condition, "message"), "gone \"away\"");
        assert_int_equal(number(condition, "since_usec"), 18);

        watch_state_remove(&context);
        assert_nobody();
        watch_state_remove(&context);
}

/* Written by a process that lives, is stopped, has ended, was waited for. */
static void test_writer_is_gone(void **state _unused_) {
        int told[2], end[2], status;
        siginfo_t info;
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(told, O_CLOEXEC) | pipe2(end, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                WatchState s = { 0 };

                (void)close(end[1]);
                fill(&s);
                if (watch_state_write(&context, &s, NULL) != 0 || write(told[1], "x", 1) != 1)
                        _exit(1);
                (void)!read(end[0], &byte, 1);
                _exit(0);
        }
        (void)close(told[1]);
        (void)close(end[0]);
        assert_int_equal(read(told[0], &byte, 1), 1);
        {
                _cleanup_json_ Json *j = read_state();

                assert_non_null(j);
                assert_int_equal(number(j, "pid"), pid);
        }
        (void)close(end[1]);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_nobody(); /* a zombie says nothing either */
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_nobody();
        assert_int_equal(access(file, F_OK), 0);
        (void)close(told[0]);
}

/* The number is somebody else's now, or the machine was started anew, or it is no record. */
static void test_not_believed(void **state _unused_) {
        _cleanup_(watch_state_done) WatchState s = { 0 };
        _cleanup_free_ char *text = NULL;
        char boot[BOOT_ID_SIZE], *at;
        static const char *const garbled[] = { "", "{}", "[1]", "{\"version\":1}" };

        fill(&s);
        assert_int_equal(watch_state_write(&context, &s, &text), 0);
        assert_int_equal(proc_boot_id(boot), 0);
        at = strstr(text, boot);
        assert_non_null(at);
        *at ^= 1;
        assert_int_equal(file_replace(file, text, strlen(text), 0600), 0);
        assert_nobody();
        *at ^= 1;
        assert_int_equal(file_replace(file, text, strlen(text), 0600), 0);
        {
                _cleanup_json_ Json *j = read_state();

                assert_non_null(j);
        }
        at = strstr(text, "\"start_time\":");
        assert_non_null(at);
        at += strlen("\"start_time\":");
        *at = *at == '1' ? '2' : '1';
        assert_int_equal(file_replace(file, text, strlen(text), 0600), 0);
        assert_nobody();
        for (size_t i = 0; i < strlen(text); i++) {
                assert_int_equal(file_replace(file, text, i, 0600), 0);
                assert_nobody();
        }
        for (size_t i = 0; i < ELEMENTSOF(garbled); i++) {
                assert_int_equal(file_replace(file, garbled[i], strlen(garbled[i]), 0600), 0);
                assert_nobody();
        }
}

/* One that cannot write is still there: its lock says so, and nothing else is known. */
static void test_only_the_lock(void **state _unused_) {
        _cleanup_(watch_state_done) WatchState s = { 0 };
        _cleanup_close_ int fd = -1;
        _cleanup_json_ Json *j = NULL, *k = NULL;
        LockHolder holder;

        watch_state_remove(&context);
        assert_int_equal(lock_take_controller(&paths, LOCK_WATCH, &fd, &holder), 0);
        j = read_state();
        assert_non_null(j);
        assert_int_equal(number(j, "pid"), getpid());
        assert_null(json_get(j, "started_usec"));
        fill(&s);
        assert_int_equal(watch_state_write(&context, &s, NULL), 0);
        k = read_state();
        assert_int_equal(number(k, "started_usec"), 11);
        watch_state_remove(&context);
        assert_int_equal(close(TAKE_FD(fd)), 0);
        assert_nobody();
}

/* That the file cannot be opened now does not say that nobody runs. */
static void test_no_descriptors(void **state _unused_) {
        _cleanup_(watch_state_done) WatchState s = { 0 };
        _cleanup_json_ Json *j = NULL;
        struct rlimit before, none;
        int r;

        fill(&s);
        assert_int_equal(watch_state_write(&context, &s, NULL), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = watch_state_read(&paths, &j);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EMFILE);
        assert_null(j);
        assert_int_equal(watch_state_read(&paths, &j), 0);
        assert_non_null(j);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_since),
                cmocka_unit_test(test_long_reason),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_writer_is_gone),
                cmocka_unit_test(test_not_believed),
                cmocka_unit_test(test_only_the_lock),
                cmocka_unit_test(test_no_descriptors),
        };

        return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
