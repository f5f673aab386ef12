/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/manifest.h"

#include <errno.h>
#include <string.h>

#include "drivers/os/file.h"
#include "model/base/array.h"
#include "model/base/strv.h"
#include "model/json.h"

#define MANIFEST_SIZE_MAX (1024 * 1024)

void manifest_done(Manifest *m) {
        for (size_t i = 0; i < m->n_entries; i++)
                free(m->entries[i].path);
        free(m->entries);
        strv_free(m->directories);
        *m = (Manifest){ 0 };
}

int manifest_path(const Paths *p, char **ret) {
        return path_join(p->state, "manifest.json", ret);
}

ManifestEntry *manifest_find(const Manifest *m, const char *path) {
        for (size_t i = 0; i < m->n_entries; i++)
                if (strcmp(m->entries[i].path, path) == 0)
                        return &m->entries[i];
        return NULL;
}

bool manifest_owns(const Manifest *m, const char *path, const char *sha256) {
        const ManifestEntry *e = manifest_find(m, path);

        if (!e || !sha256[0])
                return false; /* an empty `previous` is none */
        return strcmp(e->sha256, sha256) == 0 || strcmp(e->previous, sha256) == 0;
}

static void copy_hash(char target[static SHA256_HEX_SIZE], const char *hash) {
        (void)snprintf(target, SHA256_HEX_SIZE, "%s", hash);
}

int manifest_put(Manifest *m,
                const char *path,
                const char *sha256,
                unsigned mode,
                bool keep_previous) {
        ManifestEntry *e = manifest_find(m, path);

        if (!e) {
                e = array_grow(&m->entries, m->n_entries, sizeof(ManifestEntry));
                if (!e)
                        return -ENOMEM;
                e->path = strdup(path);
                if (!e->path)
                        return -ENOMEM;
                m->n_entries++;
        } else if (keep_previous && strcmp(e->sha256, sha256) != 0)
                memcpy(e->previous, e->sha256, sizeof(e->previous));
        if (!keep_previous)
                e->previous[0] = '\0';
        copy_hash(e->sha256, sha256);
        e->mode = mode;
        return 0;
}

void manifest_drop(Manifest *m, const char *path) {
        ManifestEntry *e = manifest_find(m, path);
        size_t i;

        if (!e)
                return;
        i = (size_t)(e - m->entries);
        free(e->path);
        memmove(e, e + 1, (m->n_entries - i - 1) * sizeof(ManifestEntry));
        m->n_entries--;
}

static int read_entry(const Json *j, Manifest *m) {
        const char *path = json_get_string(j, "path"), *hash = json_get_string(j, "sha256");
        const char *previous = json_get_string(j, "previous");
        uint64_t mode;
        int r;

        if (!path || path[0] != '/' || !hash || strlen(hash) != SHA256_HEX_SIZE - 1 ||
                        json_get_uint64(j, "mode", &mode) < 0 || mode > 07777)
                return -EBADMSG;
        r = manifest_put(m, path, hash, (unsigned)mode, /* keep_previous= */ false);
        if (r < 0)
                return r;
        if (previous && strlen(previous) == SHA256_HEX_SIZE - 1)
                copy_hash(manifest_find(m, path)->previous, previous);
        return 0;
}

int manifest_read(const Paths *p, Manifest *ret) {
        _cleanup_free_ char *path = NULL, *bytes = NULL;
        _cleanup_manifest_ Manifest m = { 0 };
        _cleanup_json_ Json *document = NULL;
        uint64_t version;
        size_t size;
        int r;

        r = manifest_path(p, &path);
        if (r < 0)
                return r;
        r = file_read_own(path, MANIFEST_SIZE_MAX, &bytes, &size);
        if (r == -ENOENT) {
                *ret = (Manifest){ 0 };
                return 0;
        }
        if (r < 0)
                return r;
        r = json_parse(bytes, size, &document);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || json_get_uint64(document, "version", &version) < 0 || version != 1)
                return -EBADMSG;
        for (size_t i = 0; i < json_length(json_get(document, "files")); i++) {
                r = read_entry(json_at(json_get(document, "files"), i), &m);
                if (r < 0)
                        return r;
        }
        r = json_get_strv(document, "directories", &m.directories);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        *ret = m;
        m = (Manifest){ 0 };
        return 0;
}

int manifest_write(const Paths *p, const Manifest *m) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_json_ Json *document = NULL;
        int r;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "written_by", "mosaic " MOSAIC_VERSION);
        json_open_array(&b, "files");
        for (size_t i = 0; i < m->n_entries; i++) {
                const ManifestEntry *e = &m->entries[i];

                json_open_object(&b, NULL);
                json_put_string(&b, "path", e->path);
                json_put_string(&b, "sha256", e->sha256);
                if (e->previous[0])
                        json_put_string(&b, "previous", e->previous);
                json_put_uint(&b, "mode", e->mode);
                json_close(&b);
        }
        json_close(&b);
        json_put_strv(&b, "directories", m->directories);
        json_close(&b);
        r = json_finish(&b, &document);
        if (r < 0)
                return r;
        r = json_to_text(document, JSON_PRETTY, &text);
        if (r < 0)
                return r;

        r = dir_make(p->state);
        if (r < 0)
                return r;
        r = manifest_path(p, &path);
        if (r < 0)
                return r;
        return file_replace(path, text, strlen(text), 0600);
}
