/* SPDX-License-Identifier: MIT */

/*
 * mosaic-keeper NAME: the process of a pane. It owns the terminal while agents come and go: gives
 * up the controlling terminal, so that an agent can have it, keeps the slave side open, so that the
 * pane lives on, and lends it to the launcher over a socket. Under the direct supervisor it is also
 * the agent's parent (keeper-direct.c). `mosaic-keeper --hold` only sleeps.
 *
 * Hundreds of these run for weeks: static, no malloc, no stdio, asleep in one poll(2) without
 * timeout.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/agent/keeper-packet.h"
#include "drivers/agent/keeper-protocol.h"
#include "drivers/agent/keeper-serve.h"
#include "drivers/os/clock.h"
#include "model/base/cleanup.h"

#define TERMINAL_FD STDIN_FILENO
/* The agent of a pane that went away is about to end: this long a new keeper waits for the old
 * one. */
#define PREDECESSOR_TIMEOUT_MS 15000

static KeeperServer server;

static char socket_name[64];
static dev_t socket_dev;
static ino_t socket_ino;

/* "mosaic-keeper: WHAT: ENOENT", on the pane. */
_Noreturn static void die(const char *what, int error) {
        const char *name = strerrorname_np(error < 0 ? -error : error);
        PACKET(p);

        packet_text(&p, "mosaic-keeper: ");
        packet_text(&p, what);
        if (error != 0) {
                packet_text(&p, ": ");
                packet_text(&p, name ? name : "unknown error");
        }
        packet_text(&p, "\n");
        (void)!write(STDERR_FILENO, p.bytes, p.n);
        _exit(1);
}

/* --- terminal --------------------------------------------------------------------------------- */

/* From here on nothing typed can signal us, and one agent after the other can have the terminal. */
static void give_up_terminal(void) {
        if (isatty(TERMINAL_FD) == 0)
                die("standard input is not a terminal; this program runs in a pane", 0);

        /* The kernel hangs up the foreground group of who gives a terminal up: ourselves. */
        (void)signal(SIGHUP, SIG_IGN);
        if (ioctl(TERMINAL_FD, TIOCNOTTY) < 0 && errno != ENOTTY)
                die("cannot give up the terminal", errno);
        (void)signal(SIGHUP, SIG_DFL);
}

/* --- socket ----------------------------------------------------------------------------------- */

static void make_directory(const char *path) {
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                die(path, errno);
}

/* Enters $MOSAIC_RUNTIME_DIR/keep. Working there makes names short enough for sun_path, whatever
 * the length of the path. */
static int enter_directory(void) {
        const char *runtime = getenv("MOSAIC_RUNTIME_DIR");
        char path[4096];
        struct stat st;
        size_t n;
        int fd;

        if (!runtime || runtime[0] != '/')
                die("MOSAIC_RUNTIME_DIR is not set", 0);
        n = strlen(runtime);
        if (n + sizeof("/" KEEPER_DIRECTORY) > sizeof(path))
                die("MOSAIC_RUNTIME_DIR", ENAMETOOLONG);
        memcpy(path, runtime, n + 1);
        for (char *p = path + 1; *p; p++)
                if (*p == '/') {
                        *p = '\0';
                        make_directory(path);
                        *p = '/';
                }
        make_directory(path);
        memcpy(path + n, "/" KEEPER_DIRECTORY, sizeof("/" KEEPER_DIRECTORY));
        make_directory(path);
        if (chdir(path) < 0)
                die(path, errno);
        fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                die(path, errno);
        if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
                die("the directory of the sockets must be ours alone (mode 0700)", 0);
        return fd;
}

static void set_address(struct sockaddr_un *sa, const char *name) {
        *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(sa->sun_path, name, strlen(name) + 1);
}

/* Is there a living keeper of our name? Returns a connection to it, -ECONNREFUSED or -ENOENT. */
static int find_predecessor(void) {
        struct sockaddr_un sa;
        int fd, r;

        set_address(&sa, socket_name);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                die("socket", errno);
        if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
                return fd;
        r = -errno;
        (void)close(fd);
        return r;
}

/* Binds to a name of our own and renames it: the name is never absent and never refuses. */
static int bind_socket(void) {
        PACKET(temporary);
        struct sockaddr_un sa;
        struct stat st;
        mode_t mask;
        int fd;

        packet_text(&temporary, ".");
        packet_text(&temporary, socket_name);
        packet_text(&temporary, ".");
        packet_number(&temporary, (uint64_t)getpid());
        packet_bytes(&temporary, "", 1);
        set_address(&sa, temporary.bytes);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                die("socket", errno);
        (void)unlink(sa.sun_path);
        mask = umask(0177);
        if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
                die("cannot bind the socket", errno);
        (void)umask(mask); /* agents inherit it under the direct supervisor */
        if (listen(fd, KEEPER_CLIENTS_MAX) < 0 || stat(sa.sun_path, &st) < 0 ||
                        rename(sa.sun_path, socket_name) < 0) {
                int r = errno;

                (void)unlink(sa.sun_path);
                die("cannot listen on the socket", r);
        }
        socket_dev = st.st_dev;
        socket_ino = st.st_ino;
        return fd;
}

static int64_t now_ms(void) {
        return (int64_t)(clock_monotonic_usec() / 1000);
}

/*
 * Listens on keep/NAME. The socket of a dead keeper is replaced; that of a living one never: its
 * pane went away and its agent is about to end (or somebody made a second session), so we wait, and
 * give up after a while. The lock on the directory makes look and rename one step among keepers.
 */
static int listen_on_socket(void) {
        int64_t give_up = now_ms() + PREDECESSOR_TIMEOUT_MS;
        _cleanup_close_ int dir = enter_directory();

        for (;;) {
                struct pollfd fds[2] = { { .fd = TERMINAL_FD }, { .fd = -1 } };
                int predecessor, fd;
                int64_t left;

                while (flock(dir, LOCK_EX) < 0)
                        if (errno != EINTR)
                                die("cannot lock the directory of the sockets", errno);
                predecessor = find_predecessor();
                if (predecessor == -ECONNREFUSED || predecessor == -ENOENT) {
                        fd = bind_socket();
                        (void)flock(dir, LOCK_UN);
                        return fd;
                }
                (void)flock(dir, LOCK_UN);

                /* -EAGAIN: alive, with a full queue; there is nothing to wait on but time */
                if (predecessor < 0 && predecessor != -EAGAIN)
                        die("cannot ask the keeper of that name", predecessor);
                left = give_up - now_ms();
                if (left <= 0)
                        die("a living keeper has that name", 0);
                if (predecessor < 0 && left > 100)
                        left = 100;
                fds[1].fd = predecessor;
                (void)poll(fds, 2, (int)left);
                if (fds[0].revents != 0)
                        _exit(0);
                if (predecessor >= 0)
                        (void)close(predecessor);
        }
}

/* Leaves no dead socket behind, and never removes that of a successor. */
static void remove_socket(void) {
        _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (dir < 0 || flock(dir, LOCK_EX) < 0)
                return;
        if (fstatat(dir, socket_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == socket_dev &&
                        st.st_ino == socket_ino)
                (void)unlinkat(dir, socket_name, 0);
}

/* --- the program ------------------------------------------------------------------------------ */

/* ^[a-z][a-z0-9-]{0,39}$, as model/spec.h says. */
static bool name_is_valid(const char *name) {
        size_t n = 0;

        if (name[0] < 'a' || name[0] > 'z')
                return false;
        for (; name[n]; n++)
                if (n >= 40 || !((name[n] >= 'a' && name[n] <= 'z') ||
                                               (name[n] >= '0' && name[n] <= '9') ||
                                               name[n] == '-'))
                        return false;
        return true;
}

int main(int argc, char *argv[]) {
        int r;

        if (argc == 2 && strcmp(argv[1], "--hold") == 0) {
                struct pollfd fd = { .fd = TERMINAL_FD };

                give_up_terminal();
                while (poll(&fd, 1, -1) < 0 && errno == EINTR)
                        ;
                return 0;
        }
        if (argc != 2 || !name_is_valid(argv[1])) {
                static const char usage[] = "usage: mosaic-keeper NAME | --hold\n";

                (void)!write(STDERR_FILENO, usage, sizeof(usage) - 1);
                return 64;
        }
        memcpy(socket_name, argv[1], strlen(argv[1]) + 1);
        give_up_terminal();
        keeper_server_init(&server, argv[1], TERMINAL_FD, listen_on_socket());
        while ((r = keeper_serve(&server)) > 0)
                ;
        if (r < 0)
                die("poll", r);
        remove_socket();
        return 0;
}
