/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>

#include "model/base/parse.h"
#include "reconciler/agent-terminal.h"
#include "reconciler/complain.h"
#include "reconciler/options.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

/* Are we inside a pane of this very server? $TMUX is "SOCKET,PID,SESSION". */
static bool is_inside(const TmuxServer *server) {
        const char *value = getenv("TMUX");
        _cleanup_free_ char *path = NULL;
        struct stat ours, theirs;

        if (!value || !*value)
                return false;
        path = strndup(value, strcspn(value, ","));
        return path && stat(path, &theirs) == 0 && stat(server->socket, &ours) == 0 &&
               ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int become(const AgentTerminal *t, bool inside, bool read_only) {
        /* The id of a session is never used again by its server: what was found is what is
         * attached. -E: the session's environment stays as it is. */
        const char *const attach[] = { "attach-session", "-E", "-t", t->pane.session_id,
                read_only ? "-r" : NULL, NULL };
        const char *const switch_client[] = { "switch-client", "-E", "-t", t->pane.session_id,
                NULL };

        return tmux_server_become(t->server, inside ? switch_client : attach);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_agent_terminal_ AgentTerminal t = AGENT_TERMINAL_NULL;
        _cleanup_options_ Options o = { 0 };
        bool inside;
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_READ_ONLY | OPTION_NO_JSON, argc, argv, &o);
        if (r == 0)
                r = options_check_one_name(&o, argv[0]);
        if (r != 0)
                return r;
        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return run_refuse(c, argv[0], EXIT_INTERNAL,
                                "this is no terminal; to read without one: mosaic agent tail %s",
                                o.names[0]);
        r = agent_terminal_find(c, argv[0], o.names[0], &t);
        if (r != 0)
                return r;
        inside = is_inside(t.server);
        if (inside && o.read_only)
                return run_refuse(c, argv[0], EXIT_BLOCKED,
                                "you are in a session of this fleet already, and read-only would "
                                "be "
                                "all of it; detach first, or read: mosaic agent tail -f %s",
                                o.names[0]);
        if (!t.alive)
                complain("attach: %s does not run; this is what it left", o.names[0]);
        r = become(&t, inside, o.read_only);
        return run_refuse(c, argv[0], EXIT_INTERNAL, "cannot run tmux: %s", strerror(-r));
}

const Verb verb_agent_attach = {
        .group = "agent",
        .name = "attach",
        .task = TASK_AGENT,
        .synopsis = "NAME [-r]",
        .summary = "Attach this terminal to an agent's session",
        .words = "@agent",
        .help = "Finds the session by the fleet's mark, whatever it is called, and becomes a tmux\n"
                "client of it. Inside a session of the same fleet it switches to the other one.\n"
                "To leave: the detach key of tmux, C-b d unless you changed it.\n"
                "\n"
                "Options:\n"
                "  -r, --read-only   Only look: keys do nothing but detach, and this terminal's\n"
                "                    size changes nothing\n"
                "\n"
                "Exit status: that of tmux; 1 no terminal here, 3 read-only inside the fleet,\n"
                "4 the agent has no session, 6 cannot tell, 64 no such agent.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent attach web\n"
                "  mosaic agent attach -r web\n",
        .run = run,
};
