/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command lines that touch a session only if it still carries our marker when tmux executes them:
 * the check and the deed are one step of the server (pure).
 */

#include "model/base/strbuf.h"

/* Appends the condition alone, "if-shell ... ": the caller adds what is done then, and else, in
 * braces. Errors as below. */
_must_check_ int tmux_guarded_begin(
                StrBuf *b, const char *fleet, const char *agent, const char *session_id);

/* @session_id is "$3" as listed. -EINVAL: not an id, or a name that could mean something to
 * tmux. */
_must_check_ int tmux_guarded_rename(
                StrBuf *b, const char *fleet, const char *agent, const char *session_id);
_must_check_ int tmux_guarded_kill(
                StrBuf *b, const char *fleet, const char *agent, const char *session_id);

/* A keeper of @agent in a new window of the session. */
_must_check_ int tmux_guarded_add_keeper(StrBuf *b,
                const char *fleet,
                const char *agent,
                const char *session_id,
                const char *keeper_path);
