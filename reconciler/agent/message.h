/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What an agent is given to read: the label line, then the body as it came. A body that could not
 * arrive as it is gets refused with the byte that is in the way; nothing is dropped in silence
 * (pure).
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"
#include "model/spec.h"

#define MESSAGE_MAX (256 * 1024) /* bytes of the body */
#define LABEL_MAX 100            /* bytes */

typedef struct MessageRequest {
        const char *label; /* who it is from; NULL: no label line (a reset command) */
        const char *agent;
        const char *id;
        const char *body;
        size_t size;
        bool adapt; /* change what would be refused, where that is possible */
} MessageRequest;

typedef struct Message {
        char *text; /* what is pasted; may hold no NUL */
        size_t size;
        char **changes; /* sentences; what --adapt did */
} Message;

void message_done(Message *m);
#define _cleanup_message_ _cleanup_(message_done)

enum {
        _MESSAGE_OK,
        MESSAGE_REFUSED,
};

/* Returns 0; MESSAGE_REFUSED with a sentence in @ret_why (caller frees); -ENOMEM. */
_must_check_ int message_compose(const MessageRequest *request,
                const RuntimeTalk *talk,
                Message *ret,
                char **ret_why);

/*
 * May this be a source label? Letters and digits of any script, blanks, and . _ : @ / + , -; at
 * most LABEL_MAX bytes: nothing that could end the label line, look like another one, or mean
 * something to a shell. 0, MESSAGE_REFUSED with a sentence, -ENOMEM.
 */
_must_check_ int message_check_label(const char *label, char **ret_why);
