/* SPDX-License-Identifier: MIT */

/*
 * The files that a fleet keeps, corrupt in every way. First byte: which file; the rest is what it
 * holds. What cannot be read is unknown, or counts as nothing where its header says so; it is never
 * taken for "there is none" where that would start or remove something.
 */

#include <signal.h>

#include "drivers/os/proc.h"
#include "drivers/store/fleet-record.h"
#include "drivers/store/history.h"
#include "drivers/store/pacing-record.h"
#include "drivers/store/roster-record.h"
#include "drivers/store/store.h"
#include "drivers/systemd/manifest.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "reconciler/output.h"
#include "reconciler/watch-state.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"

static Paths paths;

static void set_paths(void) {
        paths.state = paths.runtime = paths.home = (char *)(uintptr_t)scratch_directory();
        paths.unit_prefix = (char *)(uintptr_t) "mosaic-";
        paths.id_or_default = (char *)(uintptr_t) "default";
        paths.fleet_id = (char *)(uintptr_t) "";
}

static bool is_fingerprint(const char *s) {
        return strlen(s) == FINGERPRINT_SIZE - 1;
}

/* --- what is observed ------------------------------------------------------------------------- */

static void check_run(const Observed *o) {
        const ObservedRun *run = observed_run(o, "web");

        assert(run || o->runs.state == SOURCE_UNKNOWN);
        if (o->runs.state == SOURCE_UNKNOWN)
                assert(o->runs.why);
        if (!run || o->runs.state == SOURCE_UNKNOWN)
                return;
        assert(run->pid > 0 && is_fingerprint(run->restart_fingerprint) &&
                        is_fingerprint(run->resolved));
        if (run->alive)
                assert(kill(run->pid, 0) == 0 || errno == EPERM);
}

static void check_stop(const Observed *o) {
        assert(observed_stop(o, "web") || o->runs.state == SOURCE_UNKNOWN);
}

static void check_hold(const Observed *o) {
        const ObservedHold *h = observed_hold(o, "web");

        assert(h || o->files.state == SOURCE_UNKNOWN);
        assert(!h || h->by);
}

static void check_spec(const Observed *o) {
        const ObservedFiles *f = observed_files(o, "web");

        assert(f && f->spec);
        assert(o->files.state == SOURCE_UNKNOWN ||
                        (is_fingerprint(f->restart_fingerprint) &&
                                        is_fingerprint(f->live_fingerprint) &&
                                        is_fingerprint(f->resolved)));
}

static void check_ledger(const Observed *o) {
        for (size_t i = 0; i < o->pacing.n_items; i++) {
                assert(agent_name_is_valid(o->pacing.items[i].agent));
                assert(i == 0 ||
                                strcmp(o->pacing.items[i - 1].agent, o->pacing.items[i].agent) < 0);
        }
}

static void observe(
                const char *file, const char *bytes, size_t n, void (*check)(const Observed *)) {
        _cleanup_(observed_freep) Observed *o = NULL;

        scratch_write(file, bytes, n);
        assert(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
        assert(store_observe(&paths, o) == 0);
        observed_sort(o);
        check(o);
}

/* --- what is read by itself ------------------------------------------------------------------- */

static void read_ledger(const char *bytes, size_t n) {
        Pacing p = { 0 }, again = { 0 };
        uint64_t now = 5000000;

        observe("pacing.json", bytes, n, check_ledger);
        assert(pacing_record_read(&paths, &p) == 0);
        if (p.n_items > 0) {
                _cleanup_free_ char *aside = NULL;

                assert(pacing_record_write(&paths, &p, &aside) == 0 && !aside);
                assert(pacing_record_read(&paths, &again) == 0);
                assert(again.n_items == p.n_items && again.brake_usec == p.brake_usec);
                assert(memcmp(again.items, p.items, p.n_items * sizeof(PaceEntry)) == 0);
                for (size_t i = 0; i < p.n_items; i++)
                        (void)pacing_due(&p, p.items + i, now);
                (void)pacing_next(&p, now);
        }
        pacing_done(&p);
        pacing_done(&again);
}

static void read_fleet(const char *bytes, size_t n) {
        _cleanup_(fleet_record_freep) FleetRecord *record = NULL, *again = NULL;
        int r;

        scratch_write("fleet.json", bytes, n);
        r = fleet_record_read(&paths, &record);
        assert(r == 0 || r == -EBADMSG);
        if (r < 0)
                return;
        assert(record->supervisor == SUPERVISOR_SYSTEMD || record->supervisor == SUPERVISOR_DIRECT);
        assert(record->tmux_socket[0] == '/' && record->tmux_tmpdir[0] == '/');
        assert(record->width > 0 && record->height > 0 && record->history > 0);
        assert(fleet_record_write(&paths, record) == 0 && fleet_record_read(&paths, &again) == 0);
        assert(strcmp(record->tmux_socket, again->tmux_socket) == 0 &&
                        record->history == again->history);
}

static void read_roster(const char *bytes, size_t n) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 }, again = { 0 };
        uint64_t generation;
        int r;

        scratch_write("roster.json", bytes, n);
        r = roster_record_read(&paths, &record);
        assert(r == 0 || r == -ENOENT);
        if (r < 0 || strlen(record.bytes) != record.size)
                return; /* a roster with a NUL is never accepted */
        assert(is_fingerprint(record.sha256));
        assert(roster_record_write(&paths, record.bytes, record.size, &generation) == 0);
        assert(generation == record.generation);
        assert(roster_record_read(&paths, &again) == 0 && again.size == record.size);
        assert(memcmp(again.bytes, record.bytes, record.size) == 0);
}

static void read_manifest(const char *bytes, size_t n) {
        _cleanup_manifest_ Manifest m = { 0 }, again = { 0 };
        int r;

        scratch_write("manifest.json", bytes, n);
        r = manifest_read(&paths, &m);
        assert(r == 0 || r == -EBADMSG);
        if (r < 0)
                return;
        for (size_t i = 0; i < m.n_entries; i++) {
                const ManifestEntry *e = m.entries + i;

                assert(e->path[0] == '/' && is_fingerprint(e->sha256) && e->mode <= 07777);
                assert(manifest_owns(&m, e->path, e->sha256) && !manifest_owns(&m, e->path, ""));
        }
        assert(manifest_write(&paths, &m) == 0 && manifest_read(&paths, &again) == 0);
        assert(again.n_entries == m.n_entries && strv_equal(again.directories, m.directories));
}

static void read_history(const char *bytes, size_t n) {
        History h = { 0 };

        scratch_write("history.jsonl", bytes, n);
        assert(history_read(&paths, "web", 5, &h) == 0 && h.n_items <= 5);
        for (size_t i = 0; i < h.n_items; i++)
                assert(h.items[i].verb && h.items[i].action && h.items[i].outcome);
        history_done(&h);
}

static void read_server(const char *bytes, size_t n) {
        pid_t pid = 0;
        int r;

        scratch_write("server.json", bytes, n);
        r = store_read_server(&paths, &pid);
        assert(r == -ESRCH || (r == 0 && pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)));
}

/* What `status` prints of it is harmless, and nothing of a controller that is gone. */
static void read_controller(const char *bytes, size_t n) {
        _cleanup_json_ Json *j = NULL;
        FleetRecord record = { .supervisor = SUPERVISOR_SYSTEMD };
        Context c = { .paths = &paths, .record = &record, .width = 80 };
        FILE *saved = stdout, *memory;
        char *text = NULL;
        uint64_t pid;
        size_t size;

        scratch_write("controller.json", bytes, n);
        assert(watch_state_read(&paths, &j) == 0);
        if (j)
                assert(json_get_uint64(j, "pid", &pid) == 0 && kill((pid_t)pid, 0) == 0);
        memory = open_memstream(&text, &size);
        assert(memory);
        stdout = memory;
        output_controller(&c, j, 1700000000000000);
        stdout = saved;
        assert(fclose(memory) == 0);
        for (size_t i = 0; i < size;) {
                uint32_t character;
                size_t length = utf8_decode(text + i, size - i, &character);

                assert(length > 0 && (character == '\n' || !utf8_is_unsafe(character)));
                i += length;
        }
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const readers[])(const char *, size_t) = { read_ledger, read_fleet,
                read_roster, read_manifest, read_history, read_server, read_controller };
        static const struct {
                const char *file;
                void (*check)(const Observed *o);
        } records[] = { { "run/web.json", check_run }, { "stops/web.json", check_stop },
                { "holds/web.json", check_hold }, { "holds/_fleet.json", check_hold },
                { "specs/web.json", check_spec } };
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        if (size == 0)
                return 0;
        set_paths();
        bytes = scratch_fill_in((const char *)data + 1, size - 1, &n);
        /* Letters, so that seeds can be read. */
        if (data[0] >= 'a' && data[0] < 'a' + ELEMENTSOF(readers))
                readers[data[0] - 'a'](bytes, n);
        else
                observe(records[data[0] % ELEMENTSOF(records)].file, bytes, n,
                                records[data[0] % ELEMENTSOF(records)].check);
        scratch_clear();
        return 0;
}
