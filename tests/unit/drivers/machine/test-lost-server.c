/* SPDX-License-Identifier: MIT */

/* Whose pid is it now? A server that ended leaves its own in records; soon it is another's. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drivers/machine/lost-server.h"
#include "tests/unit/drivers/waiting-process.h"

static bool is_server(pid_t pid, pid_t younger) {
        bool is;

        assert_int_equal(lost_server_is(pid, younger, &is), 0);
        return is;
}

static void test_server(void **state _unused_) {
        pid_t server = make_process("tmux: server"), agent = make_process("agent");
        siginfo_t info;

        assert_true(is_server(server, 0));
        assert_true(is_server(server, agent));
        assert_false(is_server(agent, 0));
        assert_int_equal(kill(server, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t)server, &info, WEXITED | WNOWAIT), 0);
        assert_false(is_server(server, 0)); /* nobody has waited for it yet */
        assert_int_equal(waitpid(server, NULL, 0), server);
        assert_false(is_server(server, 0));
        end_process(agent);
}

/* The pid that an agent's record names is that of a server again, but of a later one, somebody
 * else's: the agent was there before it. */
static void test_another_server(void **state _unused_) {
        pid_t server = make_process("tmux: server");

        assert_false(is_server(server, 1));
        end_process(server);
}

/* Nobody can look: a second server would be begun if that counted as none. */
static void test_cannot_be_told(void **state _unused_) {
        pid_t server = make_process("tmux: server");
        struct rlimit all, none = { 0 };
        bool is;
        int r;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        none.rlim_max = all.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = lost_server_is(server, 0, &is);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_int_equal(r, -EMFILE);
        end_process(server);
}

/* Between look and repair the pid went to somebody whom the signal would end. */
static void test_repair_of_another(void **state _unused_) {
        pid_t other = make_process("agent");
        char *message = NULL;

        assert_int_equal(lost_server_repair(NULL, other, &message), -ESRCH);
        assert_null(message);
        assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
        end_process(other);
        assert_int_equal(lost_server_repair(NULL, other, &message), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_server),
                cmocka_unit_test(test_another_server),
                cmocka_unit_test(test_cannot_be_told),
                cmocka_unit_test(test_repair_of_another),
        };

        return has_pidfds() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
