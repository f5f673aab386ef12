/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/guarded.h"

#include <string.h>

#include "drivers/tmux/command.h"
#include "model/spec.h"

int tmux_guarded_begin(StrBuf *b, const char *fleet, const char *agent, const char *session_id) {
        _cleanup_free_ char *marker = NULL;
        size_t digits;
        int r;

        digits = session_id[0] == '$' ? strspn(session_id + 1, "0123456789") : 0;
        if (digits == 0 || session_id[1 + digits] != '\0')
                return -EINVAL;
        /* Checks both names. */
        r = tmux_marker_format(fleet, agent, &marker);
        if (r < 0)
                return r;
        strbuf_addf(b, "if-shell -F -t '%s:' '#{==:#{" TMUX_MARKER_OPTION "},%s:%s:%s}' ",
                        session_id, fleet, agent, session_id);
        return 0;
}

int tmux_guarded_rename(StrBuf *b, const char *fleet, const char *agent, const char *session_id) {
        int r;

        r = tmux_guarded_begin(b, fleet, agent, session_id);
        if (r == 0)
                strbuf_addf(b, "{ rename-session -t '%s' '%s' }\n", session_id, agent);
        return r;
}

int tmux_guarded_kill(StrBuf *b, const char *fleet, const char *agent, const char *session_id) {
        int r;

        r = tmux_guarded_begin(b, fleet, agent, session_id);
        if (r == 0)
                strbuf_addf(b, "{ kill-session -t '%s' }\n", session_id);
        return r;
}

int tmux_guarded_add_keeper(StrBuf *b,
                const char *fleet,
                const char *agent,
                const char *session_id,
                const char *keeper_path) {
        int r;

        r = tmux_guarded_begin(b, fleet, agent, session_id);
        if (r < 0)
                return r;
        strbuf_add(b, "{ ");
        r = tmux_command_new_window(b, session_id, agent, keeper_path);
        strbuf_add(b, "}\n");
        return r;
}
