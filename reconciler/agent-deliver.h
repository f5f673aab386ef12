/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One message to one agent: the lock, the looks and deeds of the protocol (reconciler/agent/
 * delivery.h decides), the log, and the result as text and JSON. What `send` and `reset` share.
 */

#include "model/json.h"
#include "reconciler/agent-look.h"
#include "reconciler/agent/delivery.h"
#include "reconciler/agent/message.h"

#define DELIVERY_ID_SIZE 9 /* 8 hex digits and the NUL */

typedef struct DeliverRequest {
        const char *verb;  /* "send", "reset" */
        const char *label; /* NULL: no label line */
        const char *body;
        size_t size;
        uint64_t timeout_usec;
        bool wait_idle;
        bool no_submit;
        bool adapt;
} DeliverRequest;

typedef struct Delivered {
        char id[DELIVERY_ID_SIZE];
        DeliveryResult result; /* DELIVERY_NONE: it was refused before anything was looked at */
        int code;              /* the exit code */
        bool typed;            /* from then on an error must not read as if nothing had happened */
        const char *cause;     /* one word: why it was refused or is uncertain; NULL */
        char *why;             /* sentence */
        Message message;       /* empty if it was refused */
        size_t bytes;          /* of the body */
        char sha256[FINGERPRINT_SIZE]; /* of the body */
        ScreenState state;             /* at the last look */
        ScreenSign sign;
        char *evidence; /* the line that told; may be NULL */
        unsigned line;
        unsigned presses;
        uint64_t ready_usec, echo_usec, confirm_usec, took_usec;
} Delivered;

void delivered_done(Delivered *d);
#define _cleanup_delivered_ _cleanup_(delivered_done)

/* Does it. 0 with the outcome in @ret, or a negative errno. */
_must_check_ int agent_deliver(AgentLook *a, const DeliverRequest *request, Delivered *ret);

/* One line for people; a failure goes to standard error. */
void agent_deliver_print(const AgentLook *a, const DeliverRequest *request, const Delivered *d);

/* The members of its document, within an open object. */
void agent_deliver_put(
                JsonBuilder *b, const AgentLook *a, const DeliverRequest *q, const Delivered *d);
