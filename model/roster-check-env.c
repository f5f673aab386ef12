/* SPDX-License-Identifier: MIT */
#include "model/roster-check-env.h"

#include <string.h>

static bool in_list(const char *name, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(list[i], name) == 0)
                        return true;
        return false;
}

/* They make every program that the agent starts run code of someone's choice. */
static bool is_dangerous(const char *name, const char *value) {
        static const char *const names[] = {
                "BASH_ENV",
                "ENV",
                "GCONV_PATH",
                "GIT_SSH_COMMAND",
                "PERL5OPT",
                "PS4",
                "PYTHONSTARTUP",
                "SHELLOPTS",
        };

        if (in_list(name, names, ELEMENTSOF(names)) || strncmp(name, "LD_", 3) == 0)
                return true;
        return strcmp(name, "NODE_OPTIONS") == 0 && value &&
               (strstr(value, "--require") || strstr(value, "-r ") || strstr(value, "--import") ||
                               strstr(value, "--loader"));
}

/* The shortest thing that looks like a secret: "-----BEGIN". Most values are shorter. */
#define SECRET_MIN 10

#define WORD_CHARACTERS                                                                            \
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"                                     \
        "0123456789_-"

/* Does @prefix begin a word somewhere, as in --api-key=sk-... and 'sk-...', and not as in task-...
 * or in a path, with that many characters of a word behind it? */
static bool has_key(const char *value, const char *prefix, size_t rest) {
        const char *found = value;

        while ((found = strstr(found, prefix))) {
                bool begins = found == value || !strchr(WORD_CHARACTERS "/.@", found[-1]);

                found += strlen(prefix);
                if (begins && strspn(found, WORD_CHARACTERS) >= rest)
                        return true;
        }
        return false;
}

/* Prefixes that issuers of keys give them so that they are recognised. */
static bool looks_like_secret(const char *value) {
        static const struct {
                const char *text;
                size_t rest; /* characters that must follow */
        } prefixes[] = {
                { "sk-", 16 },
                { "ghp_", 16 },
                { "gho_", 16 },
                { "ghs_", 16 },
                { "github_pat_", 16 },
                { "glpat-", 16 },
                { "xoxb-", 10 },
                { "xoxp-", 10 },
                { "xoxa-", 10 },
                { "AKIA", 16 },
                { "AIza", 30 },
                { "-----BEGIN", 0 },
        };

        if (strnlen(value, SECRET_MIN) < SECRET_MIN)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (has_key(value, prefixes[i].text, prefixes[i].rest))
                        return true;
        return false;
}

static char upper(char c) {
        return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Whether @word is one of the words of @name that _ separates; a trailing "*" matches any rest. */
static bool has_word(const char *name, const char *word) {
        size_t n = strlen(word);
        bool prefix = word[n - 1] == '*';

        if (prefix)
                n--;
        for (const char *p = name; *p;) {
                size_t i = 0, length = strcspn(p, "_");

                while (i < n && i < length && upper(p[i]) == word[i])
                        i++;
                if (i == n && (prefix || length == n))
                        return true;
                p += length;
                p += strspn(p, "_");
        }
        return false;
}

/* GITHUB_TOKEN and DB_PASSWORD, but not MAX_TOKENS or TOKEN_FILE. */
static bool is_secret_name(const char *name) {
        static const char *const words[] = { "TOKEN", "SECRET*", "PASSW*", "APIKEY", "PRIVATE" };
        size_t n = strlen(name);

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (has_word(name, words[i]))
                        return true;
        for (size_t i = 0; i + 7 <= n; i++)
                if (strncasecmp(name + i, "API_KEY", 7) == 0 && (name[i + 7] == '\0'))
                        return true;
        return false;
}

/* Values that are no secrets whatever the variable is called. */
static bool is_harmless(const char *value) {
        static const char *const words[] = { "", "true", "false", "yes", "no", "on", "off",
                "none" };

        return in_list(value, words, ELEMENTSOF(words)) || value[0] == '/' || value[0] == '~' ||
               value[strspn(value, "0123456789.")] == '\0';
}

static void report_secret(const Finder *f, const YamlNode *node, const char *what) {
        (void)find_key_error(f, "inline-secret", node,
                        "put it into a file of mode 600 and write credentials: {NAME: {file: "
                        "PATH}}",
                        "%s looks like a secret", what);
}

/* Returns whether the name may be set. */
static bool check_name(const Finder *f, const YamlNode *node, const char *name, const char *value) {
        if (variable_is_reserved(name)) {
                (void)find_key_error(f, "reserved-variable", node, "delete it",
                                "%s is set by mosaic, tmux or systemd for each agent", name);
                return false;
        }
        if (is_dangerous(name, value)) {
                (void)find_key_error(f, "dangerous-variable", node,
                                "if it must be, set it in a file that env_files names",
                                "%s makes every program of the agent run foreign code", name);
                return false;
        }
        return true;
}

/* No shell reads it: what looks like the login's PATH is the name of a directory. */
static void check_search_path(const Finder *f, const YamlNode *node) {
        if (node->text[0] == '~' || strstr(node->text, ":~") || strchr(node->text, '$'))
                (void)find_warning(f, "path-unexpanded", node, "write whole paths",
                                "nothing is expanded in PATH: ~ and $ stay as they are");
}

void check_env_map(const Finder *f, const RosterValue *env) {
        for (const YamlNode *m = env->node ? env->node->first : NULL; m; m = m->next) {
                if (!m->key || m->kind != YAML_STRING)
                        continue;
                if (!check_name(f, m, m->key->text, m->text))
                        continue;
                if (strcmp(m->key->text, "PATH") == 0)
                        check_search_path(f, m);
                if (looks_like_secret(m->text) ||
                                (is_secret_name(m->key->text) && !is_harmless(m->text)))
                        report_secret(f, m, m->key->text);
        }
}

void check_env_names(const Finder *f, const RosterValue *list) {
        for (const YamlNode *e = list->node ? list->node->first : NULL; e; e = e->next)
                if (e->kind == YAML_STRING && strcmp(e->text, "XDG_RUNTIME_DIR") != 0)
                        (void)check_name(f, e, e->text, NULL);
}

void check_credentials(const Finder *f, const RosterValue *credentials) {
        for (const YamlNode *m = credentials->node ? credentials->node->first : NULL; m;
                        m = m->next)
                if (m->key)
                        (void)check_name(f, m, m->key->text, NULL);
}

void check_words_of_text(const Finder *f, const YamlNode *node) {
        if (node && node->kind == YAML_STRING && looks_like_secret(node->text))
                report_secret(f, node, "this word");
}

void check_words(const Finder *f, const RosterValue *list) {
        for (const YamlNode *e = list->node ? list->node->first : NULL; e; e = e->next)
                check_words_of_text(f, e);
}

int find_secrets(const YamlNode *node, Diags *diags) {
        if (node->kind == YAML_STRING &&
                        (looks_like_secret(node->text) ||
                                        (node->key && is_secret_name(node->key->text) &&
                                                        !is_harmless(node->text)))) {
                int r = diags_hide(diags, node->span);

                if (r < 0)
                        return r;
        }
        /* As deep as the loader lets a tree be (YAML_DEPTH_MAX). */
        for (const YamlNode *child = node->first; child; child = child->next) {
                int r = find_secrets(child, diags);

                if (r < 0)
                        return r;
        }
        return 0;
}
