/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/agent/holder.h"

static void test_configuration(void **state _unused_) {
        static const char *const wanted[] = {
                "set-option -sgq exit-empty off\n",
                "set-option -gq destroy-unattached off\n",
                "set-option -gq update-environment ''\n",
                "set-option -sgq default-terminal 'tmux-256color'\n",
                "set-option -gq default-size '220x50'\n",
                "set-option -gq history-limit 50000\n",
        };
        const FleetFile f = { .width = 220, .height = 50, .history = 50000 };
        _cleanup_free_ char *text = NULL;

        assert_int_equal(holder_configuration(&f, "tmux-256color", &text), 0);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                assert_non_null(strstr(text, wanted[i]));

        /* Every line is a comment or an option: nothing runs, nothing is bound, no file is read. */
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
                assert_true(*line == '\0' || *line == '#' ||
                                strncmp(line, "set-option -", strlen("set-option -")) == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_configuration),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
