/* SPDX-License-Identifier: MIT */
#include "drivers/store/history.h"

#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/store/lines.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/strbuf.h"
#include "model/json.h"

#define HISTORY_MAX (1024 * 1024)

static void entry_done(HistoryEntry *e) {
        free(e->verb);
        free(e->action);
        free(e->reason);
        free(e->outcome);
        free(e->text);
}

void history_done(History *h) {
        for (size_t i = 0; i < h->n_items; i++)
                entry_done(h->items + i);
        free(h->items);
        *h = (History){ 0 };
}

static int
put_entry(const char *verb, const Action *a, const ActionResult *result, uint64_t now, StrBuf *to) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *j = NULL;
        int r;

        json_open_object(&b, NULL);
        json_put_uint(&b, "at_usec", now);
        json_put_string(&b, "verb", verb);
        json_put_string(&b, "agent", a->agent);
        json_put_string(&b, "action", action_kind_to_string(a->kind));
        json_put_string(&b, "reason", reason_to_string(a->reason));
        json_put_string(&b, "outcome", outcome_to_string(result->outcome));
        json_put_string(&b, "text", result->text);
        json_put_uint(&b, "took_usec", result->took_usec);
        json_close(&b);
        r = json_finish(&b, &j);
        if (r < 0)
                return r;
        json_write(j, JSON_PLAIN, to);
        strbuf_add_char(to, '\n');
        return 0;
}

int history_append(const Paths *p, const char *verb, const Plan *plan, const Report *report) {
        _cleanup_strbuf_ StrBuf lines = STRBUF_NULL;
        _cleanup_free_ char *path = NULL, *text = NULL;
        uint64_t now = clock_realtime_usec();
        int r;

        for (size_t i = 0; i < plan->n_actions; i++) {
                if (report->results[i].outcome == OUTCOME_NOT_STARTED)
                        continue;
                r = put_entry(verb, plan->actions + i, report->results + i, now, &lines);
                if (r < 0)
                        return r;
        }
        if (lines.length == 0)
                return 0;
        r = strbuf_finish(&lines, &text);
        if (r < 0)
                return r;
        r = path_join(p->state, "history.jsonl", &path);
        if (r < 0)
                return r;
        return lines_append(path, text, HISTORY_MAX);
}

/* -ENOMEM, or another negative errno if it is not an entry; *e then owns what was copied. */
static int copy_entry(const Json *j, HistoryEntry *e) {
        const struct {
                const char *key;
                bool optional;
                char **ret;
        } texts[] = {
                { "verb", false, &e->verb },
                { "action", false, &e->action },
                { "reason", false, &e->reason },
                { "outcome", false, &e->outcome },
                { "text", true, &e->text },
        };

        if (json_get_uint64(j, "at_usec", &e->at_usec) < 0 ||
                        json_get_uint64(j, "took_usec", &e->took_usec) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int r = json_get_strdup(j, texts[i].key, texts[i].optional, texts[i].ret);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* A line that is not whole is left out. */
static int add_line(const char *line, size_t length, const char *agent, History *h) {
        _cleanup_json_ Json *j = NULL;
        HistoryEntry entry = { 0 }, *e;
        const char *whose;
        int r;

        r = json_parse(line, length, &j);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        whose = json_get_string(j, "agent");
        if (!whose || strcmp(whose, agent) != 0)
                return 0;
        r = copy_entry(j, &entry);
        if (r == 0) {
                e = array_grow(&h->items, h->n_items, sizeof(HistoryEntry));
                if (e) {
                        *e = entry;
                        h->n_items++;
                        return 0;
                }
                r = -ENOMEM;
        }
        entry_done(&entry);
        return r == -ENOMEM ? r : 0;
}

static int read_file(const char *path, const char *agent, History *h) {
        _cleanup_free_ char *bytes = NULL;
        size_t size;
        int r;

        r = file_read_limited(path, HISTORY_MAX, &bytes, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (char *line = bytes, *end; line < bytes + size; line = end + 1) {
                end = memchr(line, '\n', (size_t)(bytes + size - line));
                if (!end)
                        break;
                r = add_line(line, (size_t)(end - line), agent, h);
                if (r < 0)
                        return r;
        }
        return 0;
}

int history_read(const Paths *p, const char *agent, size_t max, History *ret) {
        _cleanup_history_ History h = { 0 };
        _cleanup_free_ char *path = NULL, *old = NULL;
        int r;

        r = path_join(p->state, "history.jsonl", &path);
        if (r < 0)
                return r;
        if (format_text(&old, "%s.1", path) < 0)
                return -ENOMEM;
        r = read_file(old, agent, &h);
        if (r == 0)
                r = read_file(path, agent, &h);
        if (r < 0)
                return r;
        if (h.n_items > max) {
                size_t surplus = h.n_items - max;
                History first = { .items = calloc(surplus, sizeof(HistoryEntry)),
                        .n_items = surplus };

                if (!first.items)
                        return -ENOMEM;
                memcpy(first.items, h.items, surplus * sizeof(HistoryEntry));
                memmove(h.items, h.items + surplus, max * sizeof(HistoryEntry));
                h.n_items = max;
                history_done(&first);
        }
        *ret = h;
        h = (History){ 0 };
        return 0;
}
