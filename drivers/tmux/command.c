/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/command.h"

#include <errno.h>
#include <string.h>

#include "model/base/format.h"
#include "model/spec.h"

void tmux_quote(StrBuf *b, const char *word) {
        strbuf_add_char(b, '\'');
        for (const char *p = word; *p; p++)
                if (*p == '\'')
                        strbuf_add(b, "'\\''");
                else if (*p == '\n')
                        /* After a newline inside quotes tmux drops blanks and comments. */
                        strbuf_add(b, "'\"\\n\"'");
                else
                        strbuf_add_char(b, *p);
        strbuf_add_char(b, '\'');
}

bool tmux_is_pane_id(const char *s) {
        size_t digits = s[0] == '%' ? strspn(s + 1, "0123456789") : 0;

        return digits > 0 && s[1 + digits] == '\0';
}

/* Fleet ids are hex digits or "default". What is expanded as a format must hold no '#'. */
static bool fleet_is_valid(const char *fleet) {
        size_t n = strspn(fleet, "abcdefghijklmnopqrstuvwxyz0123456789-");

        return n > 0 && fleet[n] == '\0';
}

static bool session_name_is_valid(const char *name) {
        return strcmp(name, TMUX_HOLDER_SESSION) == 0 || agent_name_is_valid(name);
}

int tmux_marker_format(const char *fleet, const char *name, char **ret) {
        if (!fleet_is_valid(fleet) || !session_name_is_valid(name))
                return -EINVAL;
        return format_text(ret, "%s:%s:#{session_id}", fleet, name);
}

int tmux_command_new_session(StrBuf *b,
                const char *fleet,
                const char *name,
                unsigned width,
                unsigned height,
                const char *keeper_path) {
        _cleanup_free_ char *marker = NULL;
        int r;

        r = tmux_marker_format(fleet, name, &marker);
        if (r < 0)
                return r;

        /* With the program as words of its own tmux executes it without a shell. */
        strbuf_addf(b, "new-session -d -s '%s' -x %u -y %u ", name, width, height);
        tmux_quote(b, keeper_path);
        strbuf_addf(b, " '%s' ; set-option -F -t '=%s:' " TMUX_MARKER_OPTION " '%s'\n",
                        strcmp(name, TMUX_HOLDER_SESSION) == 0 ? "--hold" : name, name, marker);
        return 0;
}

int tmux_command_new_window(
                StrBuf *b, const char *session_id, const char *name, const char *keeper_path) {
        size_t digits = session_id[0] == '$' ? strspn(session_id + 1, "0123456789") : 0;

        if (digits == 0 || session_id[1 + digits] != '\0' || !agent_name_is_valid(name))
                return -EINVAL;
        strbuf_addf(b, "new-window -t '%s:' ", session_id);
        tmux_quote(b, keeper_path);
        strbuf_addf(b, " '%s'\n", name);
        return 0;
}
