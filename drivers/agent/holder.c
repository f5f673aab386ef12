/* SPDX-License-Identifier: MIT */
#include "drivers/agent/holder.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "drivers/tmux/command.h"
#include "model/base/format.h"
#include "model/base/strv.h"

/* A tmux server needs about one descriptor a pane; at the usual soft limit of 1024 it hangs. */
#define NOFILE_WANTED 65536

/* --- configuration ---------------------------------------------------------------------------- */

int holder_configuration(const FleetFile *f, const char *term, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        /* -q: an option that this tmux does not know is no error. */
        strbuf_add(&b, "# Written by mosaic at each start of the holder; edits are lost.\n"
                       "\n"
                       "# The server and its sessions end when somebody says so, never by "
                       "themselves.\n"
                       "set-option -sgq exit-empty off\n"
                       "set-option -sgq exit-unattached off\n"
                       "set-option -gq destroy-unattached off\n"
                       "\n"
                       "# A pane whose keeper died goes away: that is how its agent and we learn "
                       "of it.\n"
                       "set-option -wgq remain-on-exit off\n"
                       "\n"
                       "# Names are ours; what an agent prints must not change them.\n"
                       "set-option -wgq automatic-rename off\n"
                       "set-option -wgq allow-rename off\n"
                       "set-option -gq set-titles off\n"
                       "\n"
                       "# A client that attaches changes nobody's environment.\n"
                       "set-option -gq update-environment ''\n"
                       "\n"
                       "# Agents must not reach the clipboard of whoever watches, or their "
                       "terminal past tmux.\n"
                       "set-option -sgq set-clipboard off\n"
                       "set-option -wgq allow-passthrough off\n"
                       "\n"
                       "# Delivery types plain keys: Enter must arrive as one byte.\n"
                       "set-option -sgq extended-keys off\n"
                       "\n"
                       "# Nobody is told that it is not looked at: some agents then show no "
                       "input box.\n"
                       "set-option -sgq focus-events off\n"
                       "\n"
                       "# Escape is Escape soon; a terminal far away still gets its sequences "
                       "through.\n"
                       "set-option -sgq escape-time 10\n"
                       "\n"
                       "# Colours as agents draw them, where the watching terminal can show them.\n"
                       "set-option -saq terminal-features "
                       "',xterm-256color:RGB,*-direct:RGB,tmux-256color:RGB,"
                       "alacritty*:RGB,foot*:RGB,xterm-kitty:RGB,wezterm*:RGB,xterm-ghostty:RGB'\n"
                       "\n");
        strbuf_addf(&b,
                        "# What panes are when nobody is attached.\n"
                        "set-option -sgq default-terminal '%s'\n"
                        "set-option -gq default-size '%ux%u'\n"
                        "set-option -gq history-limit %u\n",
                        term, f->width, f->height, f->history);
        return strbuf_finish(&b, ret);
}

/* Programs know what a terminal can do from its entry; without one for tmux, screen's comes
 * close. */
static const char *default_terminal(void) {
        static const char *const directories[] = { "/etc/terminfo", "/lib/terminfo",
                "/usr/lib/terminfo", "/usr/share/terminfo" };
        static const char *const entries[] = { "t/tmux-256color", "74/tmux-256color" };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                for (size_t k = 0; k < ELEMENTSOF(entries); k++) {
                        char path[64];

                        (void)snprintf(path, sizeof(path), "%s/%s", directories[i], entries[k]);
                        if (access(path, R_OK) == 0)
                                return "tmux-256color";
                }
        return "screen-256color";
}

/* --- socket ----------------------------------------------------------------------------------- */

/* tmux makes the directory of its sockets only for -L; the rules are the same: ours, closed to
 * others. */
static int check_directory(const char *socket_path) {
        _cleanup_free_ char *dir =
                        strndup(socket_path, (size_t)(strrchr(socket_path, '/') - socket_path));
        struct stat st;

        if (!dir)
                return no_memory();
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return refuse("cannot make %s for the tmux socket: %s", dir, strerror(errno));
        if (lstat(dir, &st) < 0)
                return refuse("cannot look at %s: %s", dir, strerror(errno));
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & S_IRWXO))
                return refuse("%s must be a directory of yours that is closed to others (mode "
                              "0700)",
                                dir);
        return 0;
}

/* Is somebody there? A server that is too busy to take a connection is there too. */
static int check_nobody_answers(const char *socket_path) {
        struct timeval patience = { .tv_sec = 2 };
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;

        if (strlen(socket_path) >= sizeof(sa.sun_path))
                return refuse("the path of the tmux socket is too long: %s", socket_path);
        (void)stpcpy(sa.sun_path, socket_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return try_again("socket: %s", strerror(errno));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
                if (errno == ENOENT || errno == ECONNREFUSED)
                        return 0;
                if (errno != EAGAIN)
                        return refuse("cannot tell whether a tmux server is on %s: %s", socket_path,
                                        strerror(errno));
        }
        return refuse("a tmux server that this did not start is on %s; end it with "
                      "`tmux -S %s kill-server` if nobody needs it",
                        socket_path, socket_path);
}

/* --- start ------------------------------------------------------------------------------------ */

/* What is this unit's alone must not reach panes. */
static int clean_environment(void) {
        static const char *const names[] = { "TMUX", "TMUX_PANE", "NOTIFY_SOCKET", "INVOCATION_ID",
                "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MANAGERPID", "LISTEN_FDS", "LISTEN_PID",
                "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "MAINPID", "EXIT_CODE",
                "EXIT_STATUS", "SERVICE_RESULT" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (unsetenv(names[i]) < 0)
                        return no_memory();
        return 0;
}

static void raise_descriptor_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= NOFILE_WANTED)
                return;
        limit.rlim_cur = limit.rlim_max < NOFILE_WANTED ? limit.rlim_max : NOFILE_WANTED;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer panes fit then; `doctor` says so */
}

static int write_configuration(const Launcher *l, const FleetFile *f, char **ret_path) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        r = holder_configuration(f, default_terminal(), &text);
        if (r < 0)
                return no_memory();
        if (format_text(&path, "%s/tmux.conf", l->runtime) < 0)
                return no_memory();
        r = dir_make(l->runtime);
        if (r == 0)
                r = file_replace(path, text, strlen(text), 0600);
        if (r < 0)
                return try_again("cannot write %s: %s", path, strerror(-r));
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int make_argv(
                const Launcher *l, const FleetFile *f, const char *configuration, char ***ret) {
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *keeper = NULL, *marker = NULL, *width = NULL, *height = NULL;
        int r;

        r = keeper_path(&keeper);
        if (r < 0)
                return r == -ENOMEM ? no_memory()
                                    : refuse("mosaic-keeper is not installed beside "
                                             "mosaic-launcher");
        r = tmux_marker_format(l->fleet, TMUX_HOLDER_SESSION, &marker);
        if (r < 0)
                return r == -ENOMEM ? no_memory()
                                    : refuse("MOSAIC_FLEET is \"%s\", which is no fleet", l->fleet);
        if (format_text(&width, "%u", f->width) < 0)
                return no_memory();
        if (format_text(&height, "%u", f->height) < 0)
                return no_memory();

        const char *const words[] = { "tmux", "-S", f->tmux_socket, "-f", configuration,
                "new-session", "-d", "-s", TMUX_HOLDER_SESSION, "-x", width, "-y", height, keeper,
                "--hold", ";", "set-option", "-F", "-t", "=" TMUX_HOLDER_SESSION ":",
                TMUX_MARKER_OPTION, marker };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strv_push(&argv, words[i]) < 0)
                        return no_memory();
        *ret = TAKE_PTR(argv);
        return 0;
}

int holder_run(const Launcher *l) {
        _cleanup_(fleet_file_done) FleetFile f = { .tmux_socket = NULL };
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *configuration = NULL;
        int r;

        r = read_fleet_file(l, &f);
        if (r != 0)
                return r;
        r = check_directory(f.tmux_socket);
        if (r != 0)
                return r;
        r = check_nobody_answers(f.tmux_socket);
        if (r != 0)
                return r;
        r = write_configuration(l, &f, &configuration);
        if (r != 0)
                return r;
        r = make_argv(l, &f, configuration, &argv);
        if (r != 0)
                return r;
        r = clean_environment();
        if (r != 0)
                return r;
        raise_descriptor_limit();
        r = process_become(argv, NULL);
        if (r == -ENOENT)
                return refuse("there is no tmux in PATH");
        return try_again("cannot execute tmux: %s", strerror(-r));
}
