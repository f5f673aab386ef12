/* SPDX-License-Identifier: MIT */
#include "drivers/machine/terminal.h"

#include <stdarg.h>
#include <string.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/os/proc.h"
#include "drivers/tmux/typing.h"
#include "model/base/format.h"
#include "model/base/parse.h"

#define KEEPER_TIMEOUT_USEC (5 * USEC_PER_SEC)

static int say(char **ret_why, const char *format, ...) _printf_(2, 3);

static int say(char **ret_why, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(ret_why, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return 1;
}

/* systemd: every process of a unit is in the unit's cgroup, and nobody else is. */
static int vouch_cgroup(const Paths *paths, const ObservedRun *run, char **ret_why) {
        _cleanup_free_ char *unit = NULL, *cgroup = NULL;
        const char *last;
        int r;

        r = paths_agent_unit(paths, run->agent, &unit);
        if (r == 0)
                r = proc_cgroup(run->pid, &cgroup);
        if (r == -ESRCH)
                return say(ret_why, "its process %ld has ended", (long)run->pid);
        if (r == -ENODATA)
                return 0; /* no cgroups to tell by */
        if (r < 0)
                return r;
        last = strrchr(cgroup, '/');
        if (last && strcmp(last + 1, unit) == 0)
                return 0;
        return say(ret_why, "process %ld, which has its terminal, is not one of %s but in %s",
                        (long)run->pid, unit, cgroup);
}

/* direct: the keeper knows its child. */
static int vouch_keeper(const Paths *paths, const ObservedRun *run, char **ret_why) {
        KeeperState state;
        pid_t pid = 0;
        int r;

        r = keeper_query(paths->runtime, run->agent, KEEPER_TIMEOUT_USEC, &pid, &state);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return say(ret_why, "it has no keeper");
        if (r < 0)
                return r;
        if (state == KEEPER_HAS_RUNNING && pid == run->pid)
                return 0;
        return say(ret_why, "its keeper does not run process %ld", (long)run->pid);
}

int terminal_vouch(
                const Paths *paths, const Observed *observed, const char *agent, char **ret_why) {
        const ObservedRun *run = observed_run(observed, agent);

        if (!run || !run->alive)
                return say(ret_why, "no process of it runs");
        return observed->supervisor == SUPERVISOR_SYSTEMD ? vouch_cgroup(paths, run, ret_why)
                                                          : vouch_keeper(paths, run, ret_why);
}

int terminal_input(const TmuxServer *tmux,
                const Observed *observed,
                const DriverInput *input,
                DriverInputReply *ret) {
        static const DriverInputReply replies[] = {
                [TYPING_DONE] = DRIVER_INPUT_DONE,
                [TYPING_MOVED] = DRIVER_INPUT_MOVED,
                [TYPING_GONE] = DRIVER_INPUT_GONE,
                [TYPING_UNKNOWN] = DRIVER_INPUT_UNKNOWN,
        };
        const ObservedSession *session = observed_session(observed, input->agent);
        const ObservedRun *run = observed_run(observed, input->agent);
        TypingReply reply = TYPING_GONE;
        TypingPane pane;
        int r = 0;

        if (!session || !run || !run->pane_id) {
                *ret = DRIVER_INPUT_GONE;
                return 0;
        }
        pane = (TypingPane){
                .agent = input->agent,
                .session_id = session->id,
                .pane_id = run->pane_id,
                .pane_pid = input->screen->pane_pid,
                .x = input->screen->cursor_x,
                .y = input->screen->cursor_y,
        };
        switch (input->kind) {
        case DRIVER_INPUT_LEAVE_MODE:
                r = typing_leave_mode(tmux, &pane, &reply);
                break;
        case DRIVER_INPUT_FOCUS:
                r = typing_focus(tmux, &pane, &reply);
                break;
        case DRIVER_INPUT_PASTE:
                r = typing_paste(tmux, &pane, input->id, input->text, input->size, &reply);
                break;
        case DRIVER_INPUT_PRESS:
                r = typing_press(tmux, &pane, input->key, &reply);
                break;
        }
        if (r < 0)
                return r;
        *ret = replies[reply];
        return 0;
}
