/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/systemd/unit-name.h"

static void test_agent(void **state _unused_) {
        static const struct {
                const char *prefix;
                const char *unit;
                const char *suffix;
                const char *agent; /* NULL: it is none of an agent of ours */
        } table[] = {
                { "mosaic-", "mosaic-agent@web.service", ".service", "web" },
                { "mosaic-", "mosaic-agent@web-1.service.d", ".service.d", "web-1" },
                { "mosaic-1a2b3c4d-", "mosaic-1a2b3c4d-agent@web.service", ".service", "web" },
                { "mosaic-", "mosaic-1a2b3c4d-agent@web.service", ".service", NULL },
                { "mosaic-1a2b3c4d-", "mosaic-agent@web.service", ".service", NULL },
                { "mosaic-", "mosaic-agentx@web.service", ".service", NULL },
                { "mosaic-", "mosaic-agent@web.service", ".service.d", NULL },
                { "mosaic-", "mosaic-agent@web.service.d", ".service", NULL },
                { "mosaic-", "mosaic-agent@.service", ".service", NULL },
                { "mosaic-", "mosaic-agent@web.slice", ".service", NULL },
                { "mosaic-", "mosaic-agent@No_Name.service", ".service", NULL },
                { "mosaic-", "mosaic-tmux-holder.service", ".service", NULL },
                { "mosaic-", "x-mosaic-agent@web.service", ".service", NULL },
                { "mosaic-", "mosaic-", ".service", NULL },
                { "mosaic-", "", ".service", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Paths p = { .unit_prefix = (char *)(uintptr_t)table[i].prefix };
                _cleanup_free_ char *agent = NULL;

                assert_int_equal(unit_name_agent(&p, table[i].unit, table[i].suffix, &agent), 0);
                if (table[i].agent) {
                        assert_non_null(agent);
                        assert_string_equal(agent, table[i].agent);
                } else
                        assert_null(agent);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_agent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
