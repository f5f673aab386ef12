/* SPDX-License-Identifier: MIT */

/* Packets of keepers. First byte: which request it answers; the rest is the answer. */

#include <limits.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/agent/keeper-protocol.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

static bool is_number(const char *s) {
        return *s && s[strspn(s, "0123456789")] == '\0';
}

/* What an answer of this form must have been taken for. */
static void check_taken(const KeeperCall *call, const char *packet) {
        char number[16];

        assert(call->pid >= 0 && call->pid <= INT_MAX);
        (void)snprintf(number, sizeof(number), "%ld", (long)call->pid);
        switch (call->request) {
        case KEEPER_ASK_QUERY:
                assert(packet[0] == KEEPER_STATE && call->state <= KEEPER_HAS_STOPPING);
                assert(strncmp(packet + 1, number, strlen(number)) == 0 || packet[1] == '0');
                break;
        case KEEPER_ASK_START:
                assert(packet[0] == KEEPER_RUNNING && is_number(packet + 1));
                break;
        case KEEPER_ASK_STOP:
                assert(packet[0] == KEEPER_DONE && strlen(call->code) < sizeof(call->code));
                assert(strncmp(packet + 1, call->code, strlen(call->code)) == 0);
                assert(strcmp(packet + 2 + strlen(call->code), call->status) == 0);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        KeeperCall call = { .request = (KeeperRequest)input_choose(&in, 3) };
        _cleanup_free_ char *packet = input_text(&in, KEEPER_PACKET_MAX), *copy = strdup(packet);
        int r;

        assert(copy);
        r = keeper_answer_parse(packet, &call);
        assert(r == 0 || r == -EBADMSG || r == -ECANCELED);
        assert((r == -ECANCELED) == (call.text != NULL));
        if (r == 0)
                check_taken(&call, copy);
        free(call.text);
        return 0;
}
