/* SPDX-License-Identifier: MIT */
#include "drivers/store/pacing-record.h"

#include <string.h>
#include <sys/stat.h>

#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/store/record.h"
#include "model/base/array.h"

#define LEDGER_MAX (4 * 1024 * 1024)

static int read_entry(const char *agent, const Json *j, PaceEntry *ret) {
        uint64_t starts, ends;

        if (!agent_name_is_valid(agent) || json_get_uint64(j, "starts", &starts) < 0 ||
                        json_get_uint64(j, "ends", &ends) < 0 || starts > UINT32_MAX ||
                        ends > UINT32_MAX ||
                        json_get_uint64(j, "window_usec", &ret->window_usec) < 0 ||
                        json_get_uint64(j, "down_usec", &ret->down_usec) < 0 ||
                        json_get_uint64(j, "due_usec", &ret->due_usec) < 0 ||
                        json_get_bool(j, "crash_loop", &ret->crash_loop) < 0 ||
                        json_get_bool(j, "kept_down", &ret->kept_down) < 0)
                return -EBADMSG;
        (void)snprintf(ret->agent, sizeof(ret->agent), "%s", agent);
        ret->n_starts = (unsigned)starts;
        ret->n_ends = (unsigned)ends;
        return 0;
}

static int compare_entries(const void *a, const void *b) {
        return strcmp(((const PaceEntry *)a)->agent, ((const PaceEntry *)b)->agent);
}

static int read_ledger(const Json *j, Pacing *p) {
        const char *probe = json_get_string(j, "probe");
        uint64_t n_slot;

        for (JsonIter it = json_iter(json_get(j, "agents")); json_next(&it);) {
                PaceEntry *e = array_grow(&p->items, p->n_items, sizeof(PaceEntry));

                if (!e)
                        return -ENOMEM;
                if (read_entry(it.key, it.value, e) < 0)
                        return -EBADMSG;
                p->n_items++;
        }
        if (p->n_items > 0)
                qsort(p->items, p->n_items, sizeof(PaceEntry), compare_entries);
        if (json_get_uint64(j, "brake_usec", &p->brake_usec) < 0 ||
                        json_get_uint64(j, "released_usec", &p->released_usec) < 0 ||
                        json_get_uint64(j, "slot_usec", &p->slot_usec) < 0 ||
                        json_get_uint64(j, "slot_starts", &n_slot) < 0 || n_slot > UINT32_MAX)
                return -EBADMSG;
        p->n_slot = (unsigned)n_slot;
        (void)snprintf(p->probe, sizeof(p->probe), "%s", probe ? probe : "");
        return 0;
}

int pacing_record_read(const Paths *p, Pacing *ret) {
        _cleanup_json_ Json *j = NULL;
        _cleanup_(pacing_done) Pacing pacing = { 0 };
        char boot_now[BOOT_ID_SIZE];
        const char *boot;
        int r;

        *ret = (Pacing){ 0 };
        r = record_read(p->state, PACING_RECORD_FILE, LEDGER_MAX, &j);
        if (r < 0)
                return record_error_passes(r) ? r : 0;
        boot = json_get_string(j, "boot_id");
        r = proc_boot_id(boot_now);
        if (r < 0)
                return record_error_passes(r) ? r : 0;
        if (!boot || strcmp(boot, boot_now) != 0)
                return 0;
        r = read_ledger(j, &pacing);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        *ret = pacing;
        pacing = (Pacing){ 0 };
        return 0;
}

static int put_ledger(const Pacing *pacing, char **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        char boot[BOOT_ID_SIZE];
        int r;

        r = proc_boot_id(boot);
        if (r < 0)
                return r;
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "boot_id", boot);
        json_put_uint(&b, "brake_usec", pacing->brake_usec);
        json_put_string(&b, "probe", pacing->probe);
        json_put_uint(&b, "released_usec", pacing->released_usec);
        json_put_uint(&b, "slot_usec", pacing->slot_usec);
        json_put_uint(&b, "slot_starts", pacing->n_slot);
        json_open_object(&b, "agents");
        for (size_t i = 0; i < pacing->n_items; i++) {
                const PaceEntry *e = pacing->items + i;

                json_open_object(&b, e->agent);
                json_put_uint(&b, "starts", e->n_starts);
                json_put_uint(&b, "ends", e->n_ends);
                json_put_uint(&b, "window_usec", e->window_usec);
                json_put_uint(&b, "down_usec", e->down_usec);
                json_put_uint(&b, "due_usec", e->due_usec);
                json_put_bool(&b, "crash_loop", e->crash_loop);
                json_put_bool(&b, "kept_down", e->kept_down);
                json_close(&b);
        }
        json_close(&b);
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, ret);
}

/* A directory, a link, a file that cannot be read or holds something else. */
static bool is_in_the_way(const Paths *p, const char *path) {
        _cleanup_json_ Json *j = NULL;
        struct stat st;
        int r;

        if (lstat(path, &st) < 0)
                return false;
        if (!S_ISREG(st.st_mode))
                return true;
        r = record_read(p->state, PACING_RECORD_FILE, LEDGER_MAX, &j);
        return r < 0 && !record_error_passes(r);
}

int pacing_record_write(const Paths *p, const Pacing *pacing, char **ret_aside) {
        _cleanup_free_ char *path = NULL, *text = NULL, *old = NULL;
        size_t n_old;
        int r;

        *ret_aside = NULL;
        r = path_join(p->state, PACING_RECORD_FILE, &path);
        if (r == 0 && is_in_the_way(p, path))
                r = file_set_aside(path, ret_aside);
        if (r < 0)
                return r;
        if (pacing->n_items == 0 && pacing->brake_usec == 0)
                return file_remove(path);
        r = put_ledger(pacing, &text);
        if (r < 0)
                return r;
        r = file_read_limited(path, LEDGER_MAX, &old, &n_old);
        if (r == -ENOMEM)
                return r;
        if (r == 0 && n_old == strlen(text) && memcmp(old, text, n_old) == 0)
                return 0;
        return file_replace(path, text, strlen(text), 0600);
}
