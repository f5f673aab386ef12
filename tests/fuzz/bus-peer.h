/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A user manager in this process: the other end of the private socket, over a real sd-bus on both
 * sides. The linker gives it the calls that connect and wait (bus_peer_wrapped in meson.build), and
 * the clock: time passes only when nobody has anything to say, so deadlines cost nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "tests/fuzz/input.h"

typedef struct PeerRules {
        /* A request came. It is answered by these rules, at once, later or never. */
        void (*request)(sd_bus_message *request);
        /* The other side waits, and nothing is on its way. Returns whether something was said.
         * NULL: nothing. */
        bool (*idle)(void);
} PeerRules;

/* From here on connections lead to a peer with these rules, until peer_end(). */
void peer_begin(const PeerRules *rules);
void peer_end(void);

/* Takes in what was sent. Only for callers that wait by themselves. */
void peer_step(void);

/* The peer's end of the newest connection; NULL: there is none, or nothing more is said on it.
 * Borrowed. */
sd_bus *peer_bus(void);
void peer_hang_up(void);

/* How many connections there were, this one too. */
unsigned peer_serial(void);

/* Microseconds of the clock that the code under test sees; lets time pass. */
uint64_t peer_now(void);
void peer_sleep(uint64_t usec);

/* Connections from now on are refused, or not. */
void peer_refuse(bool yes);
bool peer_refuses(void);

void peer_send(sd_bus_message *message);

/* A signal of the manager object, or of another. */
sd_bus_message *peer_signal(const char *path, const char *interface, const char *member);

/* How a request is answered. */
typedef enum PeerAnswer {
        PEER_TRUTH,
        PEER_GONE,     /* an error that means: there is no such unit */
        PEER_ERROR,    /* another error */
        PEER_NONSENSE, /* a reply of other types than it should have */
        PEER_SILENT,
        PEER_HANGS_UP,
        PEER_GARBAGE, /* bytes that are no message */
        PEER_FLOOD,   /* no answer, but signals without end */
        _PEER_ANSWER_MAX,
} PeerAnswer;

/*
 * Chooses, and answers unless it is the truth; that is the caller's. @types are those of the true
 * answer, "v" and what is in it for a property.
 */
PeerAnswer peer_answer(Input *in, sd_bus_message *request, const char *types);
