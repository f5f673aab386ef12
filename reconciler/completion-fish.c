/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "reconciler/completion-internal.h"
#include "reconciler/options.h"

static void add_description(StrBuf *b, const char *text, size_t length) {
        strbuf_add(b, " -d '");
        completion_add_text(b, text, length, "\\'", "\\");
        strbuf_add(b, "'\n");
}

/* "complete -c mosaic -n '__mosaic_at fleet plan'" */
static void begin(StrBuf *b, const char *group, const char *verb) {
        strbuf_addf(b, "complete -c mosaic -n '__mosaic_at%s%s%s%s'", group ? " " : "",
                        group ? group : "", verb ? " " : "", verb ? verb : "");
}

/* What the option or the verb takes: " -f -a '...'" with @exclusive " -x -a '...'". */
static void add_values(StrBuf *b, const char *values, bool of_option) {
        if (!values) {
                strbuf_add(b, " -x");
                return;
        }
        if (strcmp(values, "@file") == 0) {
                strbuf_add(b, of_option ? " -r -F" : " -F");
                return;
        }
        strbuf_add(b, of_option ? " -x -a '" : " -f -a '");
        if (strcmp(values, "@agent") == 0)
                strbuf_add(b, "(__mosaic_agents)");
        else if (strcmp(values, "@profile") == 0)
                completion_add_profiles(b);
        else
                strbuf_add(b, values);
        strbuf_add_char(b, '\'');
}

static void add_verb(StrBuf *b, const Verb *v) {
        const char *at = v->help;
        VerbOption o;

        begin(b, v->group, NULL);
        strbuf_addf(b, " -a %s", v->name);
        add_description(b, v->summary, strlen(v->summary));

        begin(b, v->group, v->name);
        strbuf_add(b, " -s h -l help -d 'Say how the verb is used'\n");
        while (verb_next_option(&at, &o)) {
                begin(b, v->group, v->name);
                if (o.letter)
                        strbuf_addf(b, " -s %c", o.letter);
                strbuf_addf(b, " -l %.*s", (int)o.name_length, o.name);
                if (o.has_value)
                        add_values(b, option_values(o.name, o.name_length), true);
                add_description(b, o.text, o.text_length);
        }
        if (v->words) {
                begin(b, v->group, v->name);
                add_values(b, v->words, false);
                strbuf_add_char(b, '\n');
        }
}

void completion_write_fish(StrBuf *b) {
        strbuf_add(b, "# SPDX-License-Identifier: MIT\n"
                      "# fish completion for mosaic, made by 'mosaic completion fish'.\n"
                      "\n"
                      "# The verb that was typed so far is exactly this.\n"
                      "function __mosaic_at\n"
                      "    set -l words (commandline -opc)\n"
                      "    set -l verb\n"
                      "    set -e words[1]\n"
                      "    set -l skip no\n"
                      "    for word in $words\n"
                      "        if test $skip = yes\n"
                      "            set skip no\n"
                      "            continue\n"
                      "        end\n"
                      "        switch $word\n"
                      "            case --color\n"
                      "                set skip yes\n"
                      "            case '-*'\n"
                      "            case '*'\n"
                      "                set -a verb $word\n"
                      "                contains -- \"$verb\"");
        for (const VerbGroup *g = verb_groups; g->name; g++)
                strbuf_addf(b, " %s", g->name);
        strbuf_add(b, "; or break\n"
                      "        end\n"
                      "    end\n"
                      "    test \"$verb\" = \"$argv\"\n"
                      "end\n"
                      "\n"
                      "function __mosaic_agents\n"
                      "    set -l words (commandline -opc)\n"
                      "    $words[1] completion --agents 2>/dev/null\n"
                      "end\n"
                      "\n"
                      "complete -c mosaic -f\n"
                      "complete -c mosaic -n __mosaic_at -s h -l help -d 'Say how it is used'\n"
                      "complete -c mosaic -n __mosaic_at -l version -d 'Say which version this "
                      "is'\n"
                      "complete -c mosaic -n __mosaic_at -l color -x -a 'auto always never'\n"
                      "complete -c mosaic -n __mosaic_at -l no-pager -d 'Do not page long text'\n");
        for (const VerbGroup *g = verb_groups; g->name; g++) {
                begin(b, NULL, NULL);
                strbuf_addf(b, " -a %s", g->name);
                add_description(b, g->summary, strlen(g->summary));
        }
        for (size_t i = 0; verbs[i]; i++)
                add_verb(b, verbs[i]);
}
