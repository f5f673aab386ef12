/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The protocol that puts a text into an agent's input box and submits it once (pure). It is told
 * what each look at the pane showed and what became of each deed, and says what to do next; who
 * carries it out is reconciler/agent-deliver.c. Decision 0007 says why it is as it is.
 *
 *     READY --paste--> ECHO --press--> CONFIRM --> the end
 *       ^ moved |        ^    moved |      | text still there: press again
 *       '-------'        '----------'------'
 *
 * The text is pasted once, whatever happens; only the key is repeated.
 */

#include <stdint.h>

#include "reconciler/agent/signs.h"

typedef enum DeliveryResult {
        DELIVERY_NONE,
        DELIVERY_SUBMITTED,
        DELIVERY_QUEUED,        /* the agent was at work: its own input box took it */
        DELIVERY_TYPED,         /* not submitted, as was asked for */
        DELIVERY_BLOCKED,       /* a person is needed: a dialog, a draft; nothing was typed */
        DELIVERY_NOT_READY,     /* past the deadline; nothing was typed */
        DELIVERY_NOT_DELIVERED, /* the agent ended; nothing was typed */
        DELIVERY_UNCERTAIN,     /* typed, but not seen to be submitted */
        _DELIVERY_RESULT_MAX,
} DeliveryResult;

const char *delivery_result_to_string(DeliveryResult r);

typedef enum DeliveryStep {
        DELIVERY_WAIT,       /* wait_usec, then look again */
        DELIVERY_LEAVE_MODE, /* copy mode */
        DELIVERY_FOCUS,      /* tell the program that it has the focus; if the cursor is at x, y */
        DELIVERY_PASTE,      /* only if the cursor is at x, y */
        DELIVERY_PRESS,      /* the submit key; likewise */
        DELIVERY_END,
} DeliveryStep;

/* What became of a deed. */
typedef enum DeliveryReply {
        REPLY_DONE,
        REPLY_MOVED,   /* the cursor was elsewhere, or a mode was entered: nothing was done */
        REPLY_GONE,    /* the pane is dead, gone, or no longer the agent's: nothing was done */
        REPLY_UNKNOWN, /* tmux did not answer in time: it may or may not have been done */
} DeliveryReply;

/* One look. Times are of one clock. */
typedef struct DeliveryLook {
        uint64_t now_usec;
        bool seen;  /* the pane answered; else nothing below but `alive` counts */
        bool alive; /* the same process as at the beginning runs */
        bool other_foreground;
        bool line_mode; /* its terminal collects lines: it reads no keys (yet) */
        bool young;     /* started a moment ago: what it shows first it may still take back */
        const Screen *screen;
        const ScreenVerdict *verdict;
} DeliveryLook;

typedef struct DeliveryOptions {
        uint64_t now_usec;
        uint64_t timeout_usec;      /* until the text is pasted */
        uint64_t submit_delay_usec; /* least time between the echo and the key */
        const char *text;           /* borrowed */
        size_t size;                /* in bytes: long ones take longer to appear */
        bool wait_idle;
        bool no_submit;
} DeliveryOptions;

typedef enum DeliveryPhase {
        PHASE_READY,
        PHASE_ECHO,
        PHASE_CONFIRM,
        PHASE_END,
} DeliveryPhase;

typedef struct Delivery {
        DeliveryOptions options;
        DeliveryPhase phase;
        DeliveryResult result;
        const char *why; /* of the end; a phrase that lives for ever */
        unsigned x, y;   /* where the cursor has to be */
        uint64_t wait_usec;
        DeliveryStep asked; /* by the last look */

        unsigned presses;
        bool queued; /* at work when it was pasted */
        bool echoed; /* something appeared in the input box */
        uint64_t pasted_usec, echoed_usec, pressed_usec, ended_usec;

        bool empty;          /* the input box of a young agent was so at the last look ... */
        uint64_t empty_usec; /* ... since */
        uint64_t told_usec;  /* when the program was told last that it has the focus; 0: never */

        /* the echo as it was last seen, and since when */
        uint64_t mark;
        uint64_t mark_usec;
        bool marked;
        uint64_t pressed_mark; /* how it looked when the key was pressed */
} Delivery;

void delivery_init(Delivery *d, const DeliveryOptions *options);

/* What to do after this look. */
DeliveryStep delivery_look(Delivery *d, const DeliveryLook *look);

/* What became of what delivery_look() asked for; a look follows. */
void delivery_reply(Delivery *d, DeliveryReply reply, uint64_t now_usec);

/* Ends it now: interrupted. */
void delivery_give_up(Delivery *d, const char *why, uint64_t now_usec);
