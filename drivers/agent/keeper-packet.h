/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A packet, or a line of text, put together without malloc and stdio: what does not fit is left
 * out.
 */

#include <stddef.h>
#include <stdint.h>

#include "drivers/agent/keeper-protocol.h"

typedef struct Packet {
        char bytes[KEEPER_PACKET_MAX];
        size_t n;
} Packet;

/* Not zeroed as a whole: that would cost a page. */
#define PACKET(p)                                                                                  \
        Packet p;                                                                                  \
        p.n = 0

void packet_bytes(Packet *p, const void *bytes, size_t n);
void packet_text(Packet *p, const char *text);
void packet_number(Packet *p, uint64_t v);
