/* SPDX-License-Identifier: MIT */

/* The client against keepers that answer what the table says: also nothing, rubbish, and late. The
 * real keeper is in tests/integration/terminal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/os/clock.h"
#include "model/base/parse.h"

#define SECOND USEC_PER_SEC

static char top[] = "/tmp/mosaic-test-keeper-XXXXXX";

static int listen_on(const char *name) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/keep/%s", top, name);
        (void)unlink(sa.sun_path);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
        assert_int_equal(listen(fd, 4), 0);
        return fd;
}

/* A keeper that answers one request: with @answer, or by closing if it is "", or never if it is
 * NULL. It checks what it was asked. */
static pid_t serve(const char *name, const char *request, const char *answer) {
        int fd = listen_on(name);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                char buffer[64];
                int c = accept(fd, NULL, NULL);
                ssize_t n = recv(c, buffer, sizeof(buffer) - 1, 0);

                buffer[n > 0 ? n : 0] = '\0';
                if (request && strcmp(buffer, request) != 0)
                        answer = "Xwrong request";
                if (!answer)
                        (void)pause();
                if (*answer)
                        (void)send(c, answer, strlen(answer), 0);
                _exit(0);
        }
        assert_int_equal(close(fd), 0);
        return pid;
}

static void end(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int setup(void **state _unused_) {
        _cleanup_free_ char *keep = NULL;

        assert_non_null(mkdtemp(top));
        assert_true(asprintf(&keep, "%s/keep", top) > 0);
        assert_int_equal(mkdir(keep, 0700), 0);
        return 0;
}

static int teardown(void **state _unused_) {
        _cleanup_free_ char *command = NULL;

        assert_int_equal(chdir(top) | chdir("keep"), 0);
        for (unsigned i = 0; i < 400; i++) {
                char name[16];

                (void)snprintf(name, sizeof(name), "a%u", i);
                (void)unlink(name);
        }
        assert_int_equal(chdir("/tmp"), 0);
        assert_true(asprintf(&command, "%s/keep", top) > 0);
        assert_int_equal(rmdir(command) | rmdir(top), 0);
        return 0;
}

static void test_query(void **state _unused_) {
        static const struct {
                const char *answer;
                int result;
                pid_t pid;
                KeeperState state;
        } table[] = {
                { "Q0 none", 0, 0, KEEPER_HAS_NONE },
                { "Q4711 running", 0, 4711, KEEPER_HAS_RUNNING },
                { "Q4711 starting", 0, 4711, KEEPER_HAS_STARTING },
                { "Q0 stopping", 0, 0, KEEPER_HAS_STOPPING },
                { "Q", -EBADMSG, 0, 0 },
                { "Q1", -EBADMSG, 0, 0 },
                { "Q1 ", -EBADMSG, 0, 0 },
                { "Q-1 running", -EBADMSG, 0, 0 },
                { "Q99999999999 running", -EBADMSG, 0, 0 },
                { "Q1 dancing", -EBADMSG, 0, 0 },
                { "R1", -EBADMSG, 0, 0 },
                { "Fno", -EBADMSG, 0, 0 },
                { "", -ECONNRESET, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                pid_t server = serve("a0", "Q", table[i].answer), pid = -1;
                KeeperState s = KEEPER_HAS_NONE;

                assert_int_equal(keeper_query(top, "a0", 5 * SECOND, &pid, &s), table[i].result);
                if (table[i].result == 0) {
                        assert_int_equal(pid, table[i].pid);
                        assert_int_equal(s, table[i].state);
                } else
                        assert_int_equal(pid, -1);
                end(server);
        }
}

static int call_one(KeeperCall *call) {
        assert_int_equal(keeper_call_many(top, call, 1, 5 * SECOND), 0);
        assert_true(call->finished);
        return call->error;
}

static void test_start(void **state _unused_) {
        KeeperCall call = { .name = "a0", .request = KEEPER_ASK_START };
        pid_t server;

        server = serve("a0", "S", "R12");
        assert_int_equal(call_one(&call), 0);
        assert_int_equal(call.pid, 12);
        assert_null(call.text);
        end(server);

        server = serve("a0", "S", "Fno such program");
        assert_int_equal(call_one(&call), -ECANCELED);
        assert_string_equal(call.text, "no such program");
        end(server);
        keeper_calls_done(&call, 1);
}

static void test_stop(void **state _unused_) {
        static const struct {
                const char *answer;
                int result;
                const char *code;
                const char *status;
        } table[] = {
                { "Dkilled TERM", 0, "killed", "TERM" },
                { "Dexited 143", 0, "exited", "143" },
                { "Dnone 0", 0, "none", "0" },
                { "D", -EBADMSG, NULL, NULL },
                { "Dkilled", -EBADMSG, NULL, NULL },
                { "Daaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1", -EBADMSG, NULL, NULL },
                { "Da aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EBADMSG, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                pid_t server = serve("a0", "K1500", table[i].answer);
                KeeperCall call = {
                        .name = "a0",
                        .request = KEEPER_ASK_STOP,
                        .stop_timeout_usec = 1499001,
                };

                assert_int_equal(call_one(&call), table[i].result);
                if (table[i].result == 0) {
                        assert_string_equal(call.code, table[i].code);
                        assert_string_equal(call.status, table[i].status);
                }
                end(server);
        }
}

static void test_no_keeper(void **state _unused_) {
        KeeperState s;
        pid_t pid;

        assert_int_equal(keeper_query(top, "absent", SECOND, &pid, &s), -ENOENT);
        assert_int_equal(keeper_query("/nonexistent", "a0", SECOND, &pid, &s), -ENOENT);
        assert_int_equal(close(listen_on("a0")), 0);
        assert_int_equal(keeper_query(top, "a0", SECOND, &pid, &s), -ECONNREFUSED);
}

static void test_deadline(void **state _unused_) {
        uint64_t before = clock_monotonic_usec(), took;
        pid_t server = serve("a0", NULL, NULL), pid;
        KeeperState s;

        assert_int_equal(keeper_query(top, "a0", SECOND / 5, &pid, &s), -ETIMEDOUT);
        took = clock_monotonic_usec() - before;
        assert_true(took >= SECOND / 5 && took < 3 * SECOND);
        end(server);
}

/* A full queue: the keeper lives, so this is no refusal but a matter of time. */
static void test_full_queue(void **state _unused_) {
        int fd = listen_on("a0"), fds[16];
        size_t n = 0;
        KeeperState s;
        pid_t pid;

        while (n < ELEMENTSOF(fds) && (fds[n] = keeper_connect(top, "a0")) >= 0)
                n++;
        assert_true(n < ELEMENTSOF(fds));
        assert_int_equal(fds[n], -EAGAIN);
        assert_int_equal(keeper_query(top, "a0", SECOND / 10, &pid, &s), -ETIMEDOUT);
        while (n > 0)
                assert_int_equal(close(fds[--n]), 0);
        assert_int_equal(close(fd), 0);
}

/* More keepers than the window, answering in the opposite order, some not at all: each call has its
 * own outcome, and the dead ones hold up nobody but themselves. */
static void test_many(void **state _unused_) {
        enum { N = 400, MUTE = 13, ABSENT = 17 };
        static int fds[N];
        static KeeperCall calls[N];
        static char names[N][16];
        pid_t server;

        for (size_t i = 0; i < N; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "a%zu", i);
                calls[i] = (KeeperCall){ .name = names[i], .request = KEEPER_ASK_QUERY };
                fds[i] = i % ABSENT == 1 ? -1 : listen_on(names[i]);
                if (fds[i] < 0) {
                        _cleanup_free_ char *path = NULL;

                        assert_true(asprintf(&path, "%s/keep/%s", top, names[i]) > 0);
                        (void)unlink(path);
                }
        }
        server = fork();
        assert_true(server >= 0);
        if (server == 0) {
                for (unsigned round = 0; round < 2; round++) {
                        /* the first of each window last */
                        size_t from = round == 0 ? 0 : 256, to = round == 0 ? 256 : N;

                        for (size_t i = to; i-- > from;) {
                                char buffer[64];
                                int c, n;

                                if (fds[i] < 0 || i % MUTE == 0)
                                        continue;
                                c = accept(fds[i], NULL, NULL);
                                (void)!recv(c, buffer, sizeof(buffer), 0);
                                n = snprintf(buffer, sizeof(buffer), "Q%zu running", 1000 + i);
                                (void)!send(c, buffer, (size_t)n, 0);
                                (void)close(c);
                        }
                }
                (void)pause();
                _exit(0);
        }
        assert_int_equal(keeper_call_many(top, calls, N, 3 * SECOND), 0);
        for (size_t i = 0; i < N; i++) {
                if (i % ABSENT == 1)
                        assert_int_equal(calls[i].error, -ENOENT);
                else if (i % MUTE == 0)
                        assert_int_equal(calls[i].error, -ETIMEDOUT);
                else {
                        assert_int_equal(calls[i].error, 0);
                        assert_int_equal(calls[i].pid, 1000 + i);
                }
        }
        keeper_calls_done(calls, N);
        end(server);
        for (size_t i = 0; i < N; i++)
                if (fds[i] >= 0)
                        assert_int_equal(close(fds[i]), 0);
        assert_int_equal(keeper_call_many(top, NULL, 0, SECOND), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_query),
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_no_keeper),
                cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_full_queue),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
