/* SPDX-License-Identifier: MIT */

/*
 * What becomes of names and words on their way to tmux and systemd. Command lines that we write are
 * taken apart again by a reader of tmux' syntax that was written for this, and must be the words
 * that were meant; a name that passes for an agent's must be safe as session, unit and file.
 */

#include "drivers/os/paths.h"
#include "drivers/tmux/command.h"
#include "drivers/tmux/guarded.h"
#include "drivers/tmux/typing.h"
#include "model/base/strv.h"
#include "model/spec.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

/* --- tmux' syntax ----------------------------------------------------------------------------- */

/* Within quotes a newline also swallows the blanks and the comment behind it. */
static const char *after_newline(const char *p) {
        while (*p == ' ' || *p == '\t')
                p++;
        if (*p == '#')
                p += strcspn(p, "\n");
        return p;
}

static const char *read_double(const char *p, StrBuf *word) {
        for (; *p && *p != '"'; p++)
                if (*p == '\\') {
                        p++;
                        assert(*p == 'n'); /* the only one we write */
                        strbuf_add_char(word, '\n');
                } else {
                        assert(*p != '$' && *p != '~' && *p != '\n');
                        strbuf_add_char(word, *p);
                }
        assert(*p == '"');
        return p + 1;
}

static const char *read_word(const char *p, StrBuf *word) {
        strbuf_add(word, "");
        while (*p && !strchr(" \n;", *p))
                if (*p == '\'') {
                        for (p++; *p && *p != '\''; p++)
                                if (*p == '\n') {
                                        strbuf_add_char(word, ' ');
                                        p = after_newline(p + 1) - 1;
                                } else
                                        strbuf_add_char(word, *p);
                        assert(*p == '\'');
                        p++;
                } else if (*p == '"')
                        p = read_double(p + 1, word);
                else if (*p == '\\') {
                        assert(p[1] == '\'');
                        strbuf_add_char(word, '\'');
                        p += 2;
                } else {
                        /* Of what stands bare nothing may mean anything. */
                        assert(!strchr("$~#%", *p));
                        strbuf_add_char(word, *p++);
                }
        return p;
}

/* One line as words; ";" and braces are words of their own, marked by a byte that no word has. */
static char **read_line(const char *p) {
        _cleanup_strv_ char **words = NULL;

        while (*p && *p != '\n') {
                _cleanup_strbuf_ StrBuf word = STRBUF_NULL;
                int r;

                if (*p == ' ') {
                        p++;
                        continue;
                }
                if (strchr(";{}", *p)) {
                        r = strv_pushf(&words, "\001%c", *p++);
                        assert(r == 0);
                        continue;
                }
                p = read_word(p, &word);
                r = strv_push(&words, strbuf_text(&word));
                assert(r == 0);
        }
        assert(strcmp(p, "\n") == 0);
        return TAKE_PTR(words);
}

/* Is the line what @wanted says, a word each? */
static void compare(const StrBuf *line, const char *const *wanted, size_t n) {
        _cleanup_strv_ char **words = read_line(strbuf_text(line));

        assert(strv_length(words) == n);
        for (size_t i = 0; i < n; i++)
                assert(strcmp(words[i], wanted[i]) == 0);
}

static void check_quote(const char *word) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        strbuf_add(&b, "display-message ");
        tmux_quote(&b, word);
        strbuf_add(&b, "\n");
        compare(&b, (const char *const[]){ "display-message", word }, 2);
}

/* Text without what a format could mean. */
static bool is_plain(const char *s) {
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool is_id(const char *s, char sigil) {
        return s[0] == sigil && s[1] && s[1 + strspn(s + 1, "0123456789")] == '\0';
}

static void check_sessions(
                const char *fleet, const char *name, const char *session, const char *program) {
        _cleanup_strbuf_ StrBuf make = STRBUF_NULL, window = STRBUF_NULL, end = STRBUF_NULL,
                                rename = STRBUF_NULL;
        _cleanup_free_ char *target = NULL, *marker = NULL, *condition = NULL, *at = NULL;
        bool holder = strcmp(name, "_holder") == 0, sound = agent_name_is_valid(name);
        int r;

        r = asprintf(&target, "=%s:", name) < 0 || asprintf(&at, "%s:", session) < 0 ||
            asprintf(&marker, "%s:%s:#{session_id}", fleet, name) < 0 ||
            asprintf(&condition, "#{==:#{@mosaic},%s:%s:%s}", fleet, name, session) < 0;
        assert(r == 0);
        r = tmux_command_new_session(&make, fleet, name, 80, 24, program);
        assert(r == (is_plain(fleet) && (sound || holder) ? 0 : -EINVAL));
        if (r == 0)
                compare(&make,
                                (const char *const[]){ "new-session", "-d", "-s", name, "-x", "80",
                                                "-y", "24", program, holder ? "--hold" : name,
                                                "\001;", "set-option", "-F", "-t", target,
                                                "@mosaic", marker },
                                17);
        r = tmux_command_new_window(&window, session, name, program);
        assert(r == (is_id(session, '$') && sound ? 0 : -EINVAL));
        if (r == 0)
                compare(&window, (const char *const[]){ "new-window", "-t", at, program, name }, 5);
        r = tmux_guarded_kill(&end, fleet, name, session);
        assert(r == (is_plain(fleet) && (sound || holder) && is_id(session, '$') ? 0 : -EINVAL));
        if (r == 0)
                compare(&end,
                                (const char *const[]){ "if-shell", "-F", "-t", at, condition,
                                                "\001{", "kill-session", "-t", session, "\001}" },
                                10);
        if (r == 0 && tmux_guarded_rename(&rename, fleet, name, session) == 0)
                compare(&rename,
                                (const char *const[]){ "if-shell", "-F", "-t", at, condition,
                                                "\001{", "rename-session", "-t", session, name,
                                                "\001}" },
                                11);
}

static void check_typing(const char *fleet,
                const char *name,
                const char *session,
                const char *pane,
                const char *key) {
        TypingPane p = { .agent = name, .session_id = session, .pane_id = pane, .pane_pid = 9 };
        _cleanup_free_ char *condition = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool sound = is_plain(fleet) && is_id(session, '$') && is_id(pane, '%') &&
                     (agent_name_is_valid(name) || strcmp(name, "_holder") == 0);
        int r;

        r = asprintf(&condition, "#{==:#{@mosaic} #{pane_pid} #{pane_dead},%s:%s:%s 9 0}", fleet,
                        name, session);
        assert(r > 0);
        r = typing_press_command(&b, fleet, &p, key, "word");
        assert(r == (sound ? 0 : -EINVAL));
        if (r == 0)
                compare(&b,
                                (const char *const[]){ "if-shell", "-F", "-t", pane, condition,
                                                "\001{", "if-shell", "-F", "-t", pane,
                                                "#{==:#{cursor_x} #{cursor_y} #{pane_in_mode},0 0 "
                                                "0}",
                                                "\001{", "send-keys", "-t", pane, "--", key,
                                                "\001;", "display-message", "-p", "word done",
                                                "\001}", "\001{", "display-message", "-p",
                                                "word moved", "\001}", "\001}", "\001{",
                                                "display-message", "-p", "word gone", "\001}" },
                                33);
}

/* --- units and files -------------------------------------------------------------------------- */

/* systemd's rule for the instance of a template, and what is not a specifier or an escape in it. */
static void check_unit(const char *prefix, const char *name) {
        _cleanup_free_ char *unit = NULL, *wanted = NULL;
        Paths p = { .unit_prefix = (char *)(uintptr_t)prefix };
        size_t n = strlen(name);

        if (!agent_name_is_valid(name))
                return;
        assert(n > 0 && n <= 40 && name[0] != '.' && name[0] != '-' && name[0] != '_');
        for (size_t i = 0; i < n; i++)
                assert((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
                                name[i] == '-');
        assert(paths_agent_unit(&p, name, &unit) == 0);
        assert(asprintf(&wanted, "%sagent@%s.service", prefix, name) > 0);
        assert(strcmp(unit, wanted) == 0 && strlen(unit) < 256);
        assert(strchr(unit, '@') == strrchr(unit, '@') && !strpbrk(unit, "/%\\ "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        _cleanup_free_ char *fleet = NULL, *name = NULL, *session = NULL, *pane = NULL,
                            *program = NULL;

        fleet = input_text(&in, 20);
        name = input_text(&in, 60);
        session = input_text(&in, 20);
        pane = input_text(&in, 20);
        program = input_rest(&in);
        check_quote(program);
        check_sessions(fleet, name, session, program);
        check_typing(fleet, name, session, pane, program);
        check_unit("mosaic-", name);
        check_unit("mosaic-1a2b3c4d-", name);
        return 0;
}
