/* SPDX-License-Identifier: MIT */
#include "drivers/store/roster-record.h"

#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/store/record.h"
#include "model/base/hash.h"

#define FILE_NAME "roster.json"
#define RECORD_MAX JSON_SIZE_MAX

void roster_record_done(RosterRecord *r) {
        free(r->bytes);
        *r = (RosterRecord){ 0 };
}

int roster_record_read(const Paths *p, RosterRecord *ret) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 };
        _cleanup_json_ Json *j = NULL;
        const char *bytes;
        int r;

        r = record_read(p->state, FILE_NAME, RECORD_MAX, &j);
        if (r < 0)
                return record_error_passes(r) ? r : -ENOENT;
        bytes = json_as_bytes(json_get(j, "roster"), &record.size);
        if (!bytes || json_get_uint64(j, "generation", &record.generation) < 0 ||
                        json_get_uint64(j, "at_usec", &record.at_usec) < 0)
                return -ENOENT;
        record.bytes = malloc(record.size + 1);
        if (!record.bytes)
                return -ENOMEM;
        memcpy(record.bytes, bytes, record.size);
        record.bytes[record.size] = '\0';
        sha256_hex(record.bytes, record.size, record.sha256);
        *ret = record;
        record = (RosterRecord){ 0 };
        return 0;
}

int roster_record_write(const Paths *p, const char *bytes, size_t size, uint64_t *ret_generation) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_(roster_record_done) RosterRecord old = { 0 };
        _cleanup_free_ char *path = NULL, *text = NULL;
        char sha256[SHA256_HEX_SIZE];
        int r;

        sha256_hex(bytes, size, sha256);
        r = roster_record_read(p, &old);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_generation = old.generation;
        if (r == 0 && strcmp(old.sha256, sha256) == 0)
                return 0;
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_uint(&b, "generation", old.generation + 1);
        json_put_uint(&b, "at_usec", clock_realtime_usec());
        json_put_string(&b, "roster", bytes);
        json_close(&b);
        r = json_finish_text(&b, JSON_PLAIN, &text);
        if (r == 0)
                r = dir_make(p->state);
        if (r == 0)
                r = path_join(p->state, FILE_NAME, &path);
        if (r == 0)
                r = file_replace(path, text, strlen(text), 0600);
        if (r == 0)
                *ret_generation = old.generation + 1;
        return r;
}
