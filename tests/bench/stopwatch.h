/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the benchmark programs share: a file in memory, and the best and the median of some runs in
 * one process, in wall and CPU time. CPU time is what to compare on a machine with other work.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STOPWATCH_RUNS_MAX 10000

typedef struct Stopwatch {
        uint64_t wall[STOPWATCH_RUNS_MAX]; /* nanoseconds */
        uint64_t cpu[STOPWATCH_RUNS_MAX];
        size_t n;
        uint64_t wall_start, cpu_start;
} Stopwatch;

static inline uint64_t stopwatch_now(clockid_t clock) {
        struct timespec t = { 0 };

        (void)clock_gettime(clock, &t); /* these two clocks are always there */
        return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static inline void stopwatch_start(Stopwatch *s) {
        s->wall_start = stopwatch_now(CLOCK_MONOTONIC);
        s->cpu_start = stopwatch_now(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void stopwatch_stop(Stopwatch *s) {
        s->cpu[s->n] = stopwatch_now(CLOCK_PROCESS_CPUTIME_ID) - s->cpu_start;
        s->wall[s->n] = stopwatch_now(CLOCK_MONOTONIC) - s->wall_start;
        s->n++;
}

static inline int stopwatch_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* Peak memory of this program in KiB, from its own pages: what getrusage(2) says includes those of
 * the process that started it. */
static inline unsigned long stopwatch_peak(void) {
        FILE *f = fopen("/proc/self/status", "re");
        unsigned long kib = 0;
        char line[256];

        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, "VmHWM:", 6) == 0)
                        kib = strtoul(line + 6, NULL, 10);
        if (f)
                (void)fclose(f);
        return kib;
}

/* One line of JSON; @more is put behind the figures. */
static inline void stopwatch_print(Stopwatch *s, const char *more) {
        qsort(s->wall, s->n, sizeof(*s->wall), stopwatch_compare);
        qsort(s->cpu, s->n, sizeof(*s->cpu), stopwatch_compare);
        printf("{\"runs\": %zu, \"best_ms\": %.3f, \"median_ms\": %.3f, \"cpu_best_ms\": %.3f, "
               "\"cpu_median_ms\": %.3f, \"peak_kib\": %lu%s}\n",
                        s->n, (double)s->wall[0] / 1e6, (double)s->wall[s->n / 2] / 1e6,
                        (double)s->cpu[0] / 1e6, (double)s->cpu[s->n / 2] / 1e6, stopwatch_peak(),
                        more);
}

/* Whole file, with a NUL behind it; NULL after a message. */
static inline char *stopwatch_read(const char *path, size_t *ret_size) {
        FILE *f = fopen(path, "re");
        char *bytes = NULL;
        long size;

        if (!f || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0) {
                perror(path);
                if (f)
                        (void)fclose(f);
                return NULL;
        }
        rewind(f);
        bytes = malloc((size_t)size + 1);
        if (bytes) {
                *ret_size = fread(bytes, 1, (size_t)size, f);
                bytes[*ret_size] = '\0';
        }
        (void)fclose(f);
        return bytes;
}
