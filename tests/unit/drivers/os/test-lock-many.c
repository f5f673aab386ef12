/* SPDX-License-Identifier: MIT */

/*
 * The locks under processes that come, work, are killed and are taken away from under each other:
 * a lock has one holder at any time, is free once its holder is gone, whoever is refused is told
 * somebody who does have it, and nobody waits longer than was asked for. Each process takes one
 * lock once, as every verb and every pass does.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/os/clock.h"
#include "drivers/os/lock.h"
#include "model/base/parse.h"

#define PROCESSES 6
#define ROUNDS 1500
#define SLACK_USEC (20 * USEC_PER_SEC) /* the machine may be busy with other things */

typedef enum Kind {
        KIND_PASS,      /* of the controller: does not wait */
        KIND_VERB,      /* waits a little */
        KIND_UNINSTALL, /* a verb that takes the lock away with everything else */
        KIND_CONTROLLER,
        _KIND_MAX,
} Kind;

/* In memory that all share. */
typedef struct Slot {
        atomic_int pid, kind;
        atomic_bool killed;
        atomic_uint gone; /* the round in which its end was seen; 0: it may still be there */
} Slot;

typedef struct Shared {
        atomic_uint round, n_taken, n_refused, n_named, n_inside_killed;
        atomic_int holder[2]; /* 1 + slot; [1]: of the controller's lock */
        atomic_int wrong;     /* a line of this file; 0: none */
        Slot slots[ROUNDS];
} Shared;

static Shared *shared;
static char top[] = "/tmp/mosaic-test-lock-many-XXXXXX";

static void blame(int line) {
        int none = 0;

        (void)atomic_compare_exchange_strong(&shared->wrong, &none, line);
}

#define demand(condition) ((condition) ? (void)0 : blame(__LINE__))

static bool is_controller(const Slot *s) {
        return s->kind == KIND_CONTROLLER;
}

/* Somebody was named: it is one of those that want this lock, and was there when we asked. */
static void check_named(const Slot *me, pid_t pid, unsigned asked) {
        for (size_t i = 0; i < ROUNDS; i++) {
                const Slot *s = shared->slots + i;

                /* A pid may come again; then one of the two is right. */
                if (s->pid == pid && is_controller(s) == is_controller(me) && s != me &&
                                (s->gone == 0 || s->gone >= asked))
                        return;
        }
        blame(__LINE__);
}

static void work(Slot *me, int i, unsigned pause) {
        atomic_int *holder = shared->holder + is_controller(me);
        int before = atomic_exchange(holder, i + 1);

        /* Who was killed could not say that it is gone. */
        demand(before == 0 || shared->slots[before - 1].killed);
        shared->n_taken++;
        for (unsigned k = 0; k < pause; k++) {
                (void)sched_yield();
                demand(*holder == i + 1);
        }
        atomic_store(holder, 0);
        if (me->kind == KIND_UNINSTALL) {
                char path[64];

                (void)snprintf(path, sizeof(path), "%s/lock", top);
                (void)unlink(path);
        }
}

static void run_child(int i, unsigned choice) {
        const Paths p = { .state = top, .runtime = top };
        uint64_t timeout = (choice >> 8) % 4 * 10 * USEC_PER_MSEC, before = clock_monotonic_usec();
        unsigned asked = shared->round;
        Slot *me = shared->slots + i;
        LockHolder holder;
        int fd = -1, r;

        if (me->kind == KIND_PASS || me->kind == KIND_CONTROLLER)
                timeout = 0;
        r = me->kind == KIND_CONTROLLER ? lock_take_controller(&p, LOCK_WATCH, &fd, &holder)
                                        : lock_take(&p, "verb", timeout, &fd, &holder);
        demand(clock_monotonic_usec() - before < timeout + SLACK_USEC);
        demand(r == 0 || r == LOCK_BUSY);
        if (r == 0)
                work(me, i, (choice >> 16) % 64);
        else {
                shared->n_refused++;
                shared->n_named += holder.pid > 0;
                if (holder.pid > 0)
                        check_named(me, holder.pid, asked);
        }
        _exit(0);
}

static unsigned random_next(uint64_t *state) {
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (unsigned)(z >> 32);
}

static void start(pid_t *pid, int i, unsigned choice) {
        Slot *s = shared->slots + i;

        /* The controller's lock is held for long, and uninstalling is rare. */
        s->kind = choice % 16 == 0  ? KIND_UNINSTALL
                  : choice % 8 == 1 ? KIND_CONTROLLER
                  : choice % 2 == 0 ? KIND_PASS
                                    : KIND_VERB;
        *pid = fork();
        assert_true(*pid >= 0);
        if (*pid == 0) {
                s->pid = getpid();
                run_child(i, choice);
        }
}

static void end(pid_t *pid, int i) {
        int status;

        assert_int_equal(waitpid(*pid, &status, 0), *pid);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        shared->slots[i].gone = ++shared->round;
        *pid = 0;
}

static void test_many(void **state _unused_) {
        const Paths p = { .state = top, .runtime = top };
        pid_t pids[PROCESSES] = { 0 };
        int slot[PROCESSES] = { 0 }, fd = -1;
        uint64_t luck = (uint64_t)getpid(), patience = 1;
        const char *factor = getenv("MOSAIC_TEST_PATIENCE");
        int rounds;
        LockHolder holder;

        if (factor)
                assert_int_equal(parse_uint_range(factor, 1, 100, &patience), 0);
        rounds = ROUNDS / (int)patience;
        shared->round = 1;
        for (int i = 0; i < rounds; i++) {
                unsigned at = random_next(&luck) % PROCESSES;

                if (pids[at] > 0) {
                        Slot *s = shared->slots + slot[at];

                        if (random_next(&luck) % 4 == 0) {
                                s->killed = true;
                                assert_int_equal(kill(pids[at], SIGKILL), 0);
                        }
                        end(pids + at, slot[at]);
                }
                slot[at] = i;
                start(pids + at, i, random_next(&luck));
        }
        for (unsigned at = 0; at < PROCESSES; at++)
                if (pids[at] > 0)
                        end(pids + at, slot[at]);
        if (shared->wrong != 0)
                fail_msg("line %d, luck %d", shared->wrong, (int)getpid());
        printf("%d processes: taken %u, refused %u, of these told by whom %u\n", rounds,
                        shared->n_taken, shared->n_refused, shared->n_named);
        assert_true(shared->n_taken > (unsigned)rounds / 10);
        assert_true(shared->n_named > 0 || patience > 1);
        /* However they ended: both are free. */
        assert_int_equal(lock_take(&p, "last", 0, &fd, &holder), 0);
        assert_int_equal(close(fd), 0);
        assert_int_equal(lock_take_controller(&p, LOCK_WATCH, &fd, &holder), 0);
        assert_int_equal(close(fd), 0);
}

static int setup(void **state _unused_) {
        shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);
        return shared != MAP_FAILED && mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state _unused_) {
        char path[64];

        (void)snprintf(path, sizeof(path), "%s/lock", top);
        (void)unlink(path);
        (void)snprintf(path, sizeof(path), "%s/controller.lock", top);
        (void)unlink(path);
        return rmdir(top);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_many) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
