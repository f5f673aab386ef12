/* SPDX-License-Identifier: MIT */

/*
 * The floor of loading a roster: libfyaml's bare event loop over the same bytes. Nothing is kept,
 * no text is asked for.
 *
 *     floor-yaml FILE RUNS
 */

#include <libfyaml.h>

#include "model/base/parse.h"
#include "tests/bench/stopwatch.h"

static Stopwatch watch;

static size_t count_events(const char *bytes, size_t size) {
        const struct fy_parse_cfg cfg = { .flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
                                                   FYPCF_QUIET };
        struct fy_parser *parser = fy_parser_create(&cfg);
        struct fy_event *event;
        size_t n = 0;

        if (!parser || fy_parser_set_string(parser, bytes, size) < 0)
                exit(1);
        while ((event = fy_parser_parse(parser))) {
                n++;
                fy_parser_event_free(parser, event);
        }
        fy_parser_destroy(parser);
        return n;
}

int main(int argc, char **argv) {
        size_t size = 0, n = 0;
        char more[64], *bytes;
        uint64_t runs;

        if (argc != 3 || parse_uint_range(argv[2], 1, STOPWATCH_RUNS_MAX, &runs) < 0)
                return 64;
        bytes = stopwatch_read(argv[1], &size);
        if (!bytes)
                return 1;
        for (uint64_t i = 0; i < runs; i++) {
                stopwatch_start(&watch);
                n = count_events(bytes, size);
                stopwatch_stop(&watch);
        }
        (void)snprintf(more, sizeof(more), ", \"events\": %zu", n);
        stopwatch_print(&watch, more);
        free(bytes);
        return 0;
}
