/* SPDX-License-Identifier: MIT */

/*
 * mosaic-launcher: what the supervisor runs.
 *   NAME            takes the terminal of the agent's pane over and becomes the agent
 *   --stopped NAME  writes down how the agent ended
 *   --holder        becomes the tmux client that starts the fleet's server
 * Each start of each agent goes through here, so it does little, once, and links little.
 */

#include "drivers/agent/launcher.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/agent/environment.h"
#include "drivers/agent/holder.h"
#include "drivers/agent/notify.h"
#include "drivers/agent/program.h"
#include "drivers/agent/run-record.h"
#include "drivers/agent/session.h"
#include "drivers/agent/terminal.h"
#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define EXIT_USAGE 64
/* A tmux server that was started a moment ago, or that systemd is starting again, may take this
 * long. */
#define SERVER_TIMEOUT_USEC (20 * USEC_PER_SEC)
/* A new keeper listens within milliseconds, and after its predecessor ended at the latest. */
#define KEEPER_TIMEOUT_USEC (20 * USEC_PER_SEC)
/* A session of ours without a keeper has lost it for good after this. */
#define LOST_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* --- terminal --------------------------------------------------------------------------------- */

/* Between looks at what only looking tells; starts short, as most things take a millisecond. */
static void pause_growing(uint64_t *usec) {
        struct timespec t = { .tv_nsec = (long)(*usec * 1000) };

        (void)nanosleep(&t, NULL);
        if (*usec < 100 * USEC_PER_MSEC)
                *usec *= 2;
}

static bool means_no_keeper(int error) {
        return error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET ||
               error == -EREMOTEIO;
}

/* Waits until the keeper of a session that is there answers. -ETIMEDOUT, or what terminal_ask()
 * says. */
static int wait_for_keeper(const Launcher *l, uint64_t timeout_usec, Terminal *ret) {
        uint64_t give_up = clock_monotonic_usec() + timeout_usec, pause = USEC_PER_MSEC;

        for (;;) {
                int r = terminal_ask(l->runtime, l->name, ret);

                if (!means_no_keeper(r) && r != -EAGAIN)
                        return r;
                if (clock_monotonic_usec() >= give_up)
                        return -ETIMEDOUT;
                pause_growing(&pause);
        }
}

/* There is no keeper: makes the session, when there is a server, and asks its keeper. 0 or exit
 * status. */
static int make_terminal(const Launcher *l, Terminal *ret) {
        uint64_t give_up = clock_monotonic_usec() + SERVER_TIMEOUT_USEC, pause = 10 * USEC_PER_MSEC;
        _cleanup_(fleet_file_done) FleetFile f = { .tmux_socket = NULL };
        SessionOutcome outcome;
        int r, status;

        status = read_fleet_file(l, &f);
        if (status != 0)
                return status;
        for (;;) {
                _cleanup_free_ char *why = NULL;

                outcome = session_make(l, &f, &status, &why);
                if (outcome != SESSION_NOT_YET)
                        break;
                if (clock_monotonic_usec() >= give_up)
                        return try_again("tmux on %s made no session: %s; is the holder running?",
                                        f.tmux_socket, why ? why : "no reason given");
                pause_growing(&pause);
        }
        if (outcome == SESSION_FAILED)
                return status;
        r = wait_for_keeper(
                        l, outcome == SESSION_MADE ? KEEPER_TIMEOUT_USEC : LOST_TIMEOUT_USEC, ret);
        if (r == -ETIMEDOUT && outcome == SESSION_IS_THERE) {
                status = session_add_keeper(l, &f);
                if (status != 0)
                        return status;
                r = wait_for_keeper(l, KEEPER_TIMEOUT_USEC, ret);
        }
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return try_again("the keeper of the pane does not answer: %s", strerror(-r));
        return 0;
}

static int get_terminal(const Launcher *l, bool may_make, Terminal *ret) {
        int r;

        r = terminal_ask(l->runtime, l->name, ret);
        if (r == 0)
                return 0;
        if (r == -ENOMEM)
                return no_memory();
        if (!means_no_keeper(r))
                return try_again("the keeper of the pane does not answer: %s", strerror(-r));
        if (!may_make)
                return try_again("the pane is gone");
        return make_terminal(l, ret);
}

/* Asks for the terminal and makes it ours. A pane that went away right after its keeper answered
 * counts as one that was never there. */
static int take_terminal(const Launcher *l, bool may_make, Terminal *ret) {
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_terminal_ Terminal t = TERMINAL_NULL;
                int r;

                r = get_terminal(l, may_make, &t);
                if (r != 0)
                        return r;
                r = terminal_own(&t);
                if (r == 0) {
                        *ret = t;
                        t = TERMINAL_NULL;
                        return 0;
                }
                if (r == -EBUSY)
                        return try_again("something else runs in the pane and has its terminal");
                if (r == -EPERM)
                        return refuse("start this from its unit: as the leader of a process group "
                                      "it "
                                      "cannot have a terminal");
                if (attempt >= 3)
                        return try_again("cannot take the terminal over: %s", strerror(-r));
        }
}

/* --- start ------------------------------------------------------------------------------------ */

/* Until the exec, keys typed into the pane must not end or stop the launcher. */
static void ignore_keys(void) {
        static const int signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)signal(signals[i], SIG_IGN);
}

/* Agents start with default dispositions and nothing blocked: systemd leaves SIGPIPE ignored,
 * say. */
static void restore_signals(void) {
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                if (s != SIGKILL && s != SIGSTOP)
                        (void)signal(s, SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int enter_workdir(const char *path) {
        if (chdir(path) == 0)
                return 0;
        return refuse("cannot enter the working directory %s: %s", path, strerror(errno));
}

static int find_program(const AgentSpec *spec, char *const *env, char **ret) {
        const char *path = strv_env_get(env, "PATH");
        int r;

        r = program_find(spec->argv[0], path, ret);
        if (r == 0)
                return 0;
        if (r == -ENOMEM)
                return no_memory();
        if (r == -ENOENT && !strchr(spec->argv[0], '/'))
                return refuse("there is no program %s in PATH (%s)", spec->argv[0],
                                path ? path : "not set");
        return refuse("cannot execute %s: %s", spec->argv[0], strerror(-r));
}

/* Tells the supervisor: systemd by its protocol, a keeper that is our parent by its own. */
static int say_ready(const Terminal *t) {
        char request[32];
        int n, r;

        r = notify_ready();
        if (r < 0)
                return try_again("cannot tell systemd: %s", strerror(-r));
        if (r > 0)
                return 0;
        n = snprintf(request, sizeof(request), "%c%llu", KEEPER_READY,
                        (unsigned long long)said_bytes());
        if (send(t->keeper_fd, request, (size_t)n, MSG_NOSIGNAL) < 0)
                return try_again("cannot tell the keeper: %s", strerror(errno));
        return 0;
}

static int explain_exec(const char *program, int error) {
        switch (error) {
        case ENOEXEC:
                return refuse("%s is no program of this machine and has no #! line", program);
        case ENOENT:
                return refuse("the interpreter of %s is missing", program);
        case E2BIG:
                return refuse("arguments and environment are too long");
        case ENOMEM:
        case EAGAIN:
        case ETXTBSY:
                return try_again("cannot execute %s: %s", program, strerror(error));
        default:
                return refuse("cannot execute %s: %s", program, strerror(error));
        }
}

static int start(const Launcher *l) {
        _cleanup_(agent_spec_freep) AgentSpec *spec = NULL;
        _cleanup_terminal_ Terminal terminal = TERMINAL_NULL;
        _cleanup_strv_ char **env = NULL;
        _cleanup_free_ char *program = NULL;
        /* Under `direct` the keeper is our parent, and without it there is nobody to start us. */
        bool systemd = getenv("NOTIFY_SOCKET");
        int r;

        ignore_keys();
        r = read_spec(l, &spec);
        if (r != 0)
                return r;
        r = take_terminal(l, systemd, &terminal);
        if (r != 0)
                return r;
        r = terminal_reset(&terminal);
        if (r < 0)
                return try_again("cannot reset the terminal: %s", strerror(-r));
        say_to_terminal(terminal.fd);
        r = run_record_check(l, spec, /* end= */ !systemd);
        if (r != 0)
                return r;
        r = enter_workdir(spec->workdir);
        if (r != 0)
                return r;
        r = environment_make(l, spec, terminal.words, &env);
        if (r != 0)
                return r;
        r = find_program(spec, env, &program);
        if (r != 0)
                return r;
        r = run_record_write(l, spec, terminal.words);
        if (r != 0)
                return r;
        r = say_ready(&terminal);
        if (r != 0)
                return r;
        restore_signals();
        (void)execve(program, spec->argv, env);
        r = explain_exec(program, errno);
        run_record_remove(l);
        return r;
}

/* --- command line ----------------------------------------------------------------------------- */

static int get_directories(Launcher *l) {
        const struct {
                const char *variable;
                const char **value;
        } wanted[] = {
                { "MOSAIC_HOME", &l->home },
                { "MOSAIC_STATE_DIR", &l->state },
                { "MOSAIC_RUNTIME_DIR", &l->runtime },
        };

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                const char *value = getenv(wanted[i].variable);

                if (!value || value[0] != '/')
                        return refuse("%s is not set; this program is run by the units of mosaic",
                                        wanted[i].variable);
                *wanted[i].value = value;
        }
        l->fleet = getenv("MOSAIC_FLEET");
        if (!l->fleet)
                return refuse("MOSAIC_FLEET is not set; this program is run by the units of "
                              "mosaic");
        return 0;
}

static int usage(void) {
        say("usage: mosaic-launcher NAME | --stopped NAME | --holder");
        return EXIT_USAGE;
}

int main(int argc, char *argv[]) {
        bool holder = argc == 2 && strcmp(argv[1], "--holder") == 0;
        bool stopped = argc == 3 && strcmp(argv[1], "--stopped") == 0;
        Launcher l = { .name = holder || argc < 2 ? NULL : argv[argc - 1] };
        int r;

        say_init(l.name);
        if (!holder && !stopped && argc != 2)
                return usage();
        if (l.name && !agent_name_is_valid(l.name)) {
                r = refuse("this is no name of an agent");
                return r;
        }
        r = get_directories(&l);
        if (r != 0)
                return r;
        if (holder)
                return holder_run(&l);
        return stopped ? stop_record_write(&l) : start(&l);
}
