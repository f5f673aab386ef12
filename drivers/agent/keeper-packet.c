/* SPDX-License-Identifier: MIT */
#include "drivers/agent/keeper-packet.h"

#include <string.h>

void packet_bytes(Packet *p, const void *bytes, size_t n) {
        if (n > sizeof(p->bytes) - p->n)
                n = sizeof(p->bytes) - p->n;
        memcpy(p->bytes + p->n, bytes, n);
        p->n += n;
}

void packet_text(Packet *p, const char *text) {
        packet_bytes(p, text, strlen(text));
}

void packet_number(Packet *p, uint64_t v) {
        char digits[20];
        size_t at = sizeof(digits);

        do
                digits[--at] = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        packet_bytes(p, digits + at, sizeof(digits) - at);
}
