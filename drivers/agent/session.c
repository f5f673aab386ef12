/* SPDX-License-Identifier: MIT */
#include "drivers/agent/session.h"

#include <string.h>

#include "drivers/os/process.h"
#include "drivers/tmux/command.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define TMUX_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define LISTING_MAX (4 * 1024 * 1024)
/* Between fields: no session name holds one, tmux replaces it; the marker, which does, comes
 * last. */
#define SEPARATOR ":"

/* As little as a client needs; above all no TMUX, which would lead it to another server. */
static int client_environment(char ***ret) {
        static const char *const names[] = { "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE" };
        _cleanup_strv_ char **env = NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *value = getenv(names[i]);

                if (value && strv_env_set(&env, names[i], value) < 0)
                        return -ENOMEM;
        }
        /* UTF-8 whatever the locale: names come back as they are. */
        if (strv_env_set(&env, "LC_CTYPE", "C.UTF-8") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(env);
        return 0;
}

/* `tmux -N -S SOCKET ARGUMENT...`; -N: it never starts a server, that is the holder's. */
static int
run_tmux(const FleetFile *f, const char *const *arguments, const char *input, ProcessResult *ret) {
        _cleanup_strv_ char **env = NULL, **argv = NULL;
        int r;

        r = client_environment(&env);
        if (r < 0)
                return r;
        if (strv_push(&argv, "tmux") < 0 || strv_push(&argv, "-N") < 0 ||
                        strv_push(&argv, "-S") < 0 || strv_push(&argv, f->tmux_socket) < 0)
                return -ENOMEM;
        for (; *arguments; arguments++)
                if (strv_push(&argv, *arguments) < 0)
                        return -ENOMEM;
        return process_run(&(const ProcessRequest){ .argv = argv,
                                           .env = env,
                                           .input = input,
                                           .input_size = input ? strlen(input) : 0,
                                           .output_max = LISTING_MAX,
                                           .timeout_usec = TMUX_TIMEOUT_USEC },
                        ret);
}

/* Says why tmux could not be asked. */
static int tmux_failed(int error) {
        if (error == -ENOMEM)
                return no_memory();
        if (error == -ENOENT)
                return refuse("there is no tmux in PATH");
        if (error == -ETIMEDOUT)
                return try_again("the tmux server does not answer");
        return try_again("cannot run tmux: %s", strerror(-error));
}

static int run_commands(const FleetFile *f, StrBuf *commands, ProcessResult *ret) {
        static const char *const arguments[] = { "source-file", "-", NULL };
        _cleanup_free_ char *text = NULL;
        int r;

        r = strbuf_finish(commands, &text);
        if (r < 0)
                return r;
        return run_tmux(f, arguments, text, ret);
}

/* First line of what tmux complained about, without the newline. */
static const char *first_line(char *text) {
        text[strcspn(text, "\n")] = '\0';
        return text;
}

/* Finds our session by its marker. SESSION_FAILED with *ret_status 0: there is none of that
 * name. */
static SessionOutcome look(const Launcher *l, const FleetFile *f, char **ret_id, int *ret_status) {
        static const char *const arguments[] = { "list-sessions", "-F",
                "#{session_id}" SEPARATOR "#{session_name}" SEPARATOR "#{" TMUX_MARKER_OPTION "}",
                NULL };
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        char *rest, *line;
        int r;

        r = run_tmux(f, arguments, NULL, &result);
        if (r < 0) {
                *ret_status = tmux_failed(r);
                return SESSION_FAILED;
        }
        if (result.status != 0)
                return SESSION_NOT_YET;
        rest = result.output;
        while ((line = strsep(&rest, "\n"))) {
                const char *id = strsep(&line, SEPARATOR), *name = strsep(&line, SEPARATOR);
                _cleanup_free_ char *marker = NULL;

                if (!name || !line || strcmp(name, l->name) != 0)
                        continue;
                if (format_text(&marker, "%s:%s:%s", l->fleet, l->name, id) < 0) {
                        *ret_status = no_memory();
                        return SESSION_FAILED;
                }
                if (strcmp(marker, line) != 0) {
                        *ret_status = refuse(
                                        "a session called %s that is not of this fleet is on the "
                                        "tmux server; rename or end it, then start %s again",
                                        l->name, l->name);
                        return SESSION_FAILED;
                }
                *ret_id = strdup(id);
                if (!*ret_id) {
                        *ret_status = no_memory();
                        return SESSION_FAILED;
                }
                return SESSION_IS_THERE;
        }
        return SESSION_NOT_YET;
}

SessionOutcome session_make(
                const Launcher *l, const FleetFile *f, int *ret_status, char **ret_why) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_strbuf_ StrBuf commands = STRBUF_NULL;
        _cleanup_free_ char *keeper = NULL, *id = NULL;
        SessionOutcome outcome;
        int r;

        *ret_why = NULL;
        r = keeper_path(&keeper);
        if (r < 0) {
                *ret_status = r == -ENOMEM ? no_memory()
                                           : refuse("mosaic-keeper is not installed beside "
                                                    "mosaic-launcher");
                return SESSION_FAILED;
        }
        r = tmux_command_new_session(&commands, l->fleet, l->name, f->width, f->height, keeper);
        if (r == -EINVAL) {
                *ret_status = refuse("MOSAIC_FLEET is \"%s\", which is no fleet", l->fleet);
                return SESSION_FAILED;
        }
        if (r == 0)
                r = run_commands(f, &commands, &result);
        if (r < 0) {
                *ret_status = tmux_failed(r);
                return SESSION_FAILED;
        }
        if (result.status == 0)
                return SESSION_MADE;

        /* No server, or a session of that name: the listing tells, not the words of an error. */
        outcome = look(l, f, &id, ret_status);
        if (outcome == SESSION_NOT_YET)
                *ret_why = strdup(first_line(result.errors));
        return outcome;
}

int session_add_keeper(const Launcher *l, const FleetFile *f) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_strbuf_ StrBuf commands = STRBUF_NULL;
        _cleanup_free_ char *keeper = NULL, *id = NULL;
        SessionOutcome outcome;
        int r, status = 0;

        outcome = look(l, f, &id, &status);
        if (outcome == SESSION_FAILED)
                return status;
        if (outcome != SESSION_IS_THERE)
                return try_again("the session went away");
        r = keeper_path(&keeper);
        if (r == 0)
                r = tmux_command_new_window(&commands, id, l->name, keeper);
        if (r == 0)
                r = run_commands(f, &commands, &result);
        if (r < 0)
                return tmux_failed(r);
        if (result.status != 0)
                return try_again("tmux made no window: %s", first_line(result.errors));
        return 0;
}
