/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-output.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "drivers/os/event-source.h"
#include "model/base/strbuf.h"

#define WAITING_MAX (1u << 20)

struct WatchOutput {
        int fd; /* standard output, or a description of our own of what it is */
        bool is_socket;
        bool json;
        StrBuf waiting;
        size_t n_lost;           /* lines since the last one that found room */
        sd_event_source *source; /* NULL: what cannot be waited for never lets wait */
};

WatchOutput *watch_output_free(WatchOutput *o) {
        if (!o)
                return NULL;
        sd_event_source_disable_unref(o->source);
        if (o->fd != STDOUT_FILENO)
                (void)close(o->fd);
        strbuf_done(&o->waiting);
        free(o);
        return NULL;
}

/* O_NONBLOCK belongs to the open description, which others share: a new one where that is
 * possible. */
static void open_own(WatchOutput *o) {
        struct stat st;

        o->fd = STDOUT_FILENO;
        if (fstat(STDOUT_FILENO, &st) < 0)
                return;
        o->is_socket = S_ISSOCK(st.st_mode);
        if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
                return;
        o->fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (o->fd < 0)
                o->fd = STDOUT_FILENO;
}

static ssize_t write_some(const WatchOutput *o, const char *bytes, size_t n) {
        struct pollfd p = { .fd = o->fd, .events = POLLOUT };

        if (o->is_socket)
                return send(o->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (o->fd != STDOUT_FILENO)
                return write(o->fd, bytes, n);
        /* Another user's pipe cannot be opened anew. One that has room has room for so much. */
        if (poll(&p, 1, 0) == 0) {
                errno = EAGAIN;
                return -1;
        }
        return write(o->fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
}

/* Returns what is left to be written; nobody there to read counts as written. */
static size_t flush_bytes(const WatchOutput *o, const char *bytes, size_t n) {
        while (n > 0) {
                ssize_t written = write_some(o, bytes, n);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return errno == EAGAIN ? n : 0;
                bytes += written;
                n -= (size_t)written;
        }
        return 0;
}

static void keep_rest(WatchOutput *o, const char *bytes, size_t n) {
        StrBuf rest = STRBUF_NULL;

        strbuf_add_bytes(&rest, bytes, n);
        strbuf_done(&o->waiting);
        o->waiting = rest;
        if (o->source)
                (void)sd_event_source_set_enabled(o->source, n > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void flush_waiting(WatchOutput *o) {
        const char *text = strbuf_text(&o->waiting);
        size_t n = o->waiting.length, left = flush_bytes(o, text, n);

        if (left != n || n == 0)
                keep_rest(o, text + n - left, left);
}

static int on_room(sd_event_source *source _unused_,
                int fd _unused_,
                uint32_t events _unused_,
                void *userdata) {
        flush_waiting(userdata);
        return 0;
}

int watch_output_new(sd_event *event, bool json, WatchOutput **ret) {
        _cleanup_(watch_output_freep) WatchOutput *o = calloc(1, sizeof(WatchOutput));
        int r;

        if (!o)
                return -ENOMEM;
        o->json = json;
        open_own(o);
        r = sd_event_add_io(event, &o->source, o->fd, EPOLLOUT, on_room, o);
        if (r == -EPERM) /* a file */
                r = 0;
        else if (r >= 0)
                r = event_source_strict(o->source);
        if (r >= 0 && o->source)
                r = sd_event_source_set_enabled(o->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

void watch_output_line(WatchOutput *o, const char *text) {
        if (o->waiting.length + strlen(text) + 1 > WAITING_MAX) {
                o->n_lost++;
                return;
        }
        if (o->n_lost > 0) {
                strbuf_addf(&o->waiting,
                                o->json ? "{\"format\":\"mosaic.fleet.watch\",\"event\":\"lost\","
                                          "\"lines\":%zu}\n"
                                        : "(%zu lines were lost: nobody read them)\n",
                                o->n_lost);
                o->n_lost = 0;
        }
        strbuf_add(&o->waiting, text);
        strbuf_add_char(&o->waiting, '\n');
        if (o->source)
                (void)sd_event_source_set_enabled(o->source, SD_EVENT_ON);
        flush_waiting(o);
}
