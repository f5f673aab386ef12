/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "reconciler/completion-internal.h"
#include "reconciler/options.h"

#define QUOTE "'\\''"

/* 'name:summary' */
static void add_item(StrBuf *b, const char *name, const char *summary) {
        strbuf_addf(b, "        '%s:", name);
        completion_add_text(b, summary, strlen(summary), QUOTE, "");
        strbuf_add(b, "'\n");
}

static void add_list(StrBuf *b, const char *group) {
        strbuf_addf(b, "    '%s') items=(\n", group ? group : "");
        if (!group)
                for (const VerbGroup *g = verb_groups; g->name; g++)
                        add_item(b, g->name, g->summary);
        for (size_t i = 0; verbs[i]; i++) {
                const char *of = verbs[i]->group;

                if (group ? of && strcmp(of, group) == 0 : !of)
                        add_item(b, verbs[i]->name, verbs[i]->summary);
        }
        strbuf_add(b, "        ) ;;\n");
}

/* What _arguments does to offer a value: ":message:action". */
static void add_action(StrBuf *b, const char *values) {
        if (!values)
                strbuf_add(b, ":value: ");
        else if (strcmp(values, "@agent") == 0)
                strbuf_add(b, ":agent:_mosaic_agents");
        else if (strcmp(values, "@file") == 0)
                strbuf_add(b, ":file:_files");
        else if (strcmp(values, "@profile") == 0) {
                strbuf_add(b, ":profile:(");
                completion_add_profiles(b);
                strbuf_add(b, ")");
        } else
                strbuf_addf(b, ":value:(%s)", values);
}

static void add_option(StrBuf *b, const VerbOption *o) {
        const char *values = option_values(o->name, o->name_length);
        int n = (int)o->name_length;

        strbuf_add(b, " \\\n            ");
        if (o->letter)
                strbuf_addf(b, "'(-%c --%.*s)'{-%c%s,--%.*s%s}'", o->letter, n, o->name, o->letter,
                                o->has_value ? "+" : "", n, o->name, o->has_value ? "=" : "");
        else
                strbuf_addf(b, "'%s--%.*s%s", values && strcmp(values, "@agent") == 0 ? "*" : "", n,
                                o->name, o->has_value ? "=" : "");
        strbuf_add_char(b, '[');
        completion_add_text(b, o->text, o->text_length, QUOTE, "[]:\\");
        strbuf_add_char(b, ']');
        if (o->has_value)
                add_action(b, values);
        strbuf_add_char(b, '\'');
}

static void add_verb(StrBuf *b, const Verb *v) {
        const char *at = v->help;
        VerbOption o;

        strbuf_add(b, "    '");
        completion_add_verb(b, v);
        strbuf_add(b, "')\n        _arguments -s -S '(-h --help)'{-h,--help}'[Say how the verb is "
                      "used]'");
        while (verb_next_option(&at, &o))
                add_option(b, &o);
        if (v->words) {
                strbuf_add(b, " \\\n            '*");
                add_action(b, v->words);
                strbuf_add_char(b, '\'');
        }
        strbuf_add(b, "\n        return ;;\n");
}

void completion_write_zsh(StrBuf *b) {
        strbuf_add(b, "#compdef mosaic\n"
                      "# SPDX-License-Identifier: MIT\n"
                      "# zsh completion for mosaic, made by 'mosaic completion zsh'.\n"
                      "\n"
                      "_mosaic_agents() {\n"
                      "    local -a agents\n"
                      "    agents=(${(f)\"$($_mosaic_program completion --agents 2>/dev/null)\"})\n"
                      "    _describe -t agents agent agents\n"
                      "}\n"
                      "\n"
                      "_mosaic() {\n"
                      "    local verb='' _mosaic_program=${words[1]}\n"
                      "    local -a items\n"
                      "    integer at=2\n"
                      "\n"
                      "    # The verb that was typed so far.\n"
                      "    while ((at < CURRENT)); do\n"
                      "        case ${words[at]} in\n"
                      "        --color) ((at++)) ;;\n"
                      "        -*) ;;\n"
                      "        *)\n"
                      "            verb=\"${verb:+$verb }${words[at]}\"\n"
                      "            case $verb in\n"
                      "            ");
        for (const VerbGroup *g = verb_groups; g->name; g++)
                strbuf_addf(b, "%s%s", g == verb_groups ? "" : "|", g->name);
        strbuf_add(b, ") ;;\n"
                      "            *) break ;;\n"
                      "            esac ;;\n"
                      "        esac\n"
                      "        ((at++))\n"
                      "    done\n"
                      "\n"
                      "    case $verb in\n");
        add_list(b, NULL);
        for (const VerbGroup *g = verb_groups; g->name; g++)
                add_list(b, g->name);
        strbuf_add(b, "    *)\n"
                      "        words=(\"${(@)words[at,-1]}\")\n"
                      "        ((CURRENT -= at - 1)) ;;\n"
                      "    esac\n"
                      "\n"
                      "    case $verb in\n");
        for (size_t i = 0; verbs[i]; i++)
                add_verb(b, verbs[i]);
        strbuf_add(b, "    esac\n"
                      "    if [[ ${words[CURRENT]} == -* ]]; then\n"
                      "        items=('--help:Say how it is used')\n"
                      "        [[ -n $verb ]] || items+=('--color:auto, always or never' "
                      "'--no-pager:Do not page long text' '--version:Say which version this is')\n"
                      "        _describe -o option items\n"
                      "        return\n"
                      "    fi\n"
                      "    _describe -t verbs verb items\n"
                      "}\n"
                      "\n"
                      "if [[ ${funcstack[1]} == _mosaic ]]; then\n"
                      "    _mosaic \"$@\"\n"
                      "else\n"
                      "    compdef _mosaic mosaic\n"
                      "fi\n");
}
