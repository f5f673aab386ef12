/* SPDX-License-Identifier: MIT */
#include <pwd.h>
#include <string.h>

#include "drivers/store/store.h"
#include "model/base/strv.h"
#include "reconciler/complain.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"
#include "reconciler/watch-stop.h"

static const char *user_name(void) {
        const struct passwd *pw = getpwuid(getuid());

        return pw ? pw->pw_name : "somebody";
}

/* All stop, so first of all who would start them again. */
static int stop_controller(Context *c) {
        WatchStop s;
        int r;

        r = watch_stop(c, &s);
        if (r == -ENOMEM || (r < 0 && r != -ETIMEDOUT && !s.asked)) {
                watch_stop_done(&s);
                return r == -EPERM ? run_refuse_shared(c, "stop") : r;
        }
        if (r < 0) {
                r = run_refuse(c, "stop", EXIT_NOT_CONVERGED,
                                "the controller was asked to end, and does not (%s); no agent was "
                                "stopped. See: mosaic fleet status",
                                s.message ? s.message : strerror(-r));
                watch_stop_done(&s);
                return r;
        }
        if (!c->json && s.unit)
                printf("The controller is stopped; 'mosaic fleet start' starts its unit again\n");
        if (!c->json && s.foreground > 0)
                printf("The controller, pid %d, is ended; to have it again: mosaic fleet watch\n",
                                (int)s.foreground);
        /* Its lock stays taken until this process ends: no other controller meanwhile. */
        s.lock = -1;
        watch_stop_done(&s);
        return 0;
}

/* The hold comes before the agents: whatever happens then, nothing starts them again. */
static int prepare(Context *c, const Options *o, const Pass *p _unused_) {
        int r;

        if (strv_length(o->names) == 0) {
                r = stop_controller(c);
                return r != 0 ? r : store_hold(c->paths, NULL, user_name(), o->reason);
        }
        for (char **name = o->names; *name; name++) {
                r = store_hold(c->paths, *name, user_name(), o->reason);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Everything of ours is down: the holder goes too, unless somebody else lives on the socket. */
static int conclude(Context *c, const Options *o, Pass *p, ExitCode *code) {
        _cleanup_free_ char *message = NULL;
        const Plan *last = p->rest ? p->rest : p->plan;
        size_t foreign = plan_count_remarks(last, REMARK_FOREIGN);
        /* Also a holder that systemd is just bringing back after a crash of the server. */
        bool is_up = p->observed->tmux.state == SOURCE_PRESENT ||
                     unit_state_is_active(p->observed->holder);
        int r;

        if (strv_length(o->names) > 0 || *code != EXIT_OK || !is_up || p->observed->server_foreign)
                return 0;
        if (foreign > 0) {
                if (!c->json)
                        printf("The tmux server stays: %zu foreign session%s on %s\n", foreign,
                                        foreign == 1 ? " is" : "s are", c->record->tmux_socket);
                return 0;
        }
        r = c->driver.stop_holder(c->driver.world, &message);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                complain("the tmux server did not stop: %s", message ? message : "unknown");
                *code = EXIT_NOT_CONVERGED;
        } else if (!c->json)
                printf("The tmux server is stopped\n");
        return 0;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        RunChange change = {
                .verb = "stop",
                .policy = PLAN_POLICY_DEFAULT,
                .prepare = prepare,
                .conclude = conclude,
        };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_LOCK_TIMEOUT | OPTION_REASON, argc, argv, &o);
        if (r != 0)
                return r;
        change.policy.mode = PLAN_STOP;
        change.policy.names = o.names;
        return run_change(c, &change, &o);
}

const Verb verb_fleet_stop = {
        .group = "fleet",
        .name = "stop",
        .task = TASK_OPERATE,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Stop agents and hold them until 'start'",
        .words = "@agent",
        .help = "With names, these agents end and their panes stay. Without, the controller ends\n"
                "first, then all agents, then all our sessions go, and at last the tmux server,\n"
                "unless foreign sessions live on it.\n"
                "\n"
                "Options:\n"
                "      --reason TEXT     Shown with the hold, everywhere\n"
                "      --lock-timeout T  Wait this long for another writer (30s)\n"
                "      --json            Print the result as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 done and verified, 3 a person is needed, 4 not converged,\n"
                "6 cannot tell, 7 locked, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet stop web --reason 'moving its disk'\n"
                "  mosaic fleet stop\n",
        .run = run,
};
