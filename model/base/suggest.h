/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * "Did you mean ...?": the nearest of a number of names to a word that is none of them.
 */

#include <stdbool.h>
#include <stddef.h>

/* Names are offered one by one; the best is in @best (borrowed), NULL if none is near enough. */
typedef struct Suggestion {
        const char *word;
        const char *best;
        size_t distance;
} Suggestion;

Suggestion suggestion_init(const char *word);
void suggestion_offer(Suggestion *s, const char *name);

/* Edits (insert, delete, replace, swap of neighbours) between two words, in which case and - _ do
 * not count. Words longer than 64 bytes are infinitely far from each other (SIZE_MAX). */
size_t suggest_distance(const char *a, const char *b);
