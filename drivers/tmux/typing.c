/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/typing.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/tmux/command.h"
#include "model/spec.h"

#define BUFFER_PREFIX "mosaic-send-"
#define ID_LENGTH 8
/* What the server says it did. */
#define WORD "mosaic-typing"

void typing_buffer_name(char ret[static TYPING_BUFFER_SIZE], const char *agent, const char *id) {
        (void)snprintf(ret, TYPING_BUFFER_SIZE, BUFFER_PREFIX "%s-%s", agent, id);
}

bool typing_buffer_is_of(const char *name, const char *agent) {
        size_t prefix = strlen(BUFFER_PREFIX), length = strlen(agent);

        if (strncmp(name, BUFFER_PREFIX, prefix) != 0 ||
                        strncmp(name + prefix, agent, length) != 0 || name[prefix + length] != '-')
                return false;
        name += prefix + length + 1;
        return strlen(name) == ID_LENGTH && strspn(name, "0123456789abcdef") == ID_LENGTH;
}

/* --- command lines ---------------------------------------------------------------------------- */

static bool is_session_id(const char *s) {
        size_t digits = s[0] == '$' ? strspn(s + 1, "0123456789") : 0;

        return digits > 0 && s[1 + digits] == '\0';
}

/*
 * Opens "if it is still that pane, alive, {": what is compared is one string, as tmux has no and
 * with more than two sides. pane_dead is exactly "its terminal is gone" in tmux.
 */
static int begin(StrBuf *b, const char *fleet, const TypingPane *p) {
        _cleanup_free_ char *marker = NULL;
        int r;

        if (!tmux_is_pane_id(p->pane_id) || !is_session_id(p->session_id))
                return -EINVAL;
        r = tmux_marker_format(fleet, p->agent, &marker); /* checks both names */
        if (r < 0)
                return r;
        strbuf_addf(b,
                        "if-shell -F -t '%s' '#{==:#{" TMUX_MARKER_OPTION
                        "} #{pane_pid} #{pane_dead},%s:%s:%s %ld 0}' { ",
                        p->pane_id, fleet, p->agent, p->session_id, (long)p->pane_pid);
        return 0;
}

static void finish(StrBuf *b, const char *otherwise, const char *word) {
        strbuf_addf(b, " } { %sdisplay-message -p '%s gone' }\n", otherwise, word);
}

/* Within it: "if the cursor is where it was left and the keys go to the program, {". */
static void begin_still(StrBuf *b, const TypingPane *p) {
        strbuf_addf(b,
                        "if-shell -F -t '%s' '#{==:#{cursor_x} #{cursor_y} #{pane_in_mode},%u %u "
                        "0}' { ",
                        p->pane_id, p->x, p->y);
}

static void end_still(StrBuf *b, const char *otherwise, const char *word) {
        strbuf_addf(b, " ; display-message -p '%s done' } { %sdisplay-message -p '%s moved' }",
                        word, otherwise, word);
}

int typing_paste_command(StrBuf *b,
                const char *fleet,
                const TypingPane *p,
                const char *buffer,
                const char *word) {
        char drop[TYPING_BUFFER_SIZE + 32];
        int r;

        (void)snprintf(drop, sizeof(drop), "delete-buffer -b '%s' ; ", buffer);
        r = begin(b, fleet, p);
        if (r < 0)
                return r;
        begin_still(b, p);
        /* -r: a newline stays one; -p: in brackets; -d: the buffer goes. */
        strbuf_addf(b, "paste-buffer -p -r -d -b '%s' -t '%s'", buffer, p->pane_id);
        end_still(b, drop, word);
        finish(b, drop, word);
        return 0;
}

int typing_press_command(StrBuf *b,
                const char *fleet,
                const TypingPane *p,
                const char *key,
                const char *word) {
        int r;

        r = begin(b, fleet, p);
        if (r < 0)
                return r;
        begin_still(b, p);
        strbuf_addf(b, "send-keys -t '%s' -- ", p->pane_id);
        tmux_quote(b, key);
        end_still(b, "", word);
        finish(b, "", word);
        return 0;
}

int typing_focus_command(StrBuf *b, const char *fleet, const TypingPane *p, const char *word) {
        int r;

        r = begin(b, fleet, p);
        if (r < 0)
                return r;
        begin_still(b, p);
        /* "\033[I": what tmux itself sends when somebody attaches. */
        strbuf_addf(b, "send-keys -t '%s' -H 1b 5b 49", p->pane_id);
        end_still(b, "", word);
        finish(b, "", word);
        return 0;
}

int typing_leave_command(StrBuf *b, const char *fleet, const TypingPane *p, const char *word) {
        int r;

        r = begin(b, fleet, p);
        if (r < 0)
                return r;
        strbuf_addf(b,
                        "if-shell -F -t '%s' '#{pane_in_mode}' { send-keys -t '%s' -X cancel } ; "
                        "display-message -p '%s done'",
                        p->pane_id, p->pane_id, word);
        finish(b, "", word);
        return 0;
}

/* --- deeds ------------------------------------------------------------------------------------ */

/* The last line tells; without one some command failed, and what failed typed nothing. */
static int read_reply(int result, const char *output, TypingReply *ret) {
        static const char *const words[] = {
                [TYPING_DONE] = WORD " done\n",
                [TYPING_MOVED] = WORD " moved\n",
                [TYPING_GONE] = WORD " gone\n",
        };

        if (result < 0) {
                /* Killed at the deadline, it ended by a signal, or what it said could not be read:
                 * the server may still do it, or has done it. */
                *ret = TYPING_UNKNOWN;
                return result == -ENOENT ? result : 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(output, words[i]) == 0) {
                        *ret = (TypingReply)i;
                        return 0;
                }
        *ret = TYPING_GONE;
        return 0;
}

static int run(const TmuxServer *s, StrBuf *b, TypingReply *ret) {
        _cleanup_free_ char *commands = NULL, *output = NULL;
        int r;

        r = strbuf_finish(b, &commands);
        if (r < 0)
                return r;
        r = tmux_server_run(s, commands, &output, NULL);
        return read_reply(r, output ? output : "", ret);
}

static int load(const TmuxServer *s, const char *buffer, const char *text, size_t size) {
        const char *const words[] = { "load-buffer", "-b", buffer, "-", NULL };
        int r;

        r = tmux_server_feed(s, words, text, size);
        return r > 0 ? -EIO : r;
}

static void forget(const TmuxServer *s, const char *buffer) {
        const char *const words[] = { "delete-buffer", "-b", buffer, NULL };

        /* One that stays was gone already, or the next sweep takes it. */
        (void)!tmux_server_feed(s, words, "", 0);
}

int typing_paste(const TmuxServer *s,
                const TypingPane *p,
                const char *id,
                const char *text,
                size_t size,
                TypingReply *ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char buffer[TYPING_BUFFER_SIZE];
        int r;

        typing_buffer_name(buffer, p->agent, id);
        r = typing_paste_command(&b, s->fleet, p, buffer, WORD);
        if (r < 0)
                return r;
        r = load(s, buffer, text, size);
        if (r == 0)
                r = run(s, &b, ret);
        if (r < 0 || *ret == TYPING_GONE)
                forget(s, buffer);
        return r;
}

int typing_press(const TmuxServer *s, const TypingPane *p, const char *key, TypingReply *ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        r = typing_press_command(&b, s->fleet, p, key, WORD);
        return r < 0 ? r : run(s, &b, ret);
}

int typing_focus(const TmuxServer *s, const TypingPane *p, TypingReply *ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        r = typing_focus_command(&b, s->fleet, p, WORD);
        return r < 0 ? r : run(s, &b, ret);
}

int typing_leave_mode(const TmuxServer *s, const TypingPane *p, TypingReply *ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        r = typing_leave_command(&b, s->fleet, p, WORD);
        return r < 0 ? r : run(s, &b, ret);
}

int typing_sweep(const TmuxServer *s, const char *agent) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *output = NULL, *commands = NULL;
        char *rest, *name;
        int r;

        r = tmux_server_run(s, "list-buffers -F '#{buffer_name}'\n", &output, NULL);
        if (r != 0)
                return r < 0 ? r : 0;
        rest = output;
        while ((name = strsep(&rest, "\n")))
                if (typing_buffer_is_of(name, agent))
                        strbuf_addf(&b, "delete-buffer -b '%s'\n", name);
        if (b.length == 0)
                return 0;
        r = strbuf_finish(&b, &commands);
        if (r == 0)
                r = tmux_server_run(s, commands, NULL, NULL);
        return r < 0 ? r : 0;
}
