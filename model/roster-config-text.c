/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "model/base/strv.h"
#include "model/roster-config.h"
#include "model/yaml-write.h"

typedef struct Printer {
        const RosterConfig *config;
        const ConfigInput *input;
        bool origin;
        size_t next; /* origin of the next value */
        StrBuf *out;
} Printer;

static void write_origin(Printer *p) {
        const Origin *o;

        assert(p->next < p->config->n_origins);
        o = &p->config->origins[p->next++];
        if (!p->origin)
                return;
        switch (o->kind) {
        case ORIGIN_ROSTER:
                strbuf_addf(p->out, "  # line %u", o->line);
                break;
        case ORIGIN_RUNTIME:
                strbuf_addf(p->out, "  # line %u of %s", o->line, o->file);
                break;
        case ORIGIN_DEFAULT:
                strbuf_add(p->out, "  # default of mosaic");
                break;
        case ORIGIN_MACHINE:
                strbuf_add(p->out, "  # chosen for this machine by init");
                break;
        case _ORIGIN_MAX:
                break;
        }
}

static void write_members(Printer *p, const Json *mapping, unsigned level);

static void write_member(Printer *p, const char *key, const Json *value, unsigned level) {
        strbuf_fill(p->out, ' ', 2 * (size_t)level);
        yaml_write_string(key, p->out);
        if (json_type_of(value) == JSON_OBJECT && json_length(value) > 0) {
                strbuf_add(p->out, ":\n");
                write_members(p, value, level + 1);
                return;
        }
        strbuf_add(p->out, ": ");
        if (json_type_of(value) == JSON_OBJECT)
                strbuf_add(p->out, "{}");
        else {
                yaml_write_flow(value, p->out);
                write_origin(p);
        }
        strbuf_add_char(p->out, '\n');
}

static void write_members(Printer *p, const Json *mapping, unsigned level) {
        for (JsonIter it = json_iter(mapping); json_next(&it);)
                write_member(p, it.key, it.value, level);
}

static void write_words(char *const *words, StrBuf *b) {
        const char *separator = "[";

        for (; words && *words; words++) {
                strbuf_add(b, separator);
                yaml_write_string(*words, b);
                separator = ", ";
        }
        strbuf_add_char(b, ']');
}

static void write_agents(Printer *p, const Json *agents) {
        if (json_length(agents) == 0) {
                strbuf_add(p->out, "agents: {}\n");
                return;
        }
        strbuf_add(p->out, "agents:\n");
        for (JsonIter it = json_iter(agents); json_next(&it);) {
                const AgentSpec *s = desired_find(p->input->desired, it.key);

                strbuf_add(p->out, "\n  ");
                yaml_write_string(it.key, p->out);
                strbuf_add(p->out, ":\n    # argv: ");
                write_words(s->argv, p->out);
                strbuf_add_char(p->out, '\n');
                if (s->elsewhere)
                        strbuf_add(p->out, "    # not made on this machine: see host\n");
                write_members(p, it.value, 2);
        }
}

void roster_config_write(const RosterConfig *c, const ConfigInput *input, bool origin, StrBuf *b) {
        Printer p = { .config = c, .input = input, .origin = origin, .out = b };

        for (JsonIter it = json_iter(c->document); json_next(&it);) {
                if (json_type_of(it.value) == JSON_OBJECT)
                        strbuf_add_char(b, '\n');
                if (strcmp(it.key, "agents") == 0)
                        write_agents(&p, it.value);
                else
                        write_member(&p, it.key, it.value, 0);
        }
}

static void put_agents(const RosterConfig *c, const Desired *d, JsonBuilder *b) {
        json_open_array(b, "agents");
        for (JsonIter it = json_iter(json_get(c->document, "agents")); json_next(&it);) {
                const AgentSpec *s = desired_find(d, it.key);

                json_open_object(b, NULL);
                json_put_string(b, "name", s->name);
                json_put_uint(b, "line", s->line);
                json_put_strv(b, "argv", s->argv);
                json_put_bool(b, "elsewhere", s->elsewhere);
                json_close(b);
        }
        json_close(b);
}

void roster_config_put_json(
                const RosterConfig *c, const ConfigInput *input, bool origin, JsonBuilder *b) {
        json_put_json(b, "roster", json_share(c->document));
        put_agents(c, input->desired, b);
        if (!origin)
                return;
        json_open_array(b, "origins");
        for (size_t i = 0; i < c->n_origins; i++) {
                const Origin *o = &c->origins[i];

                json_open_object(b, NULL);
                json_put_string(b, "path", o->pointer);
                json_put_string(b, "from", origin_kind_to_string(o->kind));
                json_put_string(b, "file", o->file);
                json_put_uint_or_null(b, "line", o->line);
                json_close(b);
        }
        json_close(b);
}
