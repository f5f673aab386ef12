/* SPDX-License-Identifier: MIT */
#include "drivers/os/pager.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "drivers/os/process.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"

#define TAB 8

int pager_words(const char *own, const char *common, char ***ret) {
        const char *text = own ? own : common ? common : "less";
        _cleanup_strv_ char **words = NULL;

        for (;;) {
                size_t n;
                int r;

                text += strspn(text, " \t\n");
                n = strcspn(text, " \t\n");
                if (n == 0)
                        break;
                r = strv_pushf(&words, "%.*s", (int)n, text);
                if (r < 0)
                        return r;
                text += n;
        }
        if (words && strcmp(words[0], "cat") == 0 && !words[1])
                words = strv_free(words);
        *ret = TAKE_PTR(words);
        return 0;
}

/* The bytes of the escape sequence at @s: "ESC [ ... letter"; 0: there is none. */
static size_t escape_length(const char *s, size_t n) {
        size_t i = 2;

        if (n < 3 || s[0] != '\033' || s[1] != '[')
                return 0;
        while (i < n && (s[i] < '@' || s[i] > '~'))
                i++;
        return i < n ? i + 1 : n;
}

size_t pager_lines(const char *text, size_t n, unsigned width) {
        size_t lines = 0, cells = 0;

        if (n == 0)
                return 0;
        for (size_t i = 0; i < n;) {
                size_t length = escape_length(text + i, n - i);
                uint32_t c;

                if (length > 0) {
                        i += length;
                        continue;
                }
                if (text[i] == '\n') {
                        lines += cells > width ? (cells + width - 1) / width : 1;
                        cells = 0;
                        i++;
                        continue;
                }
                length = utf8_decode(text + i, n - i, &c);
                if (text[i] == '\t')
                        cells += TAB - cells % TAB;
                else
                        cells += length > 0 ? utf8_width(c) : 1;
                i += length > 0 ? length : 1;
        }
        if (text[n - 1] != '\n')
                lines += cells > width ? (cells + width - 1) / width : 1;
        return lines;
}

/* Lines of the screen; 0 where nothing says so: there nobody sits who could turn a page. */
static unsigned screen_lines(void) {
        const char *said = getenv("LINES");
        struct winsize size;
        uint64_t lines;

        if (said && parse_uint_range(said, 1, UINT16_MAX, &lines) == 0)
                return (unsigned)lines;
        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

static bool is_same_terminal(void) {
        struct stat out, err;

        return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
               S_ISCHR(out.st_mode) && S_ISCHR(err.st_mode) && out.st_rdev == err.st_rdev;
}

void pager_begin(Pager *p) {
        const char *term = getenv("TERM");
        _cleanup_strv_ char **words = NULL;
        _cleanup_close_ int fd = -1, terminal = -1;
        bool errors;

        if (p->open || !isatty(STDOUT_FILENO) || screen_lines() == 0 || !term ||
                        strcmp(term, "dumb") == 0)
                return;
        if (pager_words(getenv("MOSAIC_PAGER"), getenv("PAGER"), &words) < 0 || !words)
                return;
        errors = is_same_terminal();
        if (fflush(stdout) != 0)
                return;
        fd = memfd_create("mosaic-text", MFD_CLOEXEC);
        terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0 || terminal < 0 || dup2(fd, STDOUT_FILENO) < 0)
                return;
        *p = (Pager){ .open = true, .errors = errors, .terminal = TAKE_FD(terminal) };
}

/* What standard output holds. 0 or a negative errno. */
static int read_collected(StrBuf *b) {
        char buffer[65536];
        ssize_t n;

        if (lseek(STDOUT_FILENO, 0, SEEK_SET) < 0)
                return -errno;
        while ((n = read(STDOUT_FILENO, buffer, sizeof(buffer))) > 0)
                strbuf_add_bytes(b, buffer, (size_t)n);
        return n < 0 ? -errno : b->failed ? -ENOMEM : 0;
}

static bool is_less(const char *program) {
        const char *slash = strrchr(program, '/');

        return strcmp(slash ? slash + 1 : program, "less") == 0;
}

/* 0 if somebody has read it. */
static int show(char ***words, const char *text, size_t n, bool coloured) {
        static char less[] = "less", more[] = "more";
        char *const others[][2] = { { less, NULL }, { more, NULL } };
        int r;

        /* F: quit if it fits after all; R: colours; S: cut long lines, the arrows move; X: leave
         * the text on the screen; M: say where one is; K: Ctrl-C ends it. */
        (void)setenv("LESS", "FRSXMK", /* overwrite= */ 0);
        (void)setenv("LV", "-c", /* overwrite= */ 0);
        /* Who has set LESS may not have thought of colours. */
        if (coloured && is_less((*words)[0]) && strv_push(words, "-R") < 0)
                return -ENOMEM;
        r = process_feed(*words, text, n);
        for (size_t i = 0; r < 0 && i < ELEMENTSOF(others); i++)
                r = process_feed(others[i], text, n);
        return r;
}

int pager_end(Pager *p, unsigned width, bool coloured) {
        _cleanup_strv_ char **words = NULL;
        _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
        int r;

        if (!p->open)
                return 0;
        p->open = false;
        (void)fflush(stdout);
        r = read_collected(&text);
        (void)dup2(p->terminal, STDOUT_FILENO);
        (void)close(p->terminal);
        if (r < 0)
                return r;
        if (pager_lines(strbuf_text(&text), text.length, width) >= screen_lines() &&
                        pager_words(getenv("MOSAIC_PAGER"), getenv("PAGER"), &words) == 0 &&
                        show(&words, strbuf_text(&text), text.length, coloured) == 0)
                return 0;
        (void)fwrite(strbuf_text(&text), 1, text.length, stdout); /* its errors stick */
        return 0;
}
