/* SPDX-License-Identifier: MIT */
#include "drivers/agent/launcher.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/utf8.h"

static int log_fd = STDERR_FILENO;
static int terminal_fd = -1;
static const char *subject;
static uint64_t n_said;

void say_init(const char *name) {
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

        if (fd >= 0)
                log_fd = fd;
        subject = name;
}

uint64_t said_bytes(void) {
        return n_said;
}

void say_to_terminal(int fd) {
        terminal_fd = fd;
}

_printf_(1, 0) static void say_list(const char *format, va_list ap) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;
        ssize_t n;

        if (format_valist(&text, format, ap) < 0)
                return;
        strbuf_add(&b, "mosaic-launcher: ");
        if (subject) {
                utf8_add_safe(&b, subject, strlen(subject));
                strbuf_add(&b, ": ");
        }
        /* Paths and names in it were written by others. */
        utf8_add_safe(&b, text, strlen(text));
        if (terminal_fd >= 0) {
                /* The terminal may be raw, and stopped: a message must not hold the launcher up. */
                int flags = fcntl(terminal_fd, F_GETFL);

                strbuf_add(&b, "\r\n");
                if (flags >= 0 && fcntl(terminal_fd, F_SETFL, flags | O_NONBLOCK) == 0) {
                        (void)!write(terminal_fd, strbuf_text(&b), b.length);
                        (void)fcntl(terminal_fd, F_SETFL, flags);
                }
                if (b.length >= 2)
                        b.length -= 2;
        }
        strbuf_add(&b, "\n");
        n = write(log_fd, strbuf_text(&b), b.length);
        if (n > 0)
                n_said += (uint64_t)n;
}

void say(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        say_list(format, ap);
        va_end(ap);
}

int refuse(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        say_list(format, ap);
        va_end(ap);
        return LAUNCHER_REFUSED;
}

int try_again(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        say_list(format, ap);
        va_end(ap);
        return LAUNCHER_TRY_AGAIN;
}

int no_memory(void) {
        return try_again("out of memory");
}
