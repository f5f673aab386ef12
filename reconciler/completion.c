/* SPDX-License-Identifier: MIT */
#include "reconciler/completion.h"

#include <string.h>

#include "framework/assets.h"
#include "model/base/format.h"
#include "reconciler/completion-internal.h"
#include "reconciler/options.h"

Shell shell_from_string(const char *s) {
        static const char *const names[] = {
                [SHELL_BASH] = "bash",
                [SHELL_ZSH] = "zsh",
                [SHELL_FISH] = "fish",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], s) == 0)
                        return (Shell)i;
        return _SHELL_INVALID;
}

void completion_add_verb(StrBuf *b, const Verb *v) {
        if (v->group) {
                strbuf_add(b, v->group);
                strbuf_add_char(b, ' ');
        }
        strbuf_add(b, v->name);
}

void completion_add_text(StrBuf *b,
                const char *text,
                size_t length,
                const char *quote,
                const char *special) {
        for (const char *s = text; s < text + length; s++) {
                if (*s == '\'') {
                        strbuf_add(b, quote);
                        continue;
                }
                if (strchr(special, *s))
                        strbuf_add_char(b, '\\');
                strbuf_add_char(b, *s);
        }
}

void completion_add_profiles(StrBuf *b) {
        static const char folder[] = "fleet/examples/";
        const char *separator = "";

        for (size_t i = 0; i < n_assets; i++) {
                const char *file = assets[i].path + sizeof(folder) - 1;

                if (strncmp(assets[i].path, folder, sizeof(folder) - 1) != 0)
                        continue;
                strbuf_add(b, separator);
                strbuf_add_bytes(b, file, strcspn(file, "."));
                separator = " ";
        }
}

/* --- bash ------------------------------------------------------------------------------------- */

/* Words as they stand between single quotes; markers are left for the script, but for the
 * profiles. */
static void add_values(StrBuf *b, const char *values) {
        if (strcmp(values, "@profile") == 0)
                completion_add_profiles(b);
        else
                strbuf_add(b, values);
}

static void add_bash_list(StrBuf *b, const char *group) {
        strbuf_addf(b, "        '%s') words='", group ? group : "");
        if (!group)
                for (const VerbGroup *g = verb_groups; g->name; g++)
                        strbuf_addf(b, "%s ", g->name);
        for (size_t i = 0; verbs[i]; i++) {
                const char *of = verbs[i]->group;

                if (group ? of && strcmp(of, group) == 0 : !of)
                        strbuf_addf(b, "%s ", verbs[i]->name);
        }
        strbuf_addf(b, "' options='--help%s' ;;\n", group ? "" : " --color --no-pager --version");
}

static void add_bash_verb(StrBuf *b, const Verb *v) {
        const char *at = v->help;
        VerbOption o;

        strbuf_add(b, "        '");
        completion_add_verb(b, v);
        strbuf_add(b, "') words='");
        if (v->words)
                add_values(b, v->words);
        strbuf_add(b, "' options='--help");
        while (verb_next_option(&at, &o)) {
                strbuf_add(b, " --");
                strbuf_add_bytes(b, o.name, o.name_length);
        }
        strbuf_add(b, "' ;;\n");
}

/* One line for each option that takes a value, whichever verb it is of. */
static void add_bash_values(StrBuf *b) {
        size_t begin = b->length;

        for (size_t i = 0; verbs[i]; i++) {
                const char *at = verbs[i]->help;
                VerbOption o;

                while (verb_next_option(&at, &o)) {
                        const char *values = option_values(o.name, o.name_length);
                        _cleanup_free_ char *pattern = NULL;

                        if (!o.has_value)
                                continue;
                        if (format_text(&pattern, "        --%.*s%s%.1s) ", (int)o.name_length,
                                            o.name, o.letter ? " | -" : "", &o.letter) < 0) {
                                b->failed = true;
                                return;
                        }
                        if (b->failed || strstr(strbuf_text(b) + begin, pattern))
                                continue;
                        strbuf_add(b, pattern);
                        strbuf_add(b, "words='");
                        if (values)
                                add_values(b, values);
                        strbuf_add(b, "' ;;\n");
                }
        }
}

static const char bash_head[] = "# SPDX-License-Identifier: MIT\n"
                                "# bash completion for mosaic, made by 'mosaic completion bash'.\n"
                                "\n"
                                "_mosaic() {\n"
                                "    local current=${COMP_WORDS[COMP_CWORD]} "
                                "previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
                                "    local verb='' words='' options='' i=1\n"
                                "    COMPREPLY=()\n"
                                "\n"
                                "    # bash cuts --option=value at the sign.\n"
                                "    if [[ $current == = ]]; then\n"
                                "        current=''\n"
                                "    elif [[ $previous == = ]]; then\n"
                                "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
                                "    fi\n"
                                "\n"
                                "    # The verb that was typed so far.\n"
                                "    for ((; i < COMP_CWORD; i++)); do\n"
                                "        case ${COMP_WORDS[i]} in\n"
                                "        --color) if [[ ${COMP_WORDS[i + 1]} == = ]]; then ((i += "
                                "2)); else ((i++)); "
                                "fi ;;\n"
                                "        -*) ;;\n"
                                "        *)\n"
                                "            verb=\"${verb:+$verb }${COMP_WORDS[i]}\"\n";

static const char bash_middle[] = "                ;;\n"
                                  "            esac\n"
                                  "            ;;\n"
                                  "        esac\n"
                                  "    done\n"
                                  "\n"
                                  "    case $verb in\n";

static const char bash_tail[] =
                "    case $words in\n"
                "    @file)\n"
                "        compopt -o filenames 2>/dev/null\n"
                "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
                "        return\n"
                "        ;;\n"
                "    @agent) words=$(\"${COMP_WORDS[0]}\" completion --agents 2>/dev/null) ;;\n"
                "    esac\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
                "}\n"
                "\n"
                "complete -F _mosaic mosaic\n";

static void write_bash(StrBuf *b) {
        strbuf_add(b, bash_head);
        strbuf_add(b, "            case $verb in\n            ");
        for (const VerbGroup *g = verb_groups; g->name; g++)
                strbuf_addf(b, "%s%s", g == verb_groups ? "" : " | ", g->name);
        strbuf_add(b, ") ;;\n            *)\n                break\n");
        strbuf_add(b, bash_middle);
        add_bash_list(b, NULL);
        for (const VerbGroup *g = verb_groups; g->name; g++)
                add_bash_list(b, g->name);
        for (size_t i = 0; verbs[i]; i++)
                add_bash_verb(b, verbs[i]);
        strbuf_add(b, "    esac\n\n    case $previous in\n");
        add_bash_values(b);
        strbuf_add(b, "    *)\n"
                      "        if [[ $current == -* ]]; then\n"
                      "            words=$options\n"
                      "        fi\n"
                      "        ;;\n"
                      "    esac\n\n");
        strbuf_add(b, bash_tail);
}

void completion_write(Shell shell, StrBuf *b) {
        switch (shell) {
        case SHELL_BASH:
                write_bash(b);
                return;
        case SHELL_ZSH:
                completion_write_zsh(b);
                return;
        case SHELL_FISH:
                completion_write_fish(b);
                return;
        case _SHELL_MAX:
        case _SHELL_INVALID:
                break;
        }
        b->failed = true;
}
