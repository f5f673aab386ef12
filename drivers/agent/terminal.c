/* SPDX-License-Identifier: MIT */
#include "drivers/agent/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/ttydefaults.h>
#include <termios.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define ANSWER_TIMEOUT_MS 5000
#define OUTPUT_TIMEOUT_MS 5000
#define FLUSH_TIMEOUT_USEC (1 * USEC_PER_SEC)

/*
 * The order matters:
 * - CAN and ST end an escape sequence or a string that a killed agent left half written.
 * - Entering the alternate screen saves the cursor, unless the agent is in it already: then the
 * position from before that agent is saved. So leaving it, in both cases, puts the cursor where
 * output goes on. (Leaving alone would jump to the position of some earlier agent if none is in it
 * now.)
 * - In between: resetting the scroll region and origin mode move the cursor to the top.
 * What a terminal does not know it ignores.
 */
const char terminal_reset_sequence[] =
                "\030\033\\"                        /* CAN, ST */
                "\033[?1049h"                       /* alternate screen: save the cursor */
                "\033[?6l"                          /* origin mode off */
                "\033[r"                            /* scroll region: all */
                "\033[?1049l"                       /* main screen, cursor restored */
                "\033[?2026l"                       /* synchronised update off */
                "\033[?1000l\033[?1002l\033[?1003l" /* mouse: clicks, drags, all */
                "\033[?1005l\033[?1006l\033[?1015l" /* mouse: encodings */
                "\033[?1004l"                       /* focus events off */
                "\033[?2004l"                       /* bracketed paste off */
                "\033[?1l\033>"                     /* cursor keys and keypad: normal */
                "\033[<99u"        /* kitty keyboard protocol: drop what was pushed */
                "\033[>4;0m"       /* modifyOtherKeys off */
                "\033[4l"          /* insert mode off */
                "\033[?7h"         /* autowrap on */
                "\033(B\033)B\017" /* character sets: ASCII, G0 active */
                "\033]8;;\033\\"   /* no hyperlink */
                "\033]104\033\\\033]110\033\\\033]111\033\\\033]112\033\\" /* colours: as configured
                                                                            */
                "\033[0 q\033[?25h" /* cursor: default shape, visible */
                "\033[0m";          /* attributes off */

void terminal_done(Terminal *t) {
        cleanup_close(&t->fd);
        cleanup_close(&t->keeper_fd);
        strv_free(t->words);
        *t = TERMINAL_NULL;
}

/* --- asking the keeper ------------------------------------------------------------------------ */

/* What an agent may learn of its terminal; the rest of a keeper's environment is not its business.
 */
static bool word_is_wanted(const char *word) {
        static const char *const names[] = { "TERM=", "TMUX=", "TMUX_PANE=" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strncmp(word, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

static int parse_words(const char *p, size_t n, char ***ret) {
        _cleanup_strv_ char **words = NULL;

        while (n > 0) {
                size_t length = strnlen(p, n);

                if (length == n)
                        return -EBADMSG;
                if (word_is_wanted(p)) {
                        int r = strv_push(&words, p);

                        if (r < 0)
                                return r;
                }
                p += length + 1;
                n -= length + 1;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

/* One packet with at most one descriptor. */
static int receive(int fd, char *packet, size_t size, size_t *ret_n, int *ret_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = packet, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;
        int r;

        r = poll(&p, 1, ANSWER_TIMEOUT_MS);
        if (r < 0)
                return -errno;
        if (r == 0)
                return -ETIMEDOUT;
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ECONNRESET;
        *ret_fd = -1;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
                                c->cmsg_len == CMSG_LEN(sizeof(int)))
                        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        *ret_n = (size_t)n;
        return 0;
}

int terminal_ask(const char *runtime_dir, const char *name, Terminal *ret) {
        static const char request[] = { KEEPER_TAKE };
        _cleanup_terminal_ Terminal t = TERMINAL_NULL;
        char packet[KEEPER_PACKET_MAX];
        size_t n = 0;
        int r;

        t.keeper_fd = keeper_connect(runtime_dir, name);
        if (t.keeper_fd < 0)
                return t.keeper_fd;
        if (send(t.keeper_fd, request, sizeof(request), MSG_NOSIGNAL) < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;
        r = receive(t.keeper_fd, packet, sizeof(packet), &n, &t.fd);
        if (r < 0)
                return r;
        if (packet[0] == KEEPER_FAILED)
                return -EREMOTEIO;
        if (packet[0] != KEEPER_TERMINAL || t.fd < 0 || !isatty(t.fd))
                return -EBADMSG;
        r = parse_words(packet + 1, n - 1, &t.words);
        if (r < 0)
                return r;
        *ret = t;
        t = TERMINAL_NULL;
        return 0;
}

int terminal_own(const Terminal *t) {
        /* A process that systemd or the keeper starts leads a session already, or can. */
        if (setsid() < 0 && getsid(0) != getpid())
                return -EPERM;
        /* Not forced, not even for root: whoever has the terminal keeps it. */
        if (ioctl(t->fd, TIOCSCTTY, 0) < 0)
                return errno == EPERM ? -EBUSY : -errno;
        return 0;
}

/* --- reset ------------------------------------------------------------------------------------ */

/* What a new terminal has (and `stty sane` restores), with DEL as erase and UTF-8 aware as tmux
 * sets it. */
static void sane(struct termios *t) {
        static const struct {
                unsigned char index;
                cc_t value;
        } characters[] = {
                { VINTR, CINTR },
                { VQUIT, CQUIT },
                { VERASE, 0177 },
                { VKILL, CKILL },
                { VEOF, CEOF },
                { VMIN, 1 },
                { VTIME, 0 },
                { VSTART, CSTART },
                { VSTOP, CSTOP },
                { VSUSP, CSUSP },
                { VREPRINT, CREPRINT },
                { VDISCARD, CDISCARD },
                { VWERASE, CWERASE },
                { VLNEXT, CLNEXT },
        };

        t->c_iflag = BRKINT | ICRNL | IMAXBEL | IXON | IUTF8;
        t->c_oflag = OPOST | ONLCR;
        t->c_cflag = (t->c_cflag & (CBAUD | CIBAUD)) | CS8 | CREAD;
        t->c_lflag = ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE;
        memset(t->c_cc, _POSIX_VDISABLE, sizeof(t->c_cc));
        for (size_t i = 0; i < ELEMENTSOF(characters); i++)
                t->c_cc[characters[i].index] = characters[i].value;
}

/*
 * Nothing typed while no agent ran may reach the next one. What the line discipline holds goes with
 * TCIFLUSH, but when it was full more waits behind it in the kernel and comes up after each flush:
 * so flush until it is quiet. Seen in raw mode: lines that are not complete count too.
 */
static void flush_input(int fd) {
        uint64_t give_up = clock_monotonic_usec() + FLUSH_TIMEOUT_USEC;
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int waiting = 0;

        if (ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0) {
                (void)tcflush(fd, TCIFLUSH);
                return;
        }
        do
                (void)tcflush(fd, TCIFLUSH);
        while (clock_monotonic_usec() < give_up && poll(&p, 1, 20) > 0);
}

static int write_reset(int fd) {
        const char *p = terminal_reset_sequence;
        size_t n = strlen(p);

        while (n > 0) {
                struct pollfd ready = { .fd = fd, .events = POLLOUT };
                ssize_t written;
                int r;

                written = write(fd, p, n);
                if (written >= 0) {
                        p += written;
                        n -= (size_t)written;
                        continue;
                }
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                r = poll(&ready, 1, OUTPUT_TIMEOUT_MS);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r == 0)
                        return -ETIMEDOUT;
        }
        return 0;
}

int terminal_reset(const Terminal *t) {
        struct termios termios;
        int r;

        if (tcgetattr(t->fd, &termios) < 0)
                return -errno;

        /* Raw, quiet and without flow control: taking IXON off sets output going that ^S had
         * stopped. */
        sane(&termios);
        termios.c_iflag &= (tcflag_t)~IXON;
        termios.c_lflag = 0;
        if (tcsetattr(t->fd, TCSANOW, &termios) < 0)
                return -errno;
        (void)tcflow(t->fd, TCOON);
        flush_input(t->fd);

        /* The open file is shared with the keeper and with every agent of this pane: flags that one
         * of them set are still there. */
        if (fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = write_reset(t->fd);
        if (fcntl(t->fd, F_SETFL, 0) < 0)
                return -errno;
        if (r < 0)
                return r;

        sane(&termios);
        if (tcsetattr(t->fd, TCSANOW, &termios) < 0)
                return -errno;
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(t->fd, fd) < 0)
                        return -errno;
        return 0;
}
