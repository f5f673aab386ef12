/* SPDX-License-Identifier: MIT */
#include "model/base/yaml.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <libfyaml.h>

#include "model/base/pointer.h"
#include "model/base/utf8.h"
#include "model/base/yaml-bytes.h"

#define FINDINGS_MAX 50
#define BLOCK_SIZE (16u << 10)

/* --- memory ----------------------------------------------------------------------------------- */

typedef struct Block {
        struct Block *next;
        size_t used;
        size_t size;
        _Alignas(YamlNode) char bytes[];
} Block;

/* Memory that goes with the document; not zeroed. */
static void *arena_take(YamlDoc *d, size_t n) {
        Block *b = d->blocks;
        void *p;

        n = (n + _Alignof(YamlNode) - 1) / _Alignof(YamlNode) * _Alignof(YamlNode);
        if (!b || b->size - b->used < n) {
                size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;

                b = malloc(sizeof(Block) + size);
                if (!b)
                        return NULL;
                b->used = 0;
                b->size = size;
                b->next = d->blocks;
                d->blocks = b;
        }
        p = b->bytes + b->used;
        b->used += n;
        return p;
}

YamlDoc *yaml_doc_free(YamlDoc *d) {
        Block *next;

        if (!d)
                return NULL;
        for (Block *b = d->blocks; b; b = next) {
                next = b->next;
                free(b);
        }
        free(d);
        return NULL;
}

/* --- loading ---------------------------------------------------------------------------------- */

typedef struct Loader {
        struct fy_parser *parser;
        struct fy_diag *fy_diag;
        StrBuf output; /* what the library says in no other way */

        const char *bytes;
        size_t size;
        Diags *diags;
        size_t n_findings;
        YamlDoc *doc;
        size_t n_nodes;

        /* Open collections, the innermost last; a mapping waits for a key while keys[i] is NULL. */
        YamlNode *stack[YAML_DEPTH_MAX];
        YamlNode *keys[YAML_DEPTH_MAX];
        bool key_dropped[YAML_DEPTH_MAX]; /* the member whose value comes next is left out */
        bool flow[YAML_DEPTH_MAX];
        unsigned depth;

        size_t last_end; /* where the last thing with a place ended */
        bool stop;       /* nothing more can be read */
        bool starved;    /* the library had no memory for something */
        bool ended;      /* the library has seen the end of the stream */
} Loader;

/* libfyaml before 0.8 uses freed memory when a parser is destroyed after certain errors (its issue
 * 57). Such parsers, some 4 KB each, are kept instead: one for every faulty text that was ever
 * loaded. */
static struct fy_parser **graveyard;
static size_t n_graveyard;

static bool library_can_destroy(void) {
        const char *version = fy_library_version(); /* "0.7.12" */

        return !(version[0] == '0' && version[1] == '.' && version[2] >= '0' && version[2] <= '7' &&
                        version[3] == '.');
}

static void bury(struct fy_parser *parser) {
        struct fy_parser **bigger = reallocarray(graveyard, n_graveyard + 1, sizeof(*graveyard));

        if (!bigger)
                return; /* not remembered, which only a leak checker would notice */
        graveyard = bigger;
        graveyard[n_graveyard++] = parser;
}

static void loader_done(Loader *l) {
        if (l->parser) {
                if (l->ended || library_can_destroy()) {
                        fy_parser_destroy(l->parser);
                        fy_diag_destroy(l->fy_diag);
                } else
                        bury(l->parser); /* it refers to the diag */
        } else if (l->fy_diag)
                fy_diag_destroy(l->fy_diag);
        strbuf_done(&l->output);
        yaml_doc_free(l->doc);
}

static void collect_output(struct fy_diag *diag, void *user, const char *text, size_t n) {
        Loader *l = user;

        (void)diag;
        if (l->output.length < 500)
                strbuf_add_bytes(&l->output, text, n);
}

/* Counts the finding, and ends the reading after too many. */
#define report(l, code, span, help, ...)                                                           \
        ({                                                                                         \
                if (++(l)->n_findings >= FINDINGS_MAX)                                             \
                        (l)->stop = true;                                                          \
                diags_add((l)->diags, SEVERITY_ERROR, code, span, NULL, help, __VA_ARGS__);        \
        })

static YamlNode *node_new(Loader *l, YamlKind kind, Span span) {
        YamlNode *n;

        if (++l->n_nodes > YAML_NODES_MAX) {
                (void)report(l, "too-large", span, NULL, "the file has more than %d values",
                                YAML_NODES_MAX);
                l->stop = true;
                return NULL;
        }
        n = arena_take(l->doc, sizeof(*n));
        if (n)
                *n = (YamlNode){ .kind = kind, .span = span };
        return n;
}

static Span token_span(const Loader *l, struct fy_token *token) {
        const struct fy_mark *start, *end;
        enum fy_scalar_style style;
        Span s;

        start = token ? fy_token_start_mark(token) : NULL;
        end = token ? fy_token_end_mark(token) : NULL;
        if (!start || !end)
                return (Span){ l->last_end, l->last_end };
        s = (Span){ start->input_pos, end->input_pos };
        if (s.end > l->size)
                s.end = l->size;
        if (s.start > s.end)
                s.start = s.end;
        style = fy_token_scalar_style(token);
        if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
                /* the library's marks lie inside the quotes */
                if (s.start > 0)
                        s.start--;
                if (s.end < l->size)
                        s.end++;
        }
        if (style == FYSS_LITERAL || style == FYSS_FOLDED)
                while (s.end > s.start && strchr("\r\n", l->bytes[s.end - 1]))
                        s.end--;
        return s;
}

/* An empty value has no token: it stands just behind the colon of its key. */
static Span empty_span(const Loader *l) {
        size_t p = l->last_end;

        if (l->depth > 0 && l->keys[l->depth - 1]) {
                p = l->keys[l->depth - 1]->span.end;
                while (p < l->size && (l->bytes[p] == ' ' || l->bytes[p] == '\t'))
                        p++;
                if (p < l->size && l->bytes[p] == ':')
                        p++;
                else
                        p = l->keys[l->depth - 1]->span.end;
        }
        return (Span){ p, p };
}

static void refuse_properties(Loader *l, struct fy_token *anchor, struct fy_token *tag) {
        Span s;

        if (anchor) {
                s = token_span(l, anchor);
                if (s.start > 0)
                        s.start--; /* the mark is behind the & */
                (void)report(l, "anchor", s,
                                "delete the &name; what several agents share goes into defaults:",
                                "anchors are not used here");
        }
        if (tag)
                (void)report(l, "tag", token_span(l, tag),
                                "delete it; quote the value to make it text",
                                "tags are not used here");
}

/* Without memory the library complains as of a wrong text, or gives an empty one and says nothing;
 * errno alone tells. It is 0 before each call that may allocate. */
static void note_memory(Loader *l) {
        l->starved = l->starved || errno == ENOMEM;
}

/* The library's text of a scalar as a string of ours; sets node->broken and reports what cannot be
 * one. */
static int take_text(Loader *l, YamlNode *node, struct fy_token *token) {
        enum fy_scalar_style style = fy_token_scalar_style(token);
        const char *text;
        size_t n = 0;
        char *copy;

        errno = 0;
        text = token ? fy_token_get_text(token, &n) : "";
        note_memory(l);
        if (!text)
                return -ENOMEM;
        /* `a: |` at the end of the file: libfyaml before 1.0 gives one NUL */
        if ((style == FYSS_LITERAL || style == FYSS_FOLDED) && n > 0 && text[n - 1] == '\0')
                n--;
        if (memchr(text, '\0', n)) {
                (void)report(l, "nul-in-string", node->span, "delete the \\0",
                                "a string must not hold a NUL character");
                node->broken = true;
                n = 0;
        } else if (!utf8_is_valid(text, n)) {
                (void)report(l, "bad-encoding", node->span, "write the characters themselves",
                                "an escape in this string is no character");
                node->broken = true;
                n = 0;
        }
        copy = arena_take(l->doc, n + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, n);
        copy[n] = '\0';
        node->text = copy;
        return 0;
}

static int scalar_new(Loader *l, struct fy_event *event, YamlNode **ret) {
        struct fy_token *token = event->scalar.value;
        Span span = token ? token_span(l, token) : empty_span(l);
        YamlNode *node;
        YamlScalar s;
        int r;

        refuse_properties(l, event->scalar.anchor, event->scalar.tag);
        node = node_new(l, YAML_STRING, span);
        if (!node)
                return l->stop ? 0 : -ENOMEM;
        r = take_text(l, node, token);
        if (r < 0)
                return r;
        if (span.end > l->last_end)
                l->last_end = span.end;
        node->plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
        if (node->plain && !node->broken) {
                if (span.start == span.end)
                        node->span = empty_span(l); /* 0.8 and newer do give an empty token */
                s = yaml_scalar(node->text);
                node->kind = s.kind;
                node->boolean = s.boolean;
                node->negative = s.negative;
                if (s.kind == YAML_DOUBLE)
                        node->number = s.number;
                else
                        node->integer = s.integer;
                if (s.refused) {
                        (void)report(l, "bad-number", span, "quote it if it is text", "%s",
                                        s.refused);
                        node->broken = true;
                }
        }
        *ret = node;
        return 0;
}

/* Puts a complete or just opened node where it belongs. */
static void add_node(Loader *l, YamlNode *node) {
        YamlNode *parent;
        bool dropped;

        if (l->depth == 0) {
                l->doc->root = node;
                return;
        }
        parent = l->stack[l->depth - 1];
        node->parent = parent;
        dropped = false;
        if (parent->kind == YAML_MAPPING) {
                node->key = TAKE_PTR(l->keys[l->depth - 1]);
                dropped = l->key_dropped[l->depth - 1];
                l->key_dropped[l->depth - 1] = false;
        }
        if (dropped)
                return;
        if (parent->last)
                parent->last->next = node;
        else
                parent->first = node;
        parent->last = node;
        node->index = parent->n_children++;
}

static bool expects_key(const Loader *l) {
        return l->depth > 0 && l->stack[l->depth - 1]->kind == YAML_MAPPING &&
               !l->keys[l->depth - 1];
}

static void take_key(Loader *l, YamlNode *key) {
        unsigned top = l->depth - 1;

        l->keys[top] = key;
        /* [a: b]: the library places the mapping without braces at its colon */
        if (key->span.start < l->stack[top]->span.start)
                l->stack[top]->span.start = key->span.start;
        if (key->broken)
                l->key_dropped[top] = true;
        else if (key->plain && strcmp(key->text, "<<") == 0) {
                (void)report(l, "merge-key", key->span,
                                "write what several agents share under defaults:",
                                "merge keys are not used here");
                l->key_dropped[top] = true;
        } else if (key->plain && key->kind == YAML_NULL) {
                (void)report(l, "bad-key", key->span, "quote it if it is a name",
                                "a key must not be empty or null");
                l->key_dropped[top] = true;
        }
}

static int open_collection(Loader *l, struct fy_event *event, bool mapping) {
        struct fy_token *token, *anchor, *tag;
        YamlNode *node;
        Span span;

        token = mapping ? event->mapping_start.mapping_start : event->sequence_start.sequence_start;
        anchor = mapping ? event->mapping_start.anchor : event->sequence_start.anchor;
        tag = mapping ? event->mapping_start.tag : event->sequence_start.tag;
        span = token_span(l, token);
        refuse_properties(l, anchor, tag);
        if (expects_key(l)) {
                (void)report(l, "bad-key", span, NULL, "a key must be a word, this one is a %s",
                                mapping ? "mapping" : "list");
                l->stop = true;
                return 0;
        }
        if (l->depth == YAML_DEPTH_MAX) {
                (void)report(l, "too-deep", span, NULL, "nested more than %d levels deep",
                                YAML_DEPTH_MAX);
                l->stop = true;
                return 0;
        }
        node = node_new(l, mapping ? YAML_MAPPING : YAML_SEQUENCE, span);
        if (!node)
                return l->stop ? 0 : -ENOMEM;
        add_node(l, node);
        l->stack[l->depth] = node;
        l->keys[l->depth] = NULL;
        l->key_dropped[l->depth] = false;
        l->flow[l->depth] = span.start < l->size && strchr("[{", l->bytes[span.start]);
        l->depth++;
        if (span.end > l->last_end)
                l->last_end = span.end;
        return 0;
}

static int compare_members(const void *a, const void *b) {
        const YamlNode *const *x = a, *const *y = b;
        int r = strcmp((*x)->key->text, (*y)->key->text);

        if (r != 0)
                return r;
        return (*x)->key->span.start < (*y)->key->span.start ? -1 : 1;
}

/* For the few keys that most mappings have looking at all pairs is quicker than sorting. */
#define FEW_KEYS 24

static bool all_differ(const YamlNode *mapping) {
        if (mapping->n_children > FEW_KEYS)
                return false; /* not known */
        for (const YamlNode *a = mapping->first; a; a = a->next)
                for (const YamlNode *b = a->next; b; b = b->next)
                        if (a->key->text[0] == b->key->text[0] &&
                                        strcmp(a->key->text, b->key->text) == 0)
                                return false;
        return true;
}

/* Reports keys that occur twice and takes all but the first out of the tree. */
static int check_duplicates(Loader *l, YamlNode *mapping) {
        _cleanup_free_ YamlNode **members = NULL;
        size_t n = 0, first = 0;
        bool found = false;
        YamlNode **link;

        if (all_differ(mapping))
                return 0;
        members = calloc(mapping->n_children, sizeof(*members));
        if (!members)
                return -ENOMEM;
        for (YamlNode *m = mapping->first; m; m = m->next)
                members[n++] = m;
        qsort(members, n, sizeof(*members), compare_members);
        for (size_t i = 1; i < n; i++) {
                Diag *d;

                if (strcmp(members[first]->key->text, members[i]->key->text) != 0) {
                        first = i;
                        continue;
                }
                d = report(l, "duplicate-key", members[i]->key->span,
                                "delete one of the two, or give it another name",
                                "\"%s\" is defined twice", members[i]->key->text);
                if (d) {
                        d->related = members[first]->key->span;
                        d->related_text = "first defined here";
                }
                members[i]->kind = YAML_NULL;
                members[i]->key->broken = true; /* marks it for removal below */
                found = true;
        }
        if (!found)
                return 0;
        mapping->last = NULL;
        for (link = &mapping->first; *link;) {
                if ((*link)->key->broken) {
                        *link = (*link)->next;
                        mapping->n_children--;
                        continue;
                }
                mapping->last = *link;
                link = &(*link)->next;
        }
        return 0;
}

static int close_collection(Loader *l, struct fy_token *token) {
        YamlNode *node;
        bool flow;
        int r;

        assert(l->depth > 0);
        l->depth--;
        node = l->stack[l->depth];
        flow = l->flow[l->depth];
        if (flow) {
                Span s = token_span(l, token);

                if (s.end > node->span.end)
                        node->span.end = s.end;
                if (s.end > l->last_end)
                        l->last_end = s.end;
        } else if (node->last && node->last->span.end > node->span.end)
                /* a block's end mark is at the next token, which may be lines away */
                node->span.end = node->last->span.end;
        if (node->kind == YAML_MAPPING) {
                r = check_duplicates(l, node);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_scalar(Loader *l, struct fy_event *event) {
        YamlNode *node = NULL;
        bool key = expects_key(l);
        int r;

        r = scalar_new(l, event, &node);
        if (r < 0 || !node)
                return r;
        if (key)
                take_key(l, node);
        else
                add_node(l, node);
        return 0;
}

static int take_alias(Loader *l, struct fy_event *event) {
        Span span = token_span(l, event->alias.anchor);
        YamlNode *node;

        if (span.start > 0)
                span.start--; /* the mark is behind the * */
        (void)report(l, "alias", span,
                        "write the value again, or put it under defaults: if all agents share it; "
                        "quote it if it is text",
                        "aliases are not used here");
        node = node_new(l, YAML_NULL, span);
        if (!node)
                return l->stop ? 0 : -ENOMEM;
        node->text = "";
        node->broken = true;
        if (expects_key(l))
                take_key(l, node);
        else
                add_node(l, node);
        return 0;
}

static int take_event(Loader *l, struct fy_event *event) {
        switch (event->type) {
        case FYET_SCALAR:
                return take_scalar(l, event);
        case FYET_MAPPING_START:
                return open_collection(l, event, /* mapping= */ true);
        case FYET_SEQUENCE_START:
                return open_collection(l, event, /* mapping= */ false);
        case FYET_MAPPING_END:
                return close_collection(l, event->mapping_end.mapping_end);
        case FYET_SEQUENCE_END:
                return close_collection(l, event->sequence_end.sequence_end);
        case FYET_ALIAS:
                return take_alias(l, event);
        case FYET_DOCUMENT_START:
                if (l->doc->root) {
                        (void)report(l, "second-document",
                                        token_span(l, event->document_start.document_start),
                                        "delete the --- line, or keep one roster per file",
                                        "a second document begins here");
                        l->stop = true;
                }
                return 0;
        case FYET_STREAM_END:
                l->ended = true;
                return 0;
        case FYET_NONE:
        case FYET_STREAM_START:
        case FYET_DOCUMENT_END:
                return 0;
        }
        return 0;
}

/* --- what the library complains about --------------------------------------------------------- */

/* Line and column (1-based, in characters) to a byte offset. */
static size_t find_offset(const Loader *l, int line, int column) {
        size_t p = 0;

        for (; line > 1; line--) {
                const char *feed = memchr(l->bytes + p, '\n', l->size - p);

                if (!feed)
                        return l->size;
                p = (size_t)(feed - l->bytes) + 1;
        }
        for (; column > 1 && p < l->size && l->bytes[p] != '\n'; column--) {
                uint32_t c;
                size_t n = utf8_decode(l->bytes + p, l->size - p, &c);

                p += n ? n : 1;
        }
        return p;
}

typedef struct Wording {
        const char *theirs; /* part of the library's message */
        const char *ours;
        const char *help;
        bool bracket; /* name the bracket that is still open */
} Wording;

/* The messages of libfyaml 0.7 to 1.0 that a roster provokes; the first match counts, and what is
 * not listed is shown as it is. */
static const Wording wordings[] = {
        { "double-quoted scalar without closing quote", "the closing \" of this string is missing",
                        NULL, false },
        { "single-quoted scalar without closing quote", "the closing ' of this string is missing",
                        "inside '...' a ' is written ''", false },
        { "trailing content after single-quoted", "there is text behind the closing '",
                        "inside '...' a ' is written ''", false },
        { "trailing content after", "there is text behind the closing quote", NULL, false },
        { "wrongly indented double-quoted", "this string does not end on its line",
                        "is the closing \" missing?", false },
        { "wrongly indented single-quoted", "this string does not end on its line",
                        "is the closing ' missing?", false },
        { "missing comma in flow mapping", "a comma or } is missing here", NULL, true },
        { "missing comma in flow sequence", "a comma or ] is missing here", NULL, true },
        { "without a closing bracket", "a closing ] is missing", NULL, true },
        { "without a closing brace", "a closing } is missing", NULL, true },
        { "invalid extra closing", "this bracket closes nothing", NULL, false },
        { "multiline plain key", "a colon is missing behind this key",
                        "a key and its value are written NAME: VALUE", false },
        { "could not find expected ':'", "a colon is missing behind this key",
                        "a key and its value are written NAME: VALUE", false },
        { "nested block mapping on the same line", "there are two colons on one line",
                        "put text that holds \": \" into quotes", false },
        { "invalid indentation in mapping", "this line's indentation fits no line above",
                        "use two blanks for each level", false },
        { "did not find expected key", "this line's indentation fits no line above",
                        "use two blanks for each level", false },
        { "did not find expected '-'", "a - is missing, or this line is indented wrongly",
                        "each item of a list begins with \"- \"", false },
        { "mapping in plain multiline", "this line belongs to the text above, which has no colon",
                        "check the indentation, and whether a colon is missing", false },
        { "invalid escape", "there is no such escape in a double-quoted string",
                        "write \\\\ for a backslash, or use single quotes", false },
        { "invalid hex escape", "there is no such escape in a double-quoted string",
                        "write \\\\ for a backslash, or use single quotes", false },
        { "tab", "a tab is not allowed here", "indent with blanks", false },
};

static const Wording *find_wording(const Loader *l, const char *message, size_t offset) {
        if (offset < l->size && l->bytes[offset] == '\t')
                return &wordings[ELEMENTSOF(wordings) - 1];
        for (size_t i = 0; i < ELEMENTSOF(wordings); i++)
                if (strstr(message, wordings[i].theirs))
                        return &wordings[i];
        return NULL;
}

static void report_syntax(Loader *l, const char *message, size_t offset) {
        const Wording *w = find_wording(l, message, offset);
        size_t end = offset;
        Diag *d;

        if (end < l->size && l->bytes[end] != '\n')
                do
                        end++;
                while (end < l->size && ((unsigned char)l->bytes[end] & 0xc0) == 0x80);
        d = report(l, "syntax", ((Span){ offset, end }), w ? w->help : NULL, "%s",
                        w ? w->ours : message);
        if (!d || !w || !w->bracket)
                return;
        for (unsigned i = l->depth; i > 0; i--)
                if (l->flow[i - 1]) {
                        size_t start = l->stack[i - 1]->span.start;

                        d->related = (Span){ start, start + 1 };
                        d->related_text = "opened here";
                        return;
                }
}

/* Any complaint counts, warnings too: the library then leaves out part of the text. */
static void report_library(Loader *l) {
        struct fy_diag_error *e;
        bool found = false;
        void *iter = NULL;

        while ((e = fy_diag_errors_iterate(l->fy_diag, &iter))) {
                found = true;
                if (!l->stop)
                        report_syntax(l, e->msg ? e->msg : "this is not YAML",
                                        find_offset(l, e->line, e->column));
                l->stop = true;
        }
        if (!found && l->output.length > 0 && !l->stop) {
                report_syntax(l, strbuf_text(&l->output), l->last_end);
                l->stop = true;
        }
}

static int loader_start(Loader *l) {
        struct fy_diag_cfg diag_cfg;
        struct fy_parse_cfg cfg = { .flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE };

        fy_diag_cfg_default(&diag_cfg);
        diag_cfg.fp = NULL;
        diag_cfg.output_fn = collect_output;
        diag_cfg.user = l;
        diag_cfg.colorize = false;
        l->fy_diag = fy_diag_create(&diag_cfg);
        if (!l->fy_diag)
                return -ENOMEM;
        fy_diag_set_collect_errors(l->fy_diag, true);
        cfg.diag = l->fy_diag;
        l->parser = fy_parser_create(&cfg);
        if (!l->parser || fy_parser_set_string(l->parser, l->bytes, l->size) < 0)
                return -ENOMEM;
        return 0;
}

static int read_events(Loader *l) {
        while (!l->stop && !l->ended) {
                struct fy_event *event;
                int r;

                errno = 0;
                event = fy_parser_parse(l->parser);
                note_memory(l);
                if (!event) {
                        report_library(l);
                        if (!l->stop)
                                report_syntax(l, "this is not YAML", l->last_end);
                        l->stop = true;
                        return 0;
                }
                r = take_event(l, event);
                fy_parser_event_free(l->parser, event);
                if (r < 0)
                        return r;
        }
        if (l->ended) {
                report_library(l);
                if (l->stop)
                        l->ended = false; /* not clean: see graveyard */
        }
        return 0;
}

#define YAML_STARVED 2

/* 0, YAML_INVALID, a negative errno, or YAML_STARVED: well formed, if nothing was left out. */
static int load_once(const char *bytes, size_t size, Diags *diags, YamlDoc **ret) {
        _cleanup_(loader_done) Loader l = { .bytes = bytes, .size = size, .diags = diags };
        int r;

        l.doc = calloc(1, sizeof(*l.doc));
        if (!l.doc)
                return -ENOMEM;
        r = loader_start(&l);
        if (r == 0)
                r = read_events(&l);
        if (r < 0)
                return r;
        if (l.starved)
                return l.n_findings > 0 ? -ENOMEM : YAML_STARVED;
        if (l.stop)
                return YAML_INVALID;
        if (!l.doc->root) {
                (void)diags_add(diags, SEVERITY_ERROR, "empty", SPAN_NONE, NULL,
                                "mosaic fleet init --profile minimal writes a first one",
                                "the file holds nothing but comments");
                return YAML_INVALID;
        }
        *ret = TAKE_PTR(l.doc);
        return 0;
}

int yaml_load(const char *bytes, size_t size, Diags *diags, YamlDoc **ret) {
        _cleanup_free_ char *copy = NULL;
        int r;

        if (!yaml_bytes_check(bytes, size, diags))
                return YAML_INVALID;

        /* The text must end with a newline (a backslash at the end of the file reads past it
         * else). */
        copy = malloc(size + 2);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, bytes, size);
        if (size == 0 || copy[size - 1] != '\n')
                copy[size++] = '\n';
        copy[size] = '\0';

        /* The allocation may have succeeded in another way: a second time, with the memory of the
         * first. */
        r = load_once(copy, size, diags, ret);
        if (r == YAML_STARVED)
                r = load_once(copy, size, diags, ret);
        return r == YAML_STARVED ? -ENOMEM : r;
}

/* --- walking ---------------------------------------------------------------------------------- */

const YamlNode *yaml_get(const YamlNode *n, const char *key) {
        if (!n || n->kind != YAML_MAPPING)
                return NULL;
        for (const YamlNode *m = n->first; m; m = m->next)
                if (strcmp(m->key->text, key) == 0)
                        return m;
        return NULL;
}

const YamlNode *yaml_at(const YamlNode *n, size_t i) {
        if (!n || n->kind != YAML_SEQUENCE)
                return NULL;
        for (const YamlNode *e = n->first; e; e = e->next)
                if (i-- == 0)
                        return e;
        return NULL;
}

/* Compares a key with one part of a pointer, in which ~1 is a slash and ~0 a tilde. */
static bool part_equal(const char *key, const char *part, size_t n) {
        for (size_t i = 0; i < n; i++, key++) {
                char c = part[i];

                if (c == '~' && i + 1 < n)
                        c = part[++i] == '1' ? '/' : '~';
                if (*key != c)
                        return false;
        }
        return *key == '\0';
}

static const YamlNode *step(const YamlNode *n, const char *part, size_t length) {
        size_t index = 0;

        if (n->kind == YAML_MAPPING) {
                for (const YamlNode *m = n->first; m; m = m->next)
                        if (part_equal(m->key->text, part, length))
                                return m;
                return NULL;
        }
        if (n->kind != YAML_SEQUENCE || length == 0 || length > 9)
                return NULL;
        for (size_t i = 0; i < length; i++) {
                if (part[i] < '0' || part[i] > '9')
                        return NULL;
                index = index * 10 + (size_t)(part[i] - '0');
        }
        return yaml_at(n, index);
}

/* Walks as far as there are nodes; *complete says whether that was to the end. */
static const YamlNode *walk(const YamlNode *root, const char *pointer, bool *complete) {
        const YamlNode *n = root;

        while (*pointer == '/') {
                size_t length = strcspn(pointer + 1, "/");
                const YamlNode *child = step(n, pointer + 1, length);

                if (!child)
                        break;
                n = child;
                pointer += 1 + length;
        }
        *complete = *pointer == '\0';
        return n;
}

const YamlNode *yaml_find(const YamlNode *root, const char *pointer) {
        bool complete;
        const YamlNode *n = walk(root, pointer, &complete);

        return complete ? n : NULL;
}

const YamlNode *yaml_find_nearest(const YamlNode *root, const char *pointer) {
        bool complete;

        return walk(root, pointer, &complete);
}

void yaml_write_pointer(const YamlNode *root, const YamlNode *node, StrBuf *b) {
        if (node == root || !node->parent)
                return;
        yaml_write_pointer(root, node->parent, b);
        if (node->key)
                pointer_add(b, node->key->text);
        else
                strbuf_addf(b, "/%" PRIu32, node->index);
}

const char *yaml_library_version(void) {
        return fy_library_version();
}
