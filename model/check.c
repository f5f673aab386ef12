/* SPDX-License-Identifier: MIT */
#include "model/check.h"

#include <assert.h>
#include <stdarg.h>

#include "model/base/array.h"

void checks_done(Checks *c) {
        for (size_t i = 0; i < c->n_items; i++)
                free(c->items[i].text);
        free(c->items);
        *c = CHECKS_NULL;
}

int checks_add(Checks *c,
                const char *name,
                CheckState state,
                const char *help,
                const char *format,
                ...) {
        Check *check = array_grow(&c->items, c->n_items, sizeof(Check));
        va_list ap;
        int r;

        if (!check)
                return -ENOMEM;
        va_start(ap, format);
        r = vasprintf(&check->text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        check->name = name;
        check->state = state;
        check->help = help;
        c->n_items++;
        return 0;
}

size_t checks_count(const Checks *c, CheckState state) {
        size_t n = 0;

        for (size_t i = 0; i < c->n_items; i++)
                n += c->items[i].state == state;
        return n;
}

const char *check_state_to_string(CheckState s) {
        static const char *const names[] = {
                [CHECK_OK] = "ok",
                [CHECK_NOTE] = "note",
                [CHECK_FAILED] = "failed",
                [CHECK_UNKNOWN] = "unknown",
        };

        assert(s < ELEMENTSOF(names));
        return names[s];
}
