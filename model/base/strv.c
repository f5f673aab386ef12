/* SPDX-License-Identifier: MIT */
#include "model/base/strv.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include "model/base/format.h"

char **strv_free(char **l) {
        if (l)
                for (char **s = l; *s; s++)
                        free(*s);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l) {
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

const char *strv_find(char *const *l, const char *s) {
        for (; l && *l; l++)
                if (strcmp(*l, s) == 0)
                        return *l;
        return NULL;
}

int strv_take(char ***l, char *s) {
        size_t n = strv_length(*l);
        char **bigger;

        if (!s)
                return -ENOMEM;

        /* Room grows at powers of two, so that a long list is not copied once per string. */
        if (!*l || (n > 0 && (n & (n + 1)) == 0)) {
                bigger = reallocarray(*l, 2 * (n + 1), sizeof(char *));
                if (!bigger) {
                        free(s);
                        return -ENOMEM;
                }
                *l = bigger;
        }
        (*l)[n] = s;
        (*l)[n + 1] = NULL;
        return 0;
}

int strv_push(char ***l, const char *s) {
        assert(s);
        return strv_take(l, strdup(s));
}

int strv_pushf(char ***l, const char *format, ...) {
        va_list ap;
        char *s;
        int r;

        va_start(ap, format);
        r = format_valist(&s, format, ap);
        va_end(ap);
        return r < 0 ? r : strv_take(l, s);
}

int strv_extend(char ***l, char *const *other) {
        for (; other && *other; other++) {
                int r = strv_push(l, *other);

                if (r < 0)
                        return r;
        }
        return 0;
}

int strv_copy(char *const *l, char ***ret) {
        _cleanup_strv_ char **copy = NULL;
        int r;

        copy = calloc(2, sizeof(char *));
        if (!copy)
                return -ENOMEM;
        r = strv_extend(&copy, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **l) {
        if (l)
                qsort(l, strv_length(l), sizeof(char *), compare_strings);
}

bool strv_equal(char *const *a, char *const *b) {
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(a[i], b[i]) != 0)
                        return false;
        return true;
}

/* Index of "NAME=..." or -1. */
static ssize_t find_variable(char *const *env, const char *name) {
        size_t length = strlen(name);

        for (ssize_t i = 0; env && env[i]; i++)
                if (strncmp(env[i], name, length) == 0 && env[i][length] == '=')
                        return i;
        return -1;
}

int strv_env_set(char ***env, const char *name, const char *value) {
        size_t name_length = strlen(name), value_length = strlen(value);
        ssize_t i = find_variable(*env, name);
        char *s;

        s = malloc(name_length + 1 + value_length + 1);
        if (!s)
                return -ENOMEM;
        memcpy(s, name, name_length);
        s[name_length] = '=';
        memcpy(s + name_length + 1, value, value_length + 1);
        if (i < 0)
                return strv_take(env, s);
        free((*env)[i]);
        (*env)[i] = s;
        return 0;
}

const char *strv_env_get(char *const *env, const char *name) {
        ssize_t i = find_variable(env, name);

        return i < 0 ? NULL : env[i] + strlen(name) + 1;
}
