/* SPDX-License-Identifier: MIT */
#include "model/roster-words.h"

#include <fnmatch.h>
#include <string.h>

int word_expand_path(const char *text, const char *home, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
                strbuf_add(&b, home);
                while (b.length > 0 && b.data[b.length - 1] == '/')
                        b.data[--b.length] = '\0';
                text++;
        } else if (text[0] != '/')
                return -EINVAL;

        while (*text) {
                size_t n;

                text += strspn(text, "/");
                n = strcspn(text, "/");
                if (n == 2 && text[0] == '.' && text[1] == '.')
                        return -EINVAL;
                if (n > 0 && !(n == 1 && text[0] == '.')) {
                        strbuf_add_char(&b, '/');
                        strbuf_add_bytes(&b, text, n);
                }
                text += n;
        }
        if (b.length == 0)
                strbuf_add_char(&b, '/');
        return strbuf_finish(&b, ret);
}

bool word_path_is_within(const char *path, const char *dir) {
        size_t n = strlen(dir);

        if (strcmp(dir, "/") == 0)
                return true;
        return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static const char *placeholder_value(
                const char *word, size_t n, const Placeholders *values, PlaceholderState *state) {
        *state = PLACEHOLDERS_FINE;
        if (n == 4 && strncmp(word, "name", n) == 0)
                return values->name;
        if (n == 7 && strncmp(word, "workdir", n) == 0)
                return values->workdir;
        if (n == 5 && strncmp(word, "model", n) == 0) {
                if (!values->model)
                        *state = PLACEHOLDER_WITHOUT_MODEL;
                return values->model;
        }
        *state = PLACEHOLDER_UNKNOWN;
        return NULL;
}

PlaceholderState word_expand_placeholders(const char *text,
                const Placeholders *values,
                StrBuf *b,
                size_t *ret_start,
                size_t *ret_length) {
        PlaceholderState state;

        for (const char *p = text; *p; p++) {
                const char *value;
                size_t n;

                if (*p != '{') {
                        strbuf_add_char(b, *p);
                        continue;
                }
                if (p[1] == '{') {
                        strbuf_add_char(b, '{');
                        p++;
                        continue;
                }
                n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");
                if (n == 0 || p[1 + n] != '}') {
                        strbuf_add_char(b, '{');
                        continue;
                }
                value = placeholder_value(p + 1, n, values, &state);
                if (state != PLACEHOLDERS_FINE) {
                        *ret_start = (size_t)(p - text);
                        *ret_length = n + 2;
                        return state;
                }
                strbuf_add(b, value ? value : "");
                p += 1 + n;
        }
        return PLACEHOLDERS_FINE;
}

bool word_match_host(const char *pattern, const char *hostname) {
        char label[256];
        size_t n = strcspn(hostname, ".");

        if (fnmatch(pattern, hostname, FNM_CASEFOLD) == 0)
                return true;
        if (hostname[n] == '\0' || n >= sizeof(label))
                return false;
        memcpy(label, hostname, n);
        label[n] = '\0';
        return fnmatch(pattern, label, FNM_CASEFOLD) == 0;
}
