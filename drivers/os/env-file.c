/* SPDX-License-Identifier: MIT */
#include "drivers/os/env-file.h"

#include <string.h>

#include "model/base/strv.h"
#include "model/spec.h"

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

bool env_name_is_valid(const char *name) {
        size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

        return n > 0 && name[n] == '\0' && !(name[0] >= '0' && name[0] <= '9');
}

/* @line is changed. Returns what is wrong with it, NULL if nothing; *ret_name is NULL if there is
 * nothing. */
static const char *parse_line(char *line, char **ret_name, char **ret_value) {
        char *end = line + strlen(line), *equals, *value;

        *ret_name = *ret_value = NULL;
        while (is_blank(*line))
                line++;
        while (end > line && (is_blank(end[-1]) || end[-1] == '\r'))
                *--end = '\0';
        if (*line == '\0' || *line == '#')
                return NULL;
        equals = strchr(line, '=');
        if (!equals)
                return "not of the form NAME=VALUE";
        *equals = '\0';
        if (!env_name_is_valid(line))
                return "what stands before = is not a variable's name";
        value = equals + 1;
        while (is_blank(*value))
                value++;
        if (*value == '"' || *value == '\'') {
                char *close = strchr(value + 1, *value);

                if (!close)
                        return "a quote is not closed";
                if (close[1] != '\0')
                        return "something follows the closing quote";
                *close = '\0';
                value++;
        }
        if (variable_is_reserved(line))
                return "mosaic, tmux or systemd sets this variable for each agent";
        if (strlen(line) + strlen(value) + sizeof("=") > VARIABLE_MAX)
                return "longer than a variable can be (128 KiB)";
        *ret_name = line;
        *ret_value = value;
        return NULL;
}

int env_file_parse(const char *bytes,
                size_t n,
                char ***env,
                unsigned *ret_line,
                const char **ret_problem) {
        unsigned number = 0;

        for (size_t at = 0; at < n;) {
                const char *start = bytes + at, *newline = memchr(start, '\n', n - at);
                size_t length = newline ? (size_t)(newline - start) : n - at;
                _cleanup_free_ char *line = NULL;
                const char *problem;
                char *name, *value;
                int r;

                number++;
                at += length + 1;
                line = strndup(start, length);
                if (!line)
                        return -ENOMEM;
                problem = memchr(start, '\0', length) ? "there is a NUL byte"
                                                      : parse_line(line, &name, &value);
                if (problem) {
                        *ret_line = number;
                        *ret_problem = problem;
                        return -EINVAL;
                }
                if (!name)
                        continue;
                r = strv_env_set(env, name, value);
                if (r < 0)
                        return r;
        }
        return 0;
}
