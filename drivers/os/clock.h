/* SPDX-License-Identifier: MIT */
#pragma once

/* The clocks, and pauses, in microseconds. Pure code gets time as a value; it never calls these. */

#include <limits.h>
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

/* Sleeps; a signal that is caught ends it early. */
static inline void clock_pause(uint64_t usec) {
        const struct timespec t = {
                .tv_sec = (time_t)(usec / 1000000),
                .tv_nsec = (long)(usec % 1000000) * 1000,
        };

        (void)nanosleep(&t, NULL);
}

/* How long poll(2) is to wait from @now_usec until @until_usec: milliseconds, never too early; 0 if
 * it has come. */
static inline int clock_poll_msec(uint64_t now_usec, uint64_t until_usec) {
        uint64_t left = until_usec > now_usec ? until_usec - now_usec : 0;
        uint64_t msec = left / 1000 + (left % 1000 > 0);

        return msec > INT_MAX ? INT_MAX : (int)msec;
}
