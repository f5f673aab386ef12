/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/server.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "drivers/os/clock.h"
#include "drivers/os/process.h"
#include "drivers/tmux/listing.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define LISTING_MAX (16 * 1024 * 1024)
#define TIMEOUT_USEC (5 * USEC_PER_SEC)

TmuxServer *tmux_server_free(TmuxServer *s) {
        if (!s)
                return NULL;
        free(s->socket);
        free(s->fleet);
        strv_free(s->env);
        free(s);
        return NULL;
}

/* The caller's environment, but nothing that could lead a client to another server; and no PATH,
 * which tmux would hand to a pane that the client makes: panes have that of the server. */
static int client_environment(const char *tmpdir, char ***ret) {
        _cleanup_strv_ char **env = NULL;
        int r;

        for (char **e = environ; e && *e; e++) {
                if (strncmp(*e, "TMUX=", 5) == 0 || strncmp(*e, "TMUX_PANE=", 10) == 0 ||
                                strncmp(*e, "PATH=", 5) == 0)
                        continue;
                r = strv_push(&env, *e);
                if (r < 0)
                        return r;
        }
        r = strv_env_set(&env, "TMUX_TMPDIR", tmpdir);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(env);
        return 0;
}

int tmux_server_new(const char *socket, const char *fleet, const char *tmpdir, TmuxServer **ret) {
        _cleanup_(tmux_server_freep) TmuxServer *s = calloc(1, sizeof(TmuxServer));
        int r;

        if (!s)
                return -ENOMEM;
        s->socket = strdup(socket);
        s->fleet = strdup(fleet);
        if (!s->socket || !s->fleet)
                return -ENOMEM;
        r = client_environment(tmpdir, &s->env);
        if (r < 0)
                return r;
        s->timeout_usec = TIMEOUT_USEC;
        *ret = TAKE_PTR(s);
        return 0;
}

int tmux_version(char **ret) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        char program[] = "tmux", option[] = "-V";
        char *const argv[] = { program, option, NULL };
        const ProcessRequest request = {
                .argv = argv,
                .output_max = 4096,
                .timeout_usec = TIMEOUT_USEC,
        };
        const char *version;
        int r;

        r = process_run(&request, &result);
        if (r < 0)
                return r;
        version = strchr(result.output, ' ');
        if (result.status != 0 || !version)
                return -EPROTO;
        version++;
        *ret = strndup(version, strcspn(version, "\n"));
        return *ret ? 0 : -ENOMEM;
}

int tmux_socket_path(const char *tmpdir, const char *name, char **ret) {
        _cleanup_free_ char *resolved = realpath(tmpdir, NULL), *path = NULL;

        if (format_text(&path, "%s/tmux-%u/%s", resolved ? resolved : tmpdir, (unsigned)getuid(),
                            name) < 0)
                return -ENOMEM;
        if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
                return -ENAMETOOLONG;
        *ret = TAKE_PTR(path);
        return 0;
}

static int connect_socket(const TmuxServer *s, int *ret) {
        struct timeval patience = { .tv_sec = 1 };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (strlen(s->socket) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void)stpcpy(address.sun_path, s->socket);
        /* connect(2) says ECONNREFUSED for a plain file as well: look first. */
        if (stat(s->socket, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode))
                return -ENOTSOCK;
        if (st.st_uid != getuid())
                return -EPERM;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int tmux_server_probe(const TmuxServer *s) {
        _cleanup_close_ int fd = -1;

        return connect_socket(s, &fd);
}

int tmux_server_pid(const TmuxServer *s, pid_t *ret) {
        socklen_t size = sizeof(struct ucred);
        _cleanup_close_ int fd = -1;
        struct ucred peer;
        int r;

        r = connect_socket(s, &fd);
        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        *ret = peer.pid;
        return 0;
}

static int make_argv(const TmuxServer *s, bool utf8, const char *const *words, char ***ret) {
        const char *const head[] = { "tmux", "-N", "-S", s->socket };
        _cleanup_strv_ char **argv = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(head) && r == 0; i++) {
                r = strv_push(&argv, head[i]);
                if (r == 0 && i == 0 && utf8)
                        r = strv_push(&argv, "-u");
        }
        for (; *words && r == 0; words++)
                r = strv_push(&argv, *words);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

/* Of a client that is asked something. -u: whatever the locale, the answer comes byte for byte
 * (tabs are `_` without). */
static int client_argv(const TmuxServer *s, const char *const *words, char ***ret) {
        return make_argv(s, /* utf8= */ true, words, ret);
}

int tmux_server_become(const TmuxServer *s, const char *const *words) {
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = make_argv(s, /* utf8= */ false, words, &argv);
        return r < 0 ? r : process_become(argv, s->env);
}

/* What a failed connect says about the server. */
static void classify_probe(const TmuxServer *s, int error, Source *source) {
        switch (-error) {
        case ENOENT:
        case ENOTDIR:
                source_set(source, SOURCE_ABSENT, "no tmux server: there is no socket %s",
                                s->socket);
                break;
        case ECONNREFUSED:
                source_set(source, SOURCE_ABSENT, "no tmux server: nobody listens on %s",
                                s->socket);
                break;
        case ENOTSOCK:
                source_set(source, SOURCE_UNKNOWN, "%s is not a socket; remove it", s->socket);
                break;
        case EPERM:
                source_set(source, SOURCE_UNKNOWN, "%s belongs to another user", s->socket);
                break;
        case ETIMEDOUT:
                source_set(source, SOURCE_UNKNOWN, "the tmux server on %s does not answer",
                                s->socket);
                break;
        default:
                source_set(source, SOURCE_UNKNOWN, "cannot reach the tmux server on %s: %s",
                                s->socket, strerror(-error));
        }
}

static char *first_line(char *text) {
        text[strcspn(text, "\n")] = '\0';
        return text;
}

struct TmuxListing {
        const TmuxServer *server;
        Source source; /* why no client was started */
        char **argv;
        Process *client;
        uint64_t begin_usec;
};

TmuxListing *tmux_listing_free(TmuxListing *l) {
        if (!l)
                return NULL;
        process_free(l->client);
        strv_free(l->argv);
        free(l->source.why);
        free(l);
        return NULL;
}

int tmux_listing_begin(const TmuxServer *s, TmuxListing **ret) {
        _cleanup_(tmux_listing_freep) TmuxListing *l = calloc(1, sizeof(TmuxListing));
        ProcessRequest request;
        int r;

        if (!l)
                return -ENOMEM;
        l->server = s;
        l->begin_usec = clock_monotonic_usec();
        r = tmux_server_probe(s);
        if (r < 0)
                classify_probe(s, r, &l->source);
        else {
                r = client_argv(s, tmux_listing_words, &l->argv);
                if (r < 0)
                        return r;
                request = (ProcessRequest){
                        .argv = l->argv,
                        .env = s->env,
                        .output_max = LISTING_MAX,
                        .timeout_usec = s->timeout_usec,
                };
                r = process_start(&request, &l->client);
                if (r == -ENOMEM)
                        return r;
                if (r == -ENOENT)
                        source_set(&l->source, SOURCE_UNKNOWN,
                                        "there is no tmux in PATH: install it");
                else if (r < 0)
                        source_set(&l->source, SOURCE_UNKNOWN, "cannot run tmux: %s", strerror(-r));
        }
        *ret = TAKE_PTR(l);
        return 0;
}

bool tmux_listing_has_client(const TmuxListing *l) {
        return l->client;
}

/* What the client said. */
static int read_listing(TmuxListing *l, Observed *o) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        int r;

        r = process_finish(l->client, &result);
        if (r == -ENOMEM)
                return r;
        if (r == -ETIMEDOUT) {
                source_set(&o->tmux, SOURCE_UNKNOWN,
                                "the tmux server on %s did not answer within %u s",
                                l->server->socket,
                                (unsigned)(l->server->timeout_usec / USEC_PER_SEC));
                return 0;
        }
        if (r < 0) {
                source_set(&o->tmux, SOURCE_UNKNOWN, "cannot read the listing of tmux: %s",
                                strerror(-r));
                return 0;
        }
        if (result.status != 0 && tmux_listing_is_empty(result.output, o)) {
                o->tmux.state = SOURCE_PRESENT;
                return 0;
        }
        if (result.status != 0) {
                /* It accepted a moment ago: a server that is dying, or one of another version. */
                o->server_other_version = strstr(result.errors, "protocol version mismatch");
                source_set(&o->tmux, SOURCE_UNKNOWN, "tmux list-panes failed: %s",
                                *result.errors ? first_line(result.errors) : "no message");
                return 0;
        }
        r = tmux_listing_parse(result.output, l->server->fleet, o);
        if (r == -EBADMSG) {
                source_set(&o->tmux, SOURCE_UNKNOWN, "the listing of the tmux server is garbled");
                return 0;
        }
        if (r < 0)
                return r;
        o->tmux.state = SOURCE_PRESENT;
        return 0;
}

int tmux_listing_end(TmuxListing *l, Observed *o) {
        bool ours = false;
        int r = 0;

        if (l->client)
                r = read_listing(l, o);
        else {
                o->tmux.state = l->source.state;
                o->tmux.why = TAKE_PTR(l->source.why);
        }
        if (r < 0)
                return r;
        o->tmux.took_usec = clock_monotonic_usec() - l->begin_usec;
        for (size_t i = 0; i < o->n_sessions; i++)
                ours = ours || o->sessions[i].owner != SESSION_FOREIGN;
        o->server_foreign = o->tmux.state == SOURCE_PRESENT && o->n_sessions > 0 && !ours;
        return 0;
}

static int run_client(const TmuxServer *s,
                const char *const *words,
                const char *input,
                size_t size,
                char **ret_output,
                char **ret_errors) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_strv_ char **argv = NULL;
        ProcessRequest request;
        int r;

        r = client_argv(s, words, &argv);
        if (r < 0)
                return r;
        request = (ProcessRequest){
                .argv = argv,
                .env = s->env,
                .input = input,
                .input_size = size,
                .output_max = LISTING_MAX,
                .timeout_usec = s->timeout_usec,
        };
        r = process_run(&request, &result);
        if (r < 0)
                return r;
        if (result.signal != 0)
                return -EIO;
        if (ret_output)
                *ret_output = TAKE_PTR(result.output);
        if (ret_errors)
                *ret_errors = TAKE_PTR(result.errors);
        return result.status == 0 ? 0 : 1;
}

int tmux_server_run(
                const TmuxServer *s, const char *commands, char **ret_output, char **ret_errors) {
        static const char *const words[] = { "source-file", "-", NULL };

        return run_client(s, words, commands, strlen(commands), ret_output, ret_errors);
}

int tmux_server_feed(
                const TmuxServer *s, const char *const *words, const char *input, size_t size) {
        return run_client(s, words, input, size, NULL, NULL);
}
