/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/template.h"

#include <errno.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/strbuf.h"
#include "model/base/utf8.h"

typedef struct Value {
        const char *name;
        const char *value;
        bool is_program; /* stands where systemd wants the path of a program */
} Value;

#define N_VALUES 8

static void collect_values(const Paths *p, const char *tmux_tmpdir, Value values[static N_VALUES]) {
        values[0] = (Value){ "prefix", p->unit_prefix, false };
        values[1] = (Value){ "fleet", p->id_or_default, false };
        values[2] = (Value){ "home", p->home, false };
        values[3] = (Value){ "state", p->state, false };
        values[4] = (Value){ "runtime", p->runtime, false };
        values[5] = (Value){ "libexec", p->libexec, true };
        values[6] = (Value){ "program", p->program, true };
        values[7] = (Value){ "tmux_tmpdir", tmux_tmpdir, false };
}

static bool value_can_be_written(const Value *v) {
        if (!utf8_is_valid(v->value, strlen(v->value)))
                return false;
        for (const char *c = v->value; *c; c++) {
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        return false;
                /* systemd refuses a program with one of these, however it is escaped */
                if (v->is_program && strchr("\"'\\", *c))
                        return false;
        }
        return true;
}

/* Inside double quotes of a unit file. */
static void add_escaped(StrBuf *b, const char *value, bool argument) {
        for (const char *c = value; *c; c++) {
                if (*c == '"' || *c == '\\')
                        strbuf_add_char(b, '\\');
                if (*c == '%' || (argument && *c == '$'))
                        strbuf_add_char(b, *c);
                strbuf_add_char(b, *c);
        }
}

/* The placeholder at @s ("@name@" or "@name.argument@"): its length, 0 if there is none. */
static size_t placeholder_at(const char *s, size_t *ret_name, bool *ret_argument) {
        static const char suffix[] = ".argument";
        size_t n_name, n = 1;

        if (*s != '@')
                return 0;
        n_name = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz_");
        n += n_name;
        *ret_argument = strncmp(s + n, suffix, strlen(suffix)) == 0;
        if (*ret_argument)
                n += strlen(suffix);
        if (n_name == 0 || s[n] != '@')
                return 0;
        *ret_name = n_name;
        return n + 1;
}

int template_render(const char *text,
                const Paths *p,
                const char *tmux_tmpdir,
                const char **ret_culprit,
                char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        Value values[N_VALUES];

        collect_values(p, tmux_tmpdir, values);
        for (size_t i = 0; i < N_VALUES; i++)
                if (!value_can_be_written(&values[i])) {
                        *ret_culprit = values[i].value;
                        return -EILSEQ;
                }

        while (*text) {
                const Value *found = NULL;
                size_t n, n_name = 0;
                bool argument = false;

                n = placeholder_at(text, &n_name, &argument);
                if (n == 0) {
                        strbuf_add_char(&b, *text++);
                        continue;
                }
                for (size_t i = 0; i < N_VALUES; i++)
                        if (strlen(values[i].name) == n_name &&
                                        strncmp(values[i].name, text + 1, n_name) == 0)
                                found = &values[i];
                if (!found)
                        return -EINVAL;
                add_escaped(&b, found->value, argument);
                text += n;
        }
        return strbuf_finish(&b, ret);
}

int template_unit_name(const Paths *p, const char *asset_name, char **ret) {
        static const char prefix[] = "mosaic-", suffix[] = ".in";
        size_t n = strlen(asset_name), n_prefix = strlen(prefix), n_suffix = strlen(suffix);

        *ret = NULL;
        if (n <= n_prefix + n_suffix || strncmp(asset_name, prefix, n_prefix) != 0 ||
                        strcmp(asset_name + n - n_suffix, suffix) != 0)
                return 0;
        return format_text(ret, "%s%.*s", p->unit_prefix, (int)(n - n_prefix - n_suffix),
                        asset_name + n_prefix);
}
