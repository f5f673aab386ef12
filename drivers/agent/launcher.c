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

#include "drivers/agent/environment.h"
#include "drivers/agent/holder.h"
#include "drivers/agent/launch.h"
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
        clock_pause(*usec);
        if (*usec < 100 * USEC_PER_MSEC)
                *usec *= 2;
}

static bool means_no_keeper(int error) {
        return error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET ||
               error == -EREMOTEIO;
}

/* What one launch has in hand. */
typedef struct Start {
        const Launcher *l;
        Launch launch;
        AgentSpec *spec;
        FleetFile fleet; /* once it is needed */
        Terminal terminal;
        char *program;
        char **env;
        uint64_t give_up_usec, pause_usec; /* of a step that is tried again; 0: not tried yet */
        int status;                        /* why it ended */
} Start;

static void start_done(Start *s) {
        agent_spec_free(s->spec);
        fleet_file_done(&s->fleet);
        terminal_done(&s->terminal);
        free(s->program);
        strv_free(s->env);
}

/* What a step came to that returns 0 or the exit status. */
static LaunchOutcome outcome_of(Start *s, int status) {
        s->status = status;
        return status == 0 ? LAUNCH_DONE : LAUNCH_ERROR;
}

/* A step that is tried again until its time is over. */
static void enter(Start *s, uint64_t timeout_usec, uint64_t pause_usec) {
        if (s->give_up_usec != 0)
                return;
        s->give_up_usec = clock_monotonic_usec() + timeout_usec;
        s->pause_usec = pause_usec;
}

static LaunchOutcome no_answer(Start *s, int error) {
        return outcome_of(s, error == -ENOMEM ? no_memory()
                                              : try_again("the keeper of the pane does not answer: "
                                                          "%s",
                                                                strerror(-error)));
}

static LaunchOutcome ask_keeper(Start *s) {
        int r = terminal_ask(s->l->runtime, s->l->name, &s->terminal);

        if (r == 0)
                return LAUNCH_DONE;
        if (!means_no_keeper(r))
                return no_answer(s, r);
        if (!s->launch.may_make)
                s->status = try_again("the pane is gone");
        return LAUNCH_ABSENT;
}

/* When there is a server. */
static LaunchOutcome make_session(Start *s) {
        _cleanup_free_ char *why = NULL;
        int status;

        enter(s, SERVER_TIMEOUT_USEC, 10 * USEC_PER_MSEC);
        if (!s->fleet.tmux_socket) {
                status = read_fleet_file(s->l, &s->fleet);
                if (status != 0)
                        return outcome_of(s, status);
        }
        switch (session_make(s->l, &s->fleet, &status, &why)) {
        case SESSION_MADE:
                return LAUNCH_DONE;
        case SESSION_IS_THERE:
                return LAUNCH_THERE;
        case SESSION_FAILED:
                return outcome_of(s, status);
        case SESSION_NOT_YET:
                break;
        }
        if (clock_monotonic_usec() >= s->give_up_usec)
                return outcome_of(s,
                                try_again("tmux on %s made no session: %s; is the holder running?",
                                                s->fleet.tmux_socket,
                                                why ? why : "no reason given"));
        pause_growing(&s->pause_usec);
        return LAUNCH_NOT_YET;
}

/* Waits until the keeper of a session that is there answers. */
static LaunchOutcome await_keeper(Start *s) {
        int r;

        enter(s, s->launch.made ? KEEPER_TIMEOUT_USEC : LOST_TIMEOUT_USEC, USEC_PER_MSEC);
        r = terminal_ask(s->l->runtime, s->l->name, &s->terminal);
        if (r == 0)
                return LAUNCH_DONE;
        if (!means_no_keeper(r) && r != -EAGAIN)
                return no_answer(s, r);
        if (clock_monotonic_usec() < s->give_up_usec) {
                pause_growing(&s->pause_usec);
                return LAUNCH_NOT_YET;
        }
        if (s->launch.made)
                (void)no_answer(s, -ETIMEDOUT);
        return LAUNCH_LATE;
}

/* Makes the terminal that was lent ours. */
static LaunchOutcome own_terminal(Start *s) {
        int r = terminal_own(&s->terminal);

        if (r == 0)
                return LAUNCH_DONE;
        if (r == -EBUSY)
                return outcome_of(s,
                                try_again("something else runs in the pane and has its terminal"));
        if (r == -EPERM)
                return outcome_of(s, refuse("start this from its unit: as the leader of a process "
                                            "group it cannot have a terminal"));
        terminal_done(&s->terminal);
        if (s->launch.n_retries == LAUNCH_RETRIES_MAX)
                s->status = try_again("cannot take the terminal over: %s", strerror(-r));
        return LAUNCH_GONE;
}

static LaunchOutcome reset_terminal(Start *s) {
        int r = terminal_reset(&s->terminal);

        if (r < 0)
                return outcome_of(s, try_again("cannot reset the terminal: %s", strerror(-r)));
        say_to_terminal(s->terminal.fd);
        return LAUNCH_DONE;
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

static int prepare(Start *s) {
        int r;

        r = enter_workdir(s->spec->workdir);
        if (r == 0)
                r = environment_make(s->l, s->spec, s->terminal.words, &s->env);
        return r == 0 ? find_program(s->spec, s->env, &s->program) : r;
}

/* Comes back only if it failed. */
static int become_agent(const Start *s) {
        restore_signals();
        (void)execve(s->program, s->spec->argv, s->env);
        return explain_exec(s->program, errno);
}

static LaunchOutcome perform(Start *s) {
        switch (s->launch.step) {
        case LAUNCH_READ_SPEC:
                return outcome_of(s, read_spec(s->l, &s->spec));
        case LAUNCH_ASK_KEEPER:
                return ask_keeper(s);
        case LAUNCH_MAKE_SESSION:
                return make_session(s);
        case LAUNCH_AWAIT_KEEPER:
                return await_keeper(s);
        case LAUNCH_ADD_KEEPER:
                return outcome_of(s, session_add_keeper(s->l, &s->fleet));
        case LAUNCH_OWN_TERMINAL:
                return own_terminal(s);
        case LAUNCH_RESET_TERMINAL:
                return reset_terminal(s);
        case LAUNCH_CHECK_RUN:
                return outcome_of(
                                s, run_record_check(s->l, s->spec, /* end= */ !s->launch.may_make));
        case LAUNCH_PREPARE:
                return outcome_of(s, prepare(s));
        case LAUNCH_WRITE_RUN:
                return outcome_of(s, run_record_write(s->l, s->spec, s->terminal.words));
        case LAUNCH_SAY_READY:
                return outcome_of(s, say_ready(&s->terminal));
        case LAUNCH_EXEC:
                return outcome_of(s, become_agent(s));
        case LAUNCH_REMOVE_RUN:
                run_record_remove(s->l);
                break;
        case LAUNCH_FAILED:
        case _LAUNCH_STEP_MAX:
                break;
        }
        return LAUNCH_DONE;
}

static int start(const Launcher *l) {
        /* Under `direct` the keeper is our parent, and without it there is nobody to start us. */
        _cleanup_(start_done) Start s = {
                .l = l,
                .launch = launch_begin(/* systemd= */ getenv("NOTIFY_SOCKET")),
                .terminal = TERMINAL_NULL,
        };

        ignore_keys();
        while (s.launch.step != LAUNCH_FAILED) {
                LaunchStep step = s.launch.step;

                launch_next(&s.launch, perform(&s));
                if (s.launch.step != step)
                        s.give_up_usec = 0;
        }
        return s.status;
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
        if (l.name && !agent_name_is_valid(l.name))
                return refuse("this is no name of an agent");
        r = get_directories(&l);
        if (r != 0)
                return r;
        if (holder)
                return holder_run(&l);
        return stopped ? stop_record_write(&l) : start(&l);
}
