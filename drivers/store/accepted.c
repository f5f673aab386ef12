/* SPDX-License-Identifier: MIT */
#include "drivers/store/accepted.h"

#include <fcntl.h>
#include <string.h>

#include "drivers/os/file.h"
#include "drivers/store/record.h"

#define INDEX_MAX (16 * 1024 * 1024)

int accepted_read(const Paths *p, Json **ret) {
        int r;

        *ret = NULL;
        r = record_read(p->state, "accepted.json", INDEX_MAX, ret);
        return r == -ENOMEM ? r : 0;
}

int accepted_from_spec(const Json *spec, ObservedFiles *f) {
        if (record_get_fingerprint(spec, "restart_fingerprint", f->restart_fingerprint) < 0 ||
                        record_get_fingerprint(spec, "live_fingerprint", f->live_fingerprint) < 0 ||
                        record_get_fingerprint(spec, "resolved", f->resolved) < 0 ||
                        json_get_uint64(spec, "stop_timeout_usec", &f->stop_timeout_usec) < 0)
                return -EBADMSG;
        return 0;
}

static uint64_t changed_nsec(const struct stat *st) {
        return (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec;
}

/* Is this the entry of a file with this status? */
static bool is_current(const Json *entry, const struct stat *st) {
        uint64_t inode, size, changed;

        return json_get_uint64(entry, "inode", &inode) == 0 && inode == st->st_ino &&
               json_get_uint64(entry, "size", &size) == 0 && size == (uint64_t)st->st_size &&
               json_get_uint64(entry, "changed_nsec", &changed) == 0 && changed == changed_nsec(st);
}

int accepted_lookup(const Json *index, const struct stat *st, ObservedFiles *f) {
        const Json *entry = json_get(json_get(index, "agents"), f->agent);

        if (!entry || !is_current(entry, st))
                return -ENOENT;
        return accepted_from_spec(entry, f) < 0 ? -ENOENT : 0;
}

static int stat_spec(int dir, const char *agent, struct stat *ret) {
        char file[AGENT_NAME_MAX + sizeof(".json")];

        (void)snprintf(file, sizeof(file), "%.*s.json", AGENT_NAME_MAX, agent);
        return fstatat(dir, file, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static void put_entry(JsonBuilder *b, const AgentSpec *s, const struct stat *st) {
        json_open_object(b, s->name);
        json_put_uint(b, "inode", st->st_ino);
        json_put_uint(b, "size", (uint64_t)st->st_size);
        json_put_uint(b, "changed_nsec", changed_nsec(st));
        json_put_uint(b, "stop_timeout_usec", s->stop_timeout_usec);
        json_put_string(b, "restart_fingerprint", s->restart_fingerprint);
        json_put_string(b, "live_fingerprint", s->live_fingerprint);
        json_put_string(b, "resolved", s->resolved);
        json_close(b);
}

static int compare_specs(const void *a, const void *b) {
        const AgentSpec *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

static int compare_name(const void *name, const void *element) {
        const AgentSpec *const *spec = element;

        return strcmp(name, (*spec)->name);
}

/* The entries of other agents, as long as their files are what they were. */
static void keep_others(
                JsonBuilder *b, int dir, const Json *index, AgentSpec *const *sorted, size_t n) {
        for (JsonIter it = json_iter(json_get(index, "agents")); json_next(&it);) {
                struct stat st;

                if (agent_name_is_valid(it.key) &&
                                !bsearch(it.key, sorted, n, sizeof(*sorted), compare_name) &&
                                stat_spec(dir, it.key, &st) == 0 && is_current(it.value, &st))
                        json_put_json(b, it.key, json_share(it.value));
        }
}

int accepted_update(const Paths *p, AgentSpec *const *specs, size_t n) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *path = NULL, *dir_path = NULL, *text = NULL;
        _cleanup_free_ AgentSpec **sorted = NULL;
        _cleanup_json_ Json *index = NULL;
        _cleanup_close_ int dir = -1;
        int r;

        sorted = calloc(n + 1, sizeof(AgentSpec *));
        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, specs, n * sizeof(AgentSpec *));
        qsort(sorted, n, sizeof(AgentSpec *), compare_specs);
        r = accepted_read(p, &index);
        if (r < 0)
                return r;
        r = path_join(p->state, "specs", &dir_path);
        if (r < 0)
                return r;
        dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_open_object(&b, "agents");
        keep_others(&b, dir, index, sorted, n);
        for (size_t i = 0; i < n; i++) {
                struct stat st;

                if (stat_spec(dir, sorted[i]->name, &st) == 0)
                        put_entry(&b, sorted[i], &st);
        }
        json_close(&b);
        json_close(&b);
        r = json_finish_text(&b, JSON_PLAIN, &text);
        if (r < 0)
                return r;
        r = path_join(p->state, "accepted.json", &path);
        return r < 0 ? r : file_replace(path, text, strlen(text), 0600);
}
