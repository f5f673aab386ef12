/* SPDX-License-Identifier: MIT */
#include "reconciler/agent-terminal.h"

#include <string.h>

#include "drivers/store/store.h"
#include "drivers/tmux/command.h"
#include "reconciler/run.h"

void agent_terminal_done(AgentTerminal *t) {
        tmux_server_free(t->server);
        observed_free(t->observed);
        *t = AGENT_TERMINAL_NULL;
}

static int look(const Context *c, AgentTerminal *t) {
        _cleanup_(tmux_listing_freep) TmuxListing *listing = NULL;
        int r;

        r = tmux_server_new(c->record->tmux_socket, c->paths->id_or_default, c->record->tmux_tmpdir,
                        &t->server);
        if (r == 0)
                r = observed_new(c->record->supervisor, &t->observed);
        if (r == 0)
                r = tmux_listing_begin(t->server, &listing);
        if (r == 0)
                r = store_observe(c->paths, t->observed);
        if (r == 0)
                r = tmux_listing_end(listing, t->observed);
        if (r == 0)
                observed_sort(t->observed);
        return r;
}

static bool name_is_taken(const Observed *o, const char *name) {
        for (size_t i = 0; i < o->n_sessions; i++)
                if (o->sessions[i].owner == SESSION_FOREIGN &&
                                strcmp(o->sessions[i].name, name) == 0)
                        return true;
        return false;
}

/* Says why the agent has no terminal here. */
static int refuse(Context *c, const char *verb, char *name, const AgentTerminal *t) {
        _cleanup_pass_ Pass p = PASS_NULL;
        char *const names[] = { name, NULL };
        const AgentSpec *spec = NULL;
        int r;

        r = pass_load(c, &p);
        if (r < 0)
                return r;
        if (p.desired) {
                r = run_check_names(c, p.desired, /* may_have_left= */ false, names);
                if (r != 0)
                        return r;
                spec = desired_find(p.desired, name);
        }
        if (spec && spec->elsewhere)
                return run_refuse(c, verb, EXIT_NOT_CONVERGED, "%s is for another machine", name);
        if (name_is_taken(t->observed, name))
                return run_refuse(c, verb, EXIT_NOT_CONVERGED,
                                "there is a session called %s, but it is not of this fleet", name);
        if (t->observed->tmux.state == SOURCE_ABSENT)
                return run_refuse(c, verb, EXIT_NOT_CONVERGED,
                                "%s has no terminal: %s; start it: mosaic fleet start %s", name,
                                t->observed->tmux.why, name);
        return run_refuse(c, verb, EXIT_NOT_CONVERGED,
                        "%s has no terminal: it was not started here, or its session was ended; "
                        "start it: mosaic fleet start %s",
                        name, name);
}

int agent_terminal_find(Context *c, const char *verb, char *name, AgentTerminal *ret) {
        _cleanup_agent_terminal_ AgentTerminal t = AGENT_TERMINAL_NULL;
        const ObservedSession *session;
        const ObservedRun *run;
        int r;

        r = look(c, &t);
        if (r < 0)
                return r;
        if (t.observed->tmux.state == SOURCE_UNKNOWN)
                return run_refuse(c, verb, EXIT_UNKNOWN, "%s", t.observed->tmux.why);
        session = observed_session(t.observed, name);
        if (!session)
                return refuse(c, verb, name, &t);
        run = observed_run(t.observed, name);
        t.alive = run && run->alive;
        t.pane = (PaneTarget){
                .agent = session->agent,
                .session_id = session->id,
                .pane_id = session->pane_id,
        };
        /* The first pane of the session, unless the agent itself says otherwise. */
        if (t.alive && run->pane_id && tmux_is_pane_id(run->pane_id))
                t.pane.pane_id = run->pane_id;
        *ret = t;
        t = AGENT_TERMINAL_NULL;
        return 0;
}
