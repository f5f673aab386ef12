/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Typing into the pane of an agent. Check and deed are one step of the server: a pane that is dead
 * (a paste into one crashes tmux 3.3a, and every agent with it), no longer ours, in copy mode, or
 * whose cursor has moved, is left alone. What is typed reaches tmux over standard input only.
 */

#include <sys/types.h>

#include "drivers/tmux/server.h"
#include "model/base/strbuf.h"

/* Which pane, as it was seen; strings are borrowed. */
typedef struct TypingPane {
        const char *agent;
        const char *session_id; /* "$3" */
        const char *pane_id;    /* "%3" */
        pid_t pane_pid;         /* the keeper */
        unsigned x, y;          /* where the cursor has to be */
} TypingPane;

typedef enum TypingReply {
        TYPING_DONE,
        TYPING_MOVED,   /* the cursor is elsewhere, or a mode was entered */
        TYPING_GONE,    /* dead, gone, or not ours any more */
        TYPING_UNKNOWN, /* no answer in time */
} TypingReply;

#define TYPING_BUFFER_SIZE 80

/* "mosaic-send-AGENT-ID": unique to one message. */
void typing_buffer_name(char ret[static TYPING_BUFFER_SIZE], const char *agent, const char *id);

/* Ours, of that agent, whatever the id? */
bool typing_buffer_is_of(const char *name, const char *agent);

/* The command lines (pure). -EINVAL: what the pane is called by could mean something to tmux. */
_must_check_ int typing_paste_command(StrBuf *b,
                const char *fleet,
                const TypingPane *p,
                const char *buffer,
                const char *word);
_must_check_ int typing_press_command(StrBuf *b,
                const char *fleet,
                const TypingPane *p,
                const char *key,
                const char *word);
_must_check_ int typing_focus_command(
                StrBuf *b, const char *fleet, const TypingPane *p, const char *word);
_must_check_ int typing_leave_command(
                StrBuf *b, const char *fleet, const TypingPane *p, const char *word);

/*
 * The deeds. Each returns 0 with @ret, or a negative errno if nothing can have been typed. A buffer
 * that was loaded is gone again, pasted or not, unless we are killed in between; then the next
 * sweep takes it. Text: @size bytes, pasted in brackets if the program asked for that.
 */
_must_check_ int typing_paste(const TmuxServer *s,
                const TypingPane *p,
                const char *id,
                const char *text,
                size_t size,
                TypingReply *ret);
_must_check_ int typing_press(
                const TmuxServer *s, const TypingPane *p, const char *key, TypingReply *ret);
/* Tells the program, as terminals do, that it has the focus. */
_must_check_ int typing_focus(const TmuxServer *s, const TypingPane *p, TypingReply *ret);
_must_check_ int typing_leave_mode(const TmuxServer *s, const TypingPane *p, TypingReply *ret);

/* Deletes the buffers that killed senders to this agent left. To be called with its lock held. */
_must_check_ int typing_sweep(const TmuxServer *s, const char *agent);
