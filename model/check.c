/* SPDX-License-Identifier: MIT */
#include "model/check.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"

#define LOOKED_AT_BY_ALL (CHECK_BY_VERIFY | CHECK_BY_DOCTOR | CHECK_BY_PREFLIGHT)

static const struct {
        const char *name;
        unsigned shown_by;
        const char *help; /* NULL: none, or it depends */
} table[_CHECK_KIND_MAX] = {
        [CHECK_PARTS] = { "parts", CHECK_BY_DOCTOR | CHECK_BY_PREFLIGHT, "install mosaic again" },
        [CHECK_TMUX] = { "tmux", CHECK_BY_DOCTOR | CHECK_BY_PREFLIGHT, "sudo apt install tmux" },
        [CHECK_SOCKET] = { "socket", CHECK_BY_DOCTOR, NULL },
        [CHECK_MANAGER] = { "user-manager", CHECK_BY_DOCTOR | CHECK_BY_PREFLIGHT,
                        "loginctl enable-linger" },
        [CHECK_PATH] = { "path", CHECK_BY_DOCTOR, "systemctl --user import-environment PATH" },
        [CHECK_CONTROLLERS] = { "controllers", CHECK_BY_DOCTOR,
                        "sudo systemctl edit user@.service" },
        [CHECK_LINGER] = { "linger", CHECK_BY_VERIFY | CHECK_BY_DOCTOR, "loginctl enable-linger" },
        [CHECK_PERMISSIONS] = { "permissions", CHECK_BY_DOCTOR, NULL },
        [CHECK_STATE] = { "state", CHECK_BY_VERIFY | CHECK_BY_DOCTOR | CHECK_BY_STATUS, NULL },
        [CHECK_RUNTIMES] = { "runtimes", CHECK_BY_DOCTOR, NULL },
        [CHECK_STALE] = { "stale-preflight", CHECK_BY_DOCTOR, "mosaic fleet preflight" },
        [CHECK_UNITS] = { "units", LOOKED_AT_BY_ALL, "mosaic update" },
        [CHECK_HOLDER] = { "holder", LOOKED_AT_BY_ALL | CHECK_BY_STATUS,
                        "mosaic fleet stop; mosaic fleet start" },
        [CHECK_LIMITS] = { "limits", CHECK_BY_VERIFY, NULL },
        [CHECK_DEFAULT_SERVER] = { "default-server", LOOKED_AT_BY_ALL | CHECK_BY_STATUS, NULL },
        [CHECK_LIVE_PLAN] = { "live-plan", CHECK_BY_PREFLIGHT, "mosaic fleet plan" },
        [CHECK_LIVE_MESSAGE] = { "live-message", CHECK_BY_PREFLIGHT, "mosaic agent status" },
        [CHECK_INSTALL] = { "install", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_START] = { "start", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_START_AGAIN] = { "start-again", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_EXACT_TARGET] = { "exact-target", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_RESTART] = { "restart", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_STOP] = { "stop", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_STOP_AGAIN] = { "stop-again", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_START_AFTER_STOP] = { "start-after-stop", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_UNTOUCHED] = { "untouched", CHECK_BY_PREFLIGHT, NULL },
        [CHECK_GONE] = { "gone", CHECK_BY_PREFLIGHT, NULL },
};

const char *check_name(CheckKind k) {
        assert(k < _CHECK_KIND_MAX);
        return table[k].name;
}

unsigned check_shown_by(CheckKind k) {
        assert(k < _CHECK_KIND_MAX);
        return table[k].shown_by;
}

void checks_done(Checks *c) {
        for (size_t i = 0; i < c->n_items; i++) {
                free(c->items[i].text);
                free(c->items[i].help);
        }
        free(c->items);
        *c = CHECKS_NULL;
}

static int
add(Checks *c, CheckKind kind, CheckState state, const char *help, const char *format, va_list ap)
                _printf_(5, 0);

static int
add(Checks *c, CheckKind kind, CheckState state, const char *help, const char *format, va_list ap) {
        Check *check = array_grow(&c->items, c->n_items, sizeof(Check));
        Check made = { .kind = kind, .state = state };

        if (!check)
                return -ENOMEM;
        if (format_valist(&made.text, format, ap) < 0)
                return -ENOMEM;
        if (help) {
                made.help = strdup(help);
                if (!made.help) {
                        free(made.text);
                        return -ENOMEM;
                }
        }
        *check = made;
        c->n_items++;
        return 0;
}

int checks_add(Checks *c, CheckKind kind, CheckState state, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = add(c, kind, state, state == CHECK_OK ? NULL : table[kind].help, format, ap);
        va_end(ap);
        return r;
}

int checks_add_help(Checks *c,
                CheckKind kind,
                CheckState state,
                const char *help,
                const char *format,
                ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = add(c, kind, state, help, format, ap);
        va_end(ap);
        return r;
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
