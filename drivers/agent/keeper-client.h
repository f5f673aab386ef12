/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Talking to keepers: one at a time, or many at once with one deadline. Nothing here waits longer
 * than it was told to, whatever state a keeper is in. The protocol is in keeper-protocol.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

typedef enum KeeperState {
        KEEPER_HAS_NONE, /* nothing was started, or it ended */
        KEEPER_HAS_STARTING,
        KEEPER_HAS_RUNNING,
        KEEPER_HAS_STOPPING,
} KeeperState;

typedef enum KeeperRequest {
        KEEPER_ASK_QUERY,
        KEEPER_ASK_START,
        KEEPER_ASK_STOP,
} KeeperRequest;

/* One request to one keeper, and its outcome. */
typedef struct KeeperCall {
        const char *name; /* borrowed */
        KeeperRequest request;
        uint64_t stop_timeout_usec; /* KEEPER_ASK_STOP: from TERM to KILL */

        /*
         * 0: answered. -ENOENT or -ECONNREFUSED: there is no keeper, so no pane. -ECONNRESET: it
         * ended before it answered. -ETIMEDOUT. -EBADMSG: no answer to that request. -ECANCELED: it
         * did not start the agent, `text` says why.
         */
        bool finished;
        int error;
        pid_t pid;          /* of the launcher or agent; 0: none (query, start) */
        KeeperState state;  /* query */
        char code[16];      /* stop: $EXIT_CODE as systemd has it; "none" if nothing ever ran */
        char status[16];    /* stop: $EXIT_STATUS */
        char *text;         /* start: why not, in words for people; else NULL */
        uint64_t took_usec; /* until the answer or the failure */
} KeeperCall;

void keeper_calls_done(KeeperCall *calls, size_t n);

/*
 * Calls on their way. @runtime_dir is $MOSAIC_RUNTIME_DIR. A call that was added is borrowed until
 * it is finished; it is sent by the next keeper_batch_wait(), which returns as soon as at least one
 * is finished: how many, or 0 when @until_usec (CLOCK_MONOTONIC) has come or none is left.
 */
typedef struct KeeperBatch KeeperBatch;

_must_check_ int keeper_batch_new(const char *runtime_dir, KeeperBatch **ret);
KeeperBatch *keeper_batch_free(KeeperBatch *b);
DEFINE_CLEANUP(KeeperBatch *, keeper_batch_free)
_must_check_ int keeper_batch_add(KeeperBatch *b, KeeperCall *call);
size_t keeper_batch_wait(KeeperBatch *b, uint64_t until_usec);

/* Finishes all that are on their way with this error. Returns how many. */
size_t keeper_batch_abandon(KeeperBatch *b, int error);

/* Sends all the requests and collects the answers. Returns 0 with the outcome in each call, or
 * -ENOMEM. Time counts from now for all of them. */
_must_check_ int keeper_call_many(
                const char *runtime_dir, KeeperCall *calls, size_t n, uint64_t timeout_usec);

/* One query. Returns what KeeperCall.error says. */
_must_check_ int keeper_query(const char *runtime_dir,
                const char *name,
                uint64_t timeout_usec,
                pid_t *ret_pid,
                KeeperState *ret_state);

/* Takes the packet that answers @call, cut up in place (pure). What KeeperCall.error says. */
_must_check_ int keeper_answer_parse(char *packet, KeeperCall *call);

/* A connection to a keeper that is ours by its uid; for what KeeperCall does not cover. Negative
 * errno. */
_must_check_ int keeper_connect(const char *runtime_dir, const char *name);
