/* SPDX-License-Identifier: MIT */
#include "model/roster-finding.h"

#include <stdarg.h>

#include "model/base/format.h"

static Span place_of(const YamlNode *node, bool key) {
        if (!node)
                return SPAN_NONE;
        if (node->key && (key || node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE))
                return node->key->span;
        return node->span;
}

static Diag *find(const Finder *f,
                Severity severity,
                const char *code,
                const YamlNode *node,
                bool key,
                const char *help,
                const char *format,
                va_list ap) _printf_(7, 0);

static Diag *find(const Finder *f,
                Severity severity,
                const char *code,
                const YamlNode *node,
                bool key,
                const char *help,
                const char *format,
                va_list ap) {
        _cleanup_strbuf_ StrBuf pointer = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;

        (void)!format_valist(&text, format, ap);
        if (node)
                yaml_write_pointer(f->roster->root, node, &pointer);
        return diags_add(f->diags, severity, code, place_of(node, key),
                        node ? strbuf_text(&pointer) : NULL, help, "%s", text ? text : code);
}

Diag *find_error(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) {
        va_list ap;
        Diag *d;

        va_start(ap, format);
        d = find(f, SEVERITY_ERROR, code, node, /* key= */ false, help, format, ap);
        va_end(ap);
        return d;
}

Diag *find_warning(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) {
        va_list ap;
        Diag *d;

        va_start(ap, format);
        d = find(f, SEVERITY_WARNING, code, node, /* key= */ false, help, format, ap);
        va_end(ap);
        return d;
}

Diag *find_key_error(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) {
        va_list ap;
        Diag *d;

        va_start(ap, format);
        d = find(f, SEVERITY_ERROR, code, node, /* key= */ true, help, format, ap);
        va_end(ap);
        return d;
}
