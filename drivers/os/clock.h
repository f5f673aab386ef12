/* SPDX-License-Identifier: MIT */
#pragma once

/* The clocks, in microseconds. Pure code gets time as a value; it never calls these. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_usec(clockid_t id) {
        struct timespec t;

        (void)clock_gettime(id, &t); /* cannot fail for the clocks used here */
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t clock_monotonic_usec(void) {
        return clock_read_usec(CLOCK_MONOTONIC);
}

static inline uint64_t clock_realtime_usec(void) {
        return clock_read_usec(CLOCK_REALTIME);
}
