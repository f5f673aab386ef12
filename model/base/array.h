/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Growing arrays of plain structs: the only place that knows how room grows.
 */

#include <stdlib.h>
#include <string.h>

/*
 * Makes room for element @n of an array with @n elements of @size bytes and returns that element,
 * zeroed; NULL without memory (the array is then unchanged). Room doubles at powers of two.
 */
static inline void *array_grow(void *array_pointer, size_t n, size_t size) {
        void **array = array_pointer;
        char *bytes = *array;

        if ((n & (n - 1)) == 0) {
                bytes = reallocarray(*array, n == 0 ? 1 : 2 * n, size);
                if (!bytes)
                        return NULL;
                *array = bytes;
        }
        memset(bytes + n * size, 0, size);
        return bytes + n * size;
}
