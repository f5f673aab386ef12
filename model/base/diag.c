/* SPDX-License-Identifier: MIT */
#include "model/base/diag.h"

#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"

const char *severity_to_string(Severity s) {
        switch (s) {
        case SEVERITY_NOTE:
                return "note";
        case SEVERITY_WARNING:
                return "warning";
        case SEVERITY_ERROR:
                return "error";
        }
        return "error";
}

static void diag_done(Diag *d) {
        free(d->text);
        free(d->help);
        free(d->path);
        free(d->fix);
}

void diags_done(Diags *d) {
        for (size_t i = 0; i < d->n_items; i++)
                diag_done(&d->items[i]);
        free(d->items);
        free(d->secrets);
        *d = DIAGS_NULL;
}

int diags_hide(Diags *d, Span span) {
        Span *s = array_grow(&d->secrets, d->n_secrets, sizeof(Span));

        if (!s)
                return -ENOMEM;
        *s = span;
        d->n_secrets++;
        return 0;
}

/* Room for one more; grows at powers of two. */
static bool reserve(Diags *d) {
        Diag *bigger;

        if (d->items && (d->n_items == 0 || (d->n_items & (d->n_items - 1)) != 0))
                return true;
        bigger = reallocarray(d->items, d->n_items ? 2 * d->n_items : 1, sizeof(Diag));
        if (!bigger)
                return false;
        d->items = bigger;
        return true;
}

static bool copy_optional(const char *s, char **ret) {
        *ret = s ? strdup(s) : NULL;
        return !s || *ret;
}

Diag *diags_add(Diags *d,
                Severity severity,
                const char *code,
                Span span,
                const char *path,
                const char *help,
                const char *format,
                ...) {
        Diag new = {
                .severity = severity,
                .code = code,
                .span = span,
                .related = SPAN_NONE,
        };
        va_list ap;
        int r;

        /* Counted first: an error must not vanish because there was no memory to describe it. */
        if (severity == SEVERITY_ERROR)
                d->n_errors++;
        else if (severity == SEVERITY_WARNING)
                d->n_warnings++;

        va_start(ap, format);
        r = format_valist(&new.text, format, ap);
        va_end(ap);
        if (r < 0 || !copy_optional(help, &new.help) || !copy_optional(path, &new.path) ||
                        !reserve(d)) {
                diag_done(&new);
                return NULL;
        }
        d->items[d->n_items] = new;
        return &d->items[d->n_items++];
}

static int compare_sizes(size_t a, size_t b) {
        return a < b ? -1 : a > b;
}

static int compare_places(const Diag *a, const Diag *b) {
        int r;

        /* SPAN_NONE + 1 is 0: findings about the whole file come first. */
        r = compare_sizes(a->span.start + 1, b->span.start + 1);
        return r ?: compare_sizes(a->span.end + 1, b->span.end + 1);
}

static bool text_equal(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_finding(const Diag *a, const Diag *b) {
        return compare_places(a, b) == 0 && strcmp(a->code, b->code) == 0 &&
               text_equal(a->path, b->path);
}

/* Stable, so that findings of one place stay in the order in which they were made. */
static void merge_sort(Diag *items, Diag *room, size_t n) {
        size_t half = n / 2, i = 0, j = half, k = 0;

        if (n < 2)
                return;
        merge_sort(items, room, half);
        merge_sort(items + half, room, n - half);
        while (i < half && j < n)
                room[k++] = compare_places(&items[j], &items[i]) < 0 ? items[j++] : items[i++];
        while (i < half)
                room[k++] = items[i++];
        while (j < n)
                room[k++] = items[j++];
        memcpy(items, room, n * sizeof(Diag));
}

void diags_sort(Diags *d) {
        _cleanup_free_ Diag *room = NULL;
        size_t kept = 0;

        if (d->n_items < 2)
                return;
        room = calloc(d->n_items, sizeof(Diag));
        if (!room)
                return; /* unsorted findings are better than none */
        merge_sort(d->items, room, d->n_items);

        for (size_t i = 0; i < d->n_items; i++) {
                bool twice = false;

                for (size_t k = kept; k > 0 && !twice; k--) {
                        if (compare_places(&d->items[k - 1], &d->items[i]) != 0)
                                break;
                        twice = same_finding(&d->items[k - 1], &d->items[i]);
                }
                if (!twice) {
                        d->items[kept++] = d->items[i];
                        continue;
                }
                if (d->items[i].severity == SEVERITY_ERROR)
                        d->n_errors--;
                else if (d->items[i].severity == SEVERITY_WARNING)
                        d->n_warnings--;
                diag_done(&d->items[i]);
        }
        d->n_items = kept;
}
