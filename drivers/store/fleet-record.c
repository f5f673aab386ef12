/* SPDX-License-Identifier: MIT */
#include "drivers/store/fleet-record.h"

#include <string.h>

#include "drivers/os/file.h"
#include "drivers/store/record.h"
#include "drivers/tmux/server.h"
#include "model/base/format.h"
#include "model/json.h"

#define RECORD_MAX 65536
#define DEFAULT_SOCKET "mosaic-factory"

FleetRecord *fleet_record_free(FleetRecord *r) {
        if (!r)
                return NULL;
        free(r->tmux_tmpdir);
        free(r->tmux_socket);
        free(r->runtime);
        free(r);
        return NULL;
}

static int get_number(const Json *j, const char *key, unsigned *ret) {
        uint64_t v;
        int r;

        r = json_get_uint64(j, key, &v);
        if (r < 0 || v == 0 || v > UINT32_MAX)
                return -EBADMSG;
        *ret = (unsigned)v;
        return 0;
}

int fleet_record_read(const Paths *p, FleetRecord **ret) {
        _cleanup_(fleet_record_freep) FleetRecord *record = NULL;
        _cleanup_json_ Json *j = NULL;
        const char *supervisor;
        int r;

        r = record_read(p->state, "fleet.json", RECORD_MAX, &j);
        if (r < 0)
                return r;
        record = calloc(1, sizeof(FleetRecord));
        if (!record)
                return -ENOMEM;
        supervisor = json_get_string(j, "supervisor");
        record->supervisor = supervisor ? supervisor_from_string(supervisor) : _SUPERVISOR_INVALID;
        r = json_get_strdup(j, "tmux_tmpdir", /* optional= */ false, &record->tmux_tmpdir);
        if (r == 0)
                r = json_get_strdup(j, "tmux_socket", /* optional= */ false, &record->tmux_socket);
        if (r == 0)
                r = json_get_strdup(j, "runtime", /* optional= */ true, &record->runtime);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || record->supervisor == _SUPERVISOR_INVALID || record->tmux_tmpdir[0] != '/' ||
                        record->tmux_socket[0] != '/' ||
                        (record->runtime && record->runtime[0] != '/') ||
                        get_number(j, "width", &record->width) < 0 ||
                        get_number(j, "height", &record->height) < 0 ||
                        get_number(j, "history", &record->history) < 0)
                return -EBADMSG;
        *ret = TAKE_PTR(record);
        return 0;
}

static int to_text(const FleetRecord *record, char **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "supervisor", supervisor_to_string(record->supervisor));
        json_put_string(&b, "tmux_socket", record->tmux_socket);
        json_put_string(&b, "tmux_tmpdir", record->tmux_tmpdir);
        json_put_string(&b, "runtime", record->runtime);
        json_put_uint(&b, "width", record->width);
        json_put_uint(&b, "height", record->height);
        json_put_uint(&b, "history", record->history);
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, ret);
}

int fleet_record_write(const Paths *p, const FleetRecord *record) {
        _cleanup_free_ char *path = NULL, *text = NULL, *before = NULL;
        size_t size;
        int r;

        r = to_text(record, &text);
        if (r < 0)
                return r;
        r = path_join(p->state, "fleet.json", &path);
        if (r < 0)
                return r;
        r = file_read_limited(path, RECORD_MAX, &before, &size);
        if (r == 0 && size == strlen(text) && memcmp(before, text, size) == 0)
                return 0;
        r = dir_make(p->state);
        if (r < 0)
                return r;
        return file_replace(path, text, strlen(text), 0600);
}

int fleet_record_new(const Paths *p, Supervisor supervisor, FleetRecord **ret) {
        _cleanup_(fleet_record_freep) FleetRecord *record = calloc(1, sizeof(FleetRecord));
        const char *tmpdir = getenv("TMUX_TMPDIR");
        int r;

        if (!record)
                return -ENOMEM;
        record->supervisor = supervisor;
        record->tmux_tmpdir = strdup(tmpdir && *tmpdir == '/' ? tmpdir : "/tmp");
        if (!record->tmux_tmpdir)
                return -ENOMEM;
        record->width = 220;
        record->height = 50;
        record->history = 50000;
        r = fleet_record_accept(record, p, NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(record);
        return 0;
}

int fleet_record_socket(const FleetRecord *record, const Paths *p, const Desired *d, char **ret) {
        _cleanup_free_ char *name = NULL;

        /* Two fleets of one user must not meet on one socket, so the id is part of its name. */
        if (d && d->tmux_socket)
                name = strdup(d->tmux_socket);
        else if (*p->fleet_id)
                (void)!format_text(&name, DEFAULT_SOCKET "-%s", p->fleet_id);
        else
                name = strdup(DEFAULT_SOCKET);
        if (!name)
                return -ENOMEM;
        return tmux_socket_path(record->tmux_tmpdir, name, ret);
}

int fleet_record_differs(const FleetRecord *record, const Paths *p, const Desired *d, bool *ret) {
        _cleanup_free_ char *socket = NULL;
        int r;

        r = fleet_record_socket(record, p, d, &socket);
        if (r < 0)
                return r;
        *ret = strcmp(socket, record->tmux_socket) != 0 || record->width != d->tmux_width ||
               record->height != d->tmux_height || record->history != d->tmux_history;
        return 0;
}

int fleet_record_accept(FleetRecord *record, const Paths *p, const Desired *d) {
        _cleanup_free_ char *socket = NULL, *runtime = strdup(p->runtime);
        int r;

        if (!runtime)
                return -ENOMEM;
        r = fleet_record_socket(record, p, d, &socket);
        if (r < 0)
                return r;
        free(record->runtime);
        record->runtime = TAKE_PTR(runtime);
        free(record->tmux_socket);
        record->tmux_socket = TAKE_PTR(socket);
        if (d) {
                record->width = d->tmux_width;
                record->height = d->tmux_height;
                record->history = d->tmux_history;
        }
        return 0;
}
