/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text for `tmux source-file -` (pure): words quoted so that tmux takes them literally, and the few
 * command lists that more than one program sends. Each list is one line: tmux gives up the rest of
 * a line when one of its commands fails, so no marker is ever put on a session that was not made
 * there.
 */

#include "model/base/strbuf.h"

#define TMUX_MARKER_OPTION "@mosaic"
#define TMUX_HOLDER_SESSION "_holder"

/* "%3": what may go onto a command line as a pane. */
bool tmux_is_pane_id(const char *s);

/* Appends @word as one word, literally: no variable, tilde, semicolon, comment or newline means
 * anything to the parser of tmux. (A format, #{...}, is expanded by the commands that do so, quoted
 * or not.) */
void tmux_quote(StrBuf *b, const char *word);

/*
 * Appends the line that makes an agent's session, not attached, with the keeper at @keeper_path in
 * its pane, and puts the ownership marker on it. @fleet is the fleet id or "default". -EINVAL:
 * @fleet or
 * @name could mean something to tmux.
 */
_must_check_ int tmux_command_new_session(StrBuf *b,
                const char *fleet,
                const char *name,
                unsigned width,
                unsigned height,
                const char *keeper_path);

/* Appends the line that puts a keeper into a new window of the session with id @session_id
 * ("$3"). */
_must_check_ int tmux_command_new_window(
                StrBuf *b, const char *session_id, const char *name, const char *keeper_path);

/* The value that `set-option -F` is given for the marker: "FLEET:NAME:#{session_id}". Caller
 * frees. */
_must_check_ int tmux_marker_format(const char *fleet, const char *name, char **ret);
