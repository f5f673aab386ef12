/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Child processes: an argv list, text in, text out, a deadline. Never a shell. The only place of
 * the program that starts and reaps children.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"

/* Where programs are looked for if there is no PATH, or an empty one. */
#define PROCESS_DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct ProcessRequest {
        char *const *argv; /* [0] is looked up in the absolute parts of PATH */
        char *const *env;  /* NULL: the caller's */
        const char *input; /* what the child reads; NULL: /dev/null */
        size_t input_size;
        size_t output_max; /* more than this ends the child with -EFBIG */
        uint64_t timeout_usec;
} ProcessRequest;

typedef struct ProcessResult {
        char *output; /* standard output, NUL-terminated */
        size_t output_size;
        char *errors; /* standard error, NUL-terminated, at most 4 KiB */
        int status;   /* exit status; -1 if ended by a signal */
        int signal;   /* 0 if it exited */
} ProcessResult;

#define PROCESS_RESULT_NULL ((ProcessResult){ 0 })

void process_result_done(ProcessResult *r);
#define _cleanup_process_result_ _cleanup_(process_result_done)

/*
 * Runs a child to its end. Returns 0 with @ret filled whatever its exit status is; -ETIMEDOUT after
 * it was killed at the deadline; -ENOENT if there is no such program; other negative errno.
 */
_must_check_ int process_run(const ProcessRequest *request, ProcessResult *ret);

/* Has a program that shares our terminal read a text, and waits until it ends, however long that
 * takes and however it does. Meanwhile Ctrl-C is its business. Negative errno if it could not be
 * started. */
_must_check_ int process_feed(char *const *argv, const char *text, size_t n);

/* Becomes another program: @argv[0] is looked up as above, @env NULL is the caller's. Returns only
 * if that failed, a negative errno. */
int process_become(char *const *argv, char *const *env);

/*
 * The same in two steps, so that other work can be done while the child runs. What the request
 * points to must stay until the end. process_free() kills a child that was not waited for.
 */
typedef struct Process Process;

_must_check_ int process_start(const ProcessRequest *request, Process **ret);
_must_check_ int process_finish(Process *p, ProcessResult *ret);
Process *process_free(Process *p);
DEFINE_CLEANUP(Process *, process_free)

/* Waits until the process of a pidfd, a child or not, has ended. False: @deadline_usec
 * (CLOCK_MONOTONIC) came first. Signals that come in between change nothing. */
bool process_wait_end(int pidfd, uint64_t deadline_usec);

/*
 * Takes those of descriptors 0, 1 and 2 that are closed, so that no file, lock or terminal opened
 * later gets their number and with it what the program prints. To use one still fails with EBADF.
 */
_must_check_ int process_reserve_streams(void);
