/* SPDX-License-Identifier: MIT */

/*
 * Loads one roster again and again in one process, as every verb does it once: byte gate, YAML,
 * schema, decoding, checks, resolving. The built-in runtimes and the compiled schema are part of
 * each run. The expected outcome is given, so that a figure is never one of something else.
 *
 *     load-roster FILE RUNS valid|invalid
 */

#include <string.h>

#include "framework/assets.h"
#include "model/base/parse.h"
#include "model/roster.h"
#include "tests/bench/stopwatch.h"

static const Machine machine = {
        .hostname = "bench",
        .user_home = "/home/ana",
        .mosaic_home = "/home/ana/.config/mosaic",
        .n_cpus = 4,
        .memory = UINT64_C(8) << 30,
        .path = "/usr/bin:/bin",
};

static Stopwatch watch;

static size_t collect_runtimes(RosterSource *list, size_t n_list) {
        size_t n = 0;

        for (size_t i = 0; i < n_assets && n < n_list; i++)
                if (strncmp(assets[i].path, "fleet/runtimes/", 15) == 0)
                        list[n++] = (RosterSource){
                                .name = assets[i].path,
                                .bytes = (const char *)assets[i].bytes,
                                .size = assets[i].size,
                        };
        return n;
}

/* Returns what roster_load() does; the rest goes into @more as JSON. */
static int load_once(const RosterSource *roster, char *more, size_t room) {
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        RosterSource runtimes[16];
        size_t n_runtimes = collect_runtimes(runtimes, ELEMENTSOF(runtimes));
        int r;

        r = roster_load(roster, runtimes, n_runtimes, &machine, &diags, &desired);
        (void)snprintf(more, room, ", \"agents\": %zu, \"errors\": %zu, \"warnings\": %zu",
                        desired ? desired->n_agents : 0, diags.n_errors, diags.n_warnings);
        return r;
}

int main(int argc, char **argv) {
        RosterSource roster = { 0 };
        char more[128] = "", *bytes;
        int expected;
        uint64_t runs;

        if (argc != 4 || parse_uint_range(argv[2], 1, STOPWATCH_RUNS_MAX, &runs) < 0)
                return 64;
        expected = strcmp(argv[3], "valid") == 0 ? 0 : ROSTER_INVALID;
        bytes = stopwatch_read(argv[1], &roster.size);
        if (!bytes)
                return 1;
        roster.name = argv[1];
        roster.bytes = bytes;
        for (uint64_t i = 0; i < runs; i++) {
                int r;

                stopwatch_start(&watch);
                r = load_once(&roster, more, sizeof(more));
                stopwatch_stop(&watch);
                if (r != expected) {
                        fprintf(stderr, "%s: loading gave %d%s, not %d\n", argv[1], r, more,
                                        expected);
                        return 1;
                }
        }
        stopwatch_print(&watch, more);
        free(bytes);
        return 0;
}
