/* SPDX-License-Identifier: MIT */

/*
 * Buffers of inotify. The input says what is watched and what happens: exactly the files it
 * concerns are touched. Cut short within an event, or with a name that does not end, everything is.
 * First byte odd: raw bytes, judged by a second reader.
 */

#include <sys/inotify.h>

#include "drivers/os/dirwatch-events.h"
#include "model/base/strbuf.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

#define FILES 3
#define WATCHED_MAX 6
#define EVENTS_MAX 8
#define ANY_WATCH 4 /* ids 0 to 3, and what nobody asked for */

static const char *const names[] = { "roster.yaml", "fleet", "r", "roster.yaml~" };

static const uint32_t masks[] = { IN_MODIFY, IN_CREATE, IN_MOVED_TO, IN_DELETE, IN_ATTRIB,
        IN_DELETE_SELF, IN_MOVE_SELF, IN_IGNORED, IN_UNMOUNT, IN_Q_OVERFLOW, IN_CREATE | IN_ISDIR };

typedef struct Want {
        bool touched[FILES];
        size_t borders[EVENTS_MAX + 1]; /* where the buffer is whole */
        size_t n_borders;
} Want;

static size_t choose_watched(Input *in, Watched watched[static WATCHED_MAX]) {
        size_t n = input_choose(in, WATCHED_MAX + 1);

        for (size_t i = 0; i < n; i++) {
                unsigned name = input_choose(in, ELEMENTSOF(names) + 1);

                watched[i] = (Watched){ .id = (int)input_choose(in, ANY_WATCH),
                        .file = input_choose(in, FILES + 1) };
                watched[i].name = name > 0 ? strdup(names[name - 1]) : NULL;
                assert(name == 0 || watched[i].name);
        }
        return n;
}

/* What one event means, told from what it was made of. */
static void expect(Want *want,
                const Watched *watched,
                size_t n_watched,
                int id,
                uint32_t mask,
                const char *name) {
        for (size_t i = 0; i < n_watched; i++) {
                bool whole = !watched[i].name || !name || mask == IN_DELETE_SELF ||
                             mask == IN_MOVE_SELF || mask == IN_IGNORED || mask == IN_UNMOUNT;

                if (watched[i].id == id && watched[i].file < FILES &&
                                (whole || strcmp(watched[i].name, name) == 0))
                        want->touched[watched[i].file] = true;
        }
        if (mask == IN_Q_OVERFLOW)
                memset(want->touched, true, sizeof(want->touched));
}

/* As the kernel writes it: names end with NULs up to the next border. */
static void add_event(Input *in, const Watched *watched, size_t n_watched, StrBuf *b, Want *want) {
        static const char zeros[64];
        struct inotify_event e = { .wd = (int)input_choose(in, ANY_WATCH + 1),
                .mask = masks[input_choose(in, ELEMENTSOF(masks))] };
        unsigned which = input_choose(in, ELEMENTSOF(names) + 2);
        _cleanup_free_ char *name = NULL;

        if (which == ELEMENTSOF(names) + 1)
                name = input_text(in, 40);
        else if (which > 0)
                name = strdup(names[which - 1]);
        assert(name || which == 0);
        if (name) {
                size_t n = strlen(name) + 1 + input_choose(in, sizeof(zeros) - 48);

                e.len = (uint32_t)n;
                strbuf_add_bytes(b, (const char *)&e, sizeof(e));
                strbuf_add(b, name);
                strbuf_add_bytes(b, zeros, n - strlen(name));
        } else
                strbuf_add_bytes(b, (const char *)&e, sizeof(e));
        expect(want, watched, n_watched, e.wd, e.mask, name);
        want->borders[want->n_borders++] = b->length;
}

/* In memory that ends where the buffer does. */
static bool
take(const void *bytes, size_t size, const Watched *watched, size_t n, bool touched[static FILES]) {
        _cleanup_free_ char *copy = malloc(size > 0 ? size : 1);

        assert(copy);
        memcpy(copy, bytes, size);
        return dirwatch_events(copy, size, watched, n, touched, FILES);
}

static void check_everything_touched(const bool touched[static FILES]) {
        for (size_t i = 0; i < FILES; i++)
                assert(touched[i]);
}

static void check_made(Input *in, const Watched *watched, size_t n_watched) {
        bool touched[FILES] = { false }, part[FILES] = { false }, unended[FILES] = { false };
        size_t cut = input_byte(in) | (size_t)input_byte(in) << 8, n = input_choose(in, EVENTS_MAX);
        Want want = { .n_borders = 1 };
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        struct inotify_event tail = { .len = 5 };
        bool whole = false;

        for (size_t i = 0; i < n; i++)
                add_event(in, watched, n_watched, &b, &want);
        assert(!b.failed);
        assert(take(b.data ? b.data : "", b.length, watched, n_watched, touched));
        assert(memcmp(touched, want.touched, sizeof(touched)) == 0);

        cut %= b.length + 1;
        for (size_t i = 0; i < want.n_borders; i++)
                whole = whole || want.borders[i] == cut;
        assert(take(b.data ? b.data : "", cut, watched, n_watched, part) == whole);
        if (!whole)
                check_everything_touched(part);
        for (size_t i = 0; whole && i < FILES; i++)
                assert(!part[i] || touched[i]);

        strbuf_add_bytes(&b, (const char *)&tail, sizeof(tail));
        strbuf_add(&b, "fleet");
        assert(!b.failed && !take(b.data, b.length, watched, n_watched, unended));
        check_everything_touched(unended);
}

/* Another way to read it: from offsets, byte by byte. */
static uint32_t word_at(const uint8_t *p) {
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_whole(const uint8_t *bytes, size_t n) {
        for (size_t at = 0; at < n;) {
                uint64_t end, length;
                bool ends = false;

                if (at + 16 > n)
                        return false;
                length = word_at(bytes + at + 12);
                end = at + 16 + length;
                if (end > n)
                        return false;
                for (uint64_t i = at + 16; i < end; i++)
                        ends = ends || bytes[i] == 0;
                if (length > 0 && !ends)
                        return false;
                at = end;
        }
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        bool raw = input_flag(&in), touched[FILES] = { false };
        Watched watched[WATCHED_MAX];
        size_t n = choose_watched(&in, watched);

        if (raw) {
                const uint8_t *bytes = size > 0 ? data + in.at : (const uint8_t *)"";
                bool whole = take(bytes, size - in.at, watched, n, touched);

                assert(whole == is_whole(bytes, size - in.at));
                if (!whole)
                        check_everything_touched(touched);
        } else
                check_made(&in, watched, n);
        for (size_t i = 0; i < n; i++)
                free(watched[i].name);
        return 0;
}
