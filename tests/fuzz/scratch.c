/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/scratch.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "model/base/cleanup.h"
#include "model/base/strbuf.h"

static char directory[] = "/dev/shm/mosaic-fuzz-XXXXXX";
static bool made;

static int
forget(const char *path, const struct stat *st _unused_, int type _unused_, struct FTW *at) {
        if (at->level > 0)
                assert(remove(path) == 0);
        return 0;
}

void scratch_clear(void) {
        if (made)
                (void)nftw(directory, forget, 8, FTW_DEPTH | FTW_PHYS);
}

static void leave(void) {
        scratch_clear();
        (void)rmdir(directory);
}

const char *scratch_directory(void) {
        if (!made) {
                assert(mkdtemp(directory));
                made = true;
                assert(atexit(leave) == 0);
        }
        return directory;
}

static void path_of(const char *name, char *path, size_t n) {
        int length = snprintf(path, n, "%s/%s", scratch_directory(), name);

        assert(length > 0 && (size_t)length < n);
}

void scratch_write(const char *name, const void *bytes, size_t n) {
        _cleanup_close_ int fd = -1;
        char path[256], *slash;

        path_of(name, path, sizeof(path));
        slash = strrchr(path, '/');
        *slash = '\0';
        assert(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
}

char *scratch_read(const char *name, size_t *ret_n) {
        char path[256], *bytes;
        int r;

        path_of(name, path, sizeof(path));
        r = file_read_limited(path, 1 << 24, &bytes, ret_n);
        assert(r == 0 || r == -ENOENT);
        return r == 0 ? bytes : NULL;
}

static const char *machine_id(void) {
        static char text[64];
        char *bytes;
        size_t n;

        if (!*text && file_read_limited("/etc/machine-id", sizeof(text) - 1, &bytes, &n) == 0) {
                (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(bytes, "\n"), bytes);
                free(bytes);
        }
        return text;
}

char *scratch_fill_in(const char *bytes, size_t n, size_t *ret_n) {
        static char boot[BOOT_ID_SIZE], pid[24], start[24], uid[24];
        const struct {
                const char *word, *text;
        } words[] = { { "@BOOT@", boot }, { "@PID@", pid }, { "@START@", start },
                { "@MACHINE@", machine_id() }, { "@UID@", uid } };
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *text;

        if (!*boot) {
                uint64_t ticks;

                assert(proc_boot_id(boot) == 0 && proc_start_time(getpid(), &ticks) == 0);
                (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
                (void)snprintf(start, sizeof(start), "%" PRIu64, ticks);
                (void)snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
        }
        for (size_t i = 0; i < n;) {
                size_t k = 0;

                while (k < ELEMENTSOF(words) &&
                                (n - i < strlen(words[k].word) ||
                                                memcmp(bytes + i, words[k].word,
                                                                strlen(words[k].word)) != 0))
                        k++;
                if (k < ELEMENTSOF(words)) {
                        strbuf_add(&b, words[k].text);
                        i += strlen(words[k].word);
                } else
                        strbuf_add_bytes(&b, bytes + i++, 1);
        }
        *ret_n = b.length;
        assert(strbuf_finish(&b, &text) == 0);
        return text;
}
