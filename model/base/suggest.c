/* SPDX-License-Identifier: MIT */
#include "model/base/suggest.h"

#include <stdint.h>
#include <string.h>

#define LENGTH_MAX 64

static char fold(char c) {
        if (c >= 'A' && c <= 'Z')
                return (char)(c - 'A' + 'a');
        return c == '_' ? '-' : c;
}

static size_t min3(size_t a, size_t b, size_t c) {
        size_t m = a < b ? a : b;

        return m < c ? m : c;
}

/* Damerau-Levenshtein with neighbouring swaps (optimal string alignment), three rows at a time. */
size_t suggest_distance(const char *a, const char *b) {
        size_t rows[3][LENGTH_MAX + 1], n = strlen(a), m = strlen(b);
        size_t *before = rows[0], *last = rows[1], *now = rows[2];

        if (n > LENGTH_MAX || m > LENGTH_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= m; j++)
                last[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t *spare = before;

                now[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t cost = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;

                        now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
                        if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                                        fold(a[i - 2]) == fold(b[j - 1]) &&
                                        before[j - 2] + 1 < now[j])
                                now[j] = before[j - 2] + 1;
                }
                before = last;
                last = now;
                now = spare;
        }
        return last[m];
}

Suggestion suggestion_init(const char *word) {
        size_t near = strlen(word) / 3;

        return (Suggestion){ .word = word, .distance = (near > 1 ? near : 1) + 1 };
}

void suggestion_offer(Suggestion *s, const char *name) {
        size_t d = suggest_distance(s->word, name);

        if (d < s->distance) {
                s->distance = d;
                s->best = name;
        }
}
