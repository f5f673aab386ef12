/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks-limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"

#define CGROUP_MAX 65536
#define VALUE_MAX 256
#define NO_LIMIT UINT64_MAX
/* So many are named; what is wrong with many agents is mostly wrong in one place. */
#define N_NAMED 3

typedef enum LimitKind {
        LIMIT_MEMORY,
        LIMIT_CPU,
        LIMIT_TASKS,
        _LIMIT_KIND_MAX,
} LimitKind;

static const struct {
        const char *name;       /* the roster's word */
        const char *controller; /* the kernel's */
        const char *file;       /* of the unified hierarchy, there if it enforces the limit */
        const char *old_file;   /* of the controller's own one */
} limits[_LIMIT_KIND_MAX] = {
        [LIMIT_MEMORY] = { "memory", "memory", "memory.max", "memory.limit_in_bytes" },
        [LIMIT_CPU] = { "cpu", "cpu", "cpu.max", "cpu.cfs_quota_us" },
        [LIMIT_TASKS] = { "tasks", "pids", "pids.max", "pids.max" },
};

static uint64_t wanted(const AgentSpec *s, LimitKind kind) {
        switch (kind) {
        case LIMIT_MEMORY:
                return s->limit_memory;
        case LIMIT_CPU:
                return s->limit_cpu;
        case LIMIT_TASKS:
                return s->limit_tasks;
        case _LIMIT_KIND_MAX:
                break;
        }
        return 0;
}

/* --- what the kernel has ---------------------------------------------------------------------- */

/* The file of a limit, in a hierarchy. */
static int limit_path(const char *root, const char *cgroup, const char *file, char **ret) {
        return format_text(ret, "/sys/fs/cgroup%s%s/%s", root, cgroup, file);
}

/* Of one line "ID:LIST:CGROUP" of /proc/PID/cgroup: 1 if the limit is enforced there, with its
 * file, 0 if not, -ENOMEM. */
static int find_in_hierarchy(const char *list, const char *cgroup, LimitKind kind, char **ret) {
        static const char *const roots[] = { "", "/unified" };
        _cleanup_free_ char *root = NULL;

        if (text_has_word(list, limits[kind].controller)) {
                if (format_text(&root, "/%s", limits[kind].controller) < 0 ||
                                limit_path(root, cgroup, limits[kind].old_file, ret) < 0)
                        return -ENOMEM;
                return 1;
        }
        for (size_t i = 0; *list == '\0' && i < ELEMENTSOF(roots); i++) {
                _cleanup_free_ char *path = NULL;

                if (limit_path(roots[i], cgroup, limits[kind].file, &path) < 0)
                        return -ENOMEM;
                if (access(path, F_OK) == 0) {
                        *ret = TAKE_PTR(path);
                        return 1;
                }
        }
        return 0;
}

/* In the hierarchy of this controller the process must be in the unit's own cgroup. @text, of
 * /proc/PID/cgroup, is cut into pieces. Returns as above. */
static int find_limit(char *text, const char *unit, LimitKind kind, char **ret) {
        for (char *line = text, *next; line && *line; line = next) {
                char *list = strchr(line, ':'), *cgroup = list ? strchr(list + 1, ':') : NULL;
                const char *last;
                int r;

                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (!cgroup)
                        continue;
                *cgroup++ = '\0';
                list++;
                last = strrchr(cgroup, '/');
                if (!last || strcmp(last + 1, unit) != 0)
                        continue;
                r = find_in_hierarchy(list, cgroup, kind, ret);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* The first number of a file. False: it cannot be read, or begins with something else. */
static bool read_number(const char *path, uint64_t *ret, char *rest, size_t n) {
        _cleanup_free_ char *text = NULL;
        size_t size, digits;

        if (file_read_limited(path, VALUE_MAX, &text, &size) < 0)
                return false;
        digits = strcspn(text, " \n");
        if (rest)
                (void)snprintf(rest, n, "%.*s", (int)strcspn(text + digits, "\n"), text + digits);
        text[digits] = '\0';
        if (strcmp(text, "max") == 0 || strcmp(text, "-1") == 0) {
                *ret = NO_LIMIT;
                return true;
        }
        return parse_uint64(text, ret) == 0;
}

/* As the roster counts, in bytes, percent, tasks. False: it could not be told. */
static bool read_limit(const char *path, LimitKind kind, uint64_t *ret) {
        char rest[64] = "";
        uint64_t period;
        char *base;

        if (!read_number(path, ret, rest, sizeof(rest)))
                return false;
        if (kind != LIMIT_CPU || *ret == NO_LIMIT)
                return true;
        if (*rest != ' ') {
                _cleanup_free_ char *other = NULL;

                base = strrchr(path, '/');
                if (!base || format_text(&other, "%.*s/cpu.cfs_period_us", (int)(base - path),
                                             path) < 0)
                        return false;
                if (!read_number(other, &period, NULL, 0))
                        return false;
        } else if (parse_uint64(rest + 1, &period) < 0)
                return false;
        if (period == 0 || period > UINT32_MAX || *ret > UINT32_MAX)
                return false;
        *ret = (*ret * 100 + period - 1) / period;
        return true;
}

/* --- beside what the roster says -------------------------------------------------------------- */

typedef struct Outcome {
        size_t asked, seen, missing; /* agents of a limit; those whose cgroup tells; without one */
} Outcome;

typedef struct Excess {
        StrBuf *text;
        size_t n;
        const AgentSpec *first;
} Excess;

static void add_value(StrBuf *b, LimitKind kind, uint64_t value) {
        char size[32];

        if (value == NO_LIMIT)
                strbuf_add(b, "without limit");
        else if (kind == LIMIT_MEMORY)
                strbuf_add(b, format_size(size, sizeof(size), value));
        else
                strbuf_addf(b, "%" PRIu64 "%s", value, kind == LIMIT_CPU ? "%" : "");
}

static void add_excess(Excess *e, const AgentSpec *s, LimitKind kind, uint64_t value) {
        /* The old memory controller says "none" as the greatest number of pages. */
        if (kind == LIMIT_MEMORY && value > INT64_MAX / 2)
                value = NO_LIMIT;
        e->n++;
        if (!e->first)
                e->first = s;
        if (e->n > N_NAMED)
                return;
        strbuf_addf(e->text, "%s%s of %s is ", e->n > 1 ? "; " : "", limits[kind].name, s->name);
        add_value(e->text, kind, value);
        strbuf_add(e->text, ", not ");
        add_value(e->text, kind, wanted(s, kind));
}

/* @cgroups: of /proc/PID/cgroup. */
static int look_at_limit(const AgentSpec *s,
                const char *cgroups,
                const char *unit,
                LimitKind kind,
                Outcome *o,
                Excess *e) {
        _cleanup_free_ char *text = strdup(cgroups), *file = NULL;
        uint64_t value;
        int r;

        r = text ? find_limit(text, unit, kind, &file) : -ENOMEM;
        if (r < 0)
                return r;
        o->seen++;
        if (r == 0)
                o->missing++;
        else if (read_limit(file, kind, &value) && value > wanted(s, kind))
                add_excess(e, s, kind, value);
        return 0;
}

static int look_at_agent(
                const CheckSubject *subject, const AgentSpec *s, Outcome *outcomes, Excess *e) {
        const ObservedRun *run = observed_run(subject->observed, s->name);
        _cleanup_free_ char *path = NULL, *text = NULL, *unit = NULL;
        size_t size;
        int r;

        if (!run || !run->alive)
                return 0;
        r = paths_agent_unit(subject->paths, s->name, &unit);
        if (r < 0)
                return r;
        if (format_text(&path, "/proc/%d/cgroup", (int)run->pid) < 0)
                return -ENOMEM;
        r = file_read_limited(path, CGROUP_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (LimitKind k = 0; r >= 0 && k < _LIMIT_KIND_MAX; k++)
                if (wanted(s, k) > 0)
                        r = look_at_limit(s, text, unit, k, outcomes + k, e);
        return r;
}

static int look(const CheckSubject *subject, Outcome *outcomes, Excess *e) {
        for (size_t i = 0; i < subject->desired->n_agents; i++) {
                const AgentSpec *s = subject->desired->agents[i];
                bool asks = false;
                int r;

                for (LimitKind k = 0; k < _LIMIT_KIND_MAX && !s->elsewhere; k++)
                        if (wanted(s, k) > 0) {
                                outcomes[k].asked++;
                                asks = true;
                        }
                r = asks ? look_at_agent(subject, s, outcomes, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int say_excess(const CheckSubject *s, const Excess *e, Checks *c) {
        _cleanup_free_ char *unit = NULL, *help = NULL;
        char more[48] = "";
        int r;

        r = paths_agent_unit(s->paths, e->first->name, &unit);
        if (r < 0)
                return r;
        if (format_text(&help, "systemctl --user cat %s", unit) < 0)
                return -ENOMEM;
        if (e->n > N_NAMED)
                (void)snprintf(more, sizeof(more), "; and %zu more", e->n - N_NAMED);
        return checks_add_help(c, CHECK_LIMITS, CHECK_NOTE, help,
                        "not all as the roster says: %s%s", strbuf_text(e->text), more);
}

int check_limits(const CheckSubject *s, Checks *c) {
        _cleanup_strbuf_ StrBuf missing = STRBUF_NULL, text = STRBUF_NULL;
        Outcome outcomes[_LIMIT_KIND_MAX] = { 0 };
        bool asked = false, untold = false;
        Excess excess = { .text = &text };
        int r;

        r = look(s, outcomes, &excess);
        if (r < 0)
                return r;
        for (LimitKind k = 0; k < _LIMIT_KIND_MAX; k++) {
                asked = asked || outcomes[k].asked > 0;
                untold = untold || (outcomes[k].asked > 0 && outcomes[k].seen == 0);
                if (outcomes[k].missing > 0)
                        strbuf_addf(&missing, "%s%s", missing.length > 0 ? ", " : "",
                                        limits[k].name);
        }
        if (missing.failed || text.failed)
                return -ENOMEM;
        if (!asked)
                return checks_add(c, CHECK_LIMITS, CHECK_OK, "the roster asks for none");
        if (s->observed->supervisor == SUPERVISOR_DIRECT)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "not enforced: without systemd there is nobody to do it");
        if (missing.length > 0)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "%s: not enforced, the user manager has no such controller",
                                strbuf_text(&missing));
        if (excess.n > 0)
                return say_excess(s, &excess, c);
        if (untold)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "no agent with limits runs whose cgroup tells");
        return checks_add(c, CHECK_LIMITS, CHECK_OK, "enforced by the user manager's controllers");
}
