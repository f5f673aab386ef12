/* SPDX-License-Identifier: MIT */

/* keeper-probe RUNTIME_DIR query|start|stop TIMEOUT_MS NAME...: asks all at once, prints one line
 * each. */

#include <stdio.h>
#include <string.h>

#include "drivers/agent/keeper-client.h"
#include "model/base/parse.h"

static int parse_request(const char *word, KeeperRequest *ret) {
        static const char *const words[] = {
                [KEEPER_ASK_QUERY] = "query",
                [KEEPER_ASK_START] = "start",
                [KEEPER_ASK_STOP] = "stop",
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(word, words[i]) == 0) {
                        *ret = (KeeperRequest)i;
                        return 0;
                }
        return -EINVAL;
}

int main(int argc, char *argv[]) {
        _cleanup_free_ KeeperCall *calls = NULL;
        KeeperRequest request;
        uint64_t timeout;
        size_t n;

        if (argc < 5 || parse_request(argv[2], &request) < 0 || parse_uint64(argv[3], &timeout) < 0)
                return 64;
        n = (size_t)argc - 4;
        calls = calloc(n, sizeof(KeeperCall));
        if (!calls)
                return 1;
        for (size_t i = 0; i < n; i++)
                calls[i] = (KeeperCall){ .name = argv[4 + i],
                        .request = request,
                        .stop_timeout_usec = timeout * USEC_PER_MSEC };
        if (keeper_call_many(argv[1], calls, n, 60 * USEC_PER_SEC) < 0)
                return 1;
        for (size_t i = 0; i < n; i++)
                (void)printf("%s error=%d pid=%ld state=%d end=%s,%s text=%s\n", calls[i].name,
                                calls[i].error, (long)calls[i].pid, (int)calls[i].state,
                                calls[i].code, calls[i].status, calls[i].text ? calls[i].text : "");
        keeper_calls_done(calls, n);
        return 0;
}
