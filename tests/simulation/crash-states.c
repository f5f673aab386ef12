/* SPDX-License-Identifier: MIT */

/*
 * Every file of the fleet that must outlast a loss of power, updated by the code that ships, with
 * every state made that the disk may come back with (tests/simulation/disk.h):
 *
 * - what the real readers then read is the old or the new one, never a mixture, nothing or an
 * error;
 * - once the update has returned it is the new one;
 * - one look at all that the fleet keeps still tells everything;
 * - the same update can be made again, and holds.
 *
 * What counts in one boot only may be lost or torn, as long as the last two hold.
 *
 * Then each update again with every call failing (a full disk, a broken one, no descriptors left):
 * old or new, no success that was none, no descriptor left open, and it can be made again.
 */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/agent/launcher.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/store/fleet-record.h"
#include "drivers/store/history.h"
#include "drivers/store/pacing-record.h"
#include "drivers/store/record.h"
#include "drivers/store/roster-record.h"
#include "drivers/store/store.h"
#include "drivers/systemd/dropin.h"
#include "drivers/systemd/manifest.h"
#include "model/base/format.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "tests/simulation/disk.h"

#define MANY 6 /* more than are written one by one */

static char in_memory[] = "/dev/shm/mosaic-crash-XXXXXX", on_disk[] = "/tmp/mosaic-crash-XXXXXX";
static char root[64];
static Paths paths;
static AgentSpec *specs[3][MANY + 1]; /* by version */

static void must(bool ok, const char *what) {
        if (!ok) {
                (void)fprintf(stderr, "crash-states: %s\n", what);
                exit(2);
        }
}

/* --- what is written -------------------------------------------------------------------------- */

static const char *const names[MANY] = { "ada", "bob", "cy", "dot", "eve", "fay" };

static void make_specs(void) {
        for (unsigned version = 1; version <= 2; version++)
                for (size_t i = 0; i < MANY; i++) {
                        AgentSpec *s = calloc(1, sizeof(AgentSpec));

                        must(s && (s->name = strdup(names[i])) && (s->runtime = strdup("shell")) &&
                                                        (s->workdir = strdup("/tmp")) &&
                                                        strv_push(&s->argv, "sh") == 0,
                                        "no memory");
                        s->stop_timeout_usec = 10000000;
                        s->limit_tasks = 100 * version;
                        (void)snprintf(s->restart_fingerprint, FINGERPRINT_SIZE, "%032u%032u",
                                        version, 1u);
                        (void)snprintf(s->live_fingerprint, FINGERPRINT_SIZE, "%032u%032u", version,
                                        2u);
                        (void)snprintf(s->resolved, FINGERPRINT_SIZE, "%032u%032u", version, 3u);
                        specs[version][i] = s;
                }
}

static int write_roster(unsigned version) {
        const char *text = version == 1 ? "version: 1\nagents: {}\n"
                                        : "version: 1\nagents:\n  ada: {runtime: shell}\n";
        uint64_t generation;

        return roster_record_write(&paths, text, strlen(text), &generation);
}

static int write_spec(unsigned version) {
        return store_write_specs(&paths, specs[version], 1);
}

static int write_specs(unsigned version) {
        return store_write_specs(&paths, specs[version], MANY);
}

static int write_hold(unsigned version) {
        return store_hold(&paths, "ada", version == 1 ? "ada" : "somebody-else", "because");
}

static int write_fleet_hold(unsigned version) {
        return store_hold(&paths, NULL, version == 1 ? "ada" : "somebody-else", NULL);
}

static int set_hold(unsigned version) {
        return version == 1 ? store_hold(&paths, "ada", "ada", "because")
                            : store_release(&paths, "ada");
}

static int set_stopped(unsigned version) {
        return store_set_controller_stopped(&paths, version == 1);
}

static int set_reload(unsigned version) {
        return version == 1 ? store_reloaded(&paths) : store_expect_reload(&paths);
}

static int write_announced(unsigned version) {
        _cleanup_(observed_freep) Observed *o = NULL;
        char *agents[MANY + 1] = { 0 };

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0, "no memory");
        for (size_t i = 0; i < MANY; i++) {
                ObservedRun *run = observed_add_run(o);

                must(run && (run->agent = strdup(names[i])) &&
                                                format_text(&run->invocation, "%032u", version) >=
                                                                0,
                                "no memory");
                agents[i] = run->agent;
        }
        observed_sort(o);
        for (size_t i = 0; i < MANY; i++)
                agents[i] = (char *)(uintptr_t)names[i];
        return store_announce_stops(&paths, o, agents);
}

static int write_ledger(unsigned version) {
        PaceEntry entries[2] = {
                { .agent = "ada", .n_starts = version, .due_usec = 1000 * version },
                { .agent = "bob", .n_ends = version },
        };

        _cleanup_free_ char *aside = NULL; /* the old one, where it cannot be read */

        return pacing_record_write(
                        &paths, &(Pacing){ .items = entries, .n_items = version }, &aside);
}

static int write_fleet(unsigned version) {
        _cleanup_(fleet_record_freep) FleetRecord *r = NULL;

        must(fleet_record_new(&paths, SUPERVISOR_DIRECT, &r) == 0, "no memory");
        r->width = 100 * version;
        return fleet_record_write(&paths, r);
}

static int write_dropin(unsigned version) {
        return dropins_write(&paths, specs[version], 1);
}

static int write_dropins(unsigned version) {
        return dropins_write(&paths, specs[version], MANY);
}

static int write_manifest(unsigned version) {
        _cleanup_manifest_ Manifest m = { 0 };
        char hash[SHA256_HEX_SIZE];

        (void)snprintf(hash, sizeof(hash), "%032u%032u", version, 1u);
        for (unsigned i = 0; i < version; i++)
                must(manifest_put(&m, i == 0 ? "/one" : "/two", hash, 0644, false) == 0,
                                "no memory");
        return manifest_write(&paths, &m);
}

static int write_stop(unsigned version) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *j = NULL;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "boot_id", "an earlier one");
        json_put_string(&b, "result", version == 1 ? "success" : "exit-code");
        json_put_uint(&b, "at_usec", version);
        json_close(&b);
        must(json_finish(&b, &j) == 0, "no memory");
        return write_record(paths.state, "stops", "ada", j);
}

static int write_history(unsigned version) {
        char one[] = "one", two[] = "two";
        ActionResult result = { .outcome = OUTCOME_FAILED, .text = version == 1 ? one : two };
        Action action = { .agent = (char *)(uintptr_t)names[0] };
        Plan plan = { .actions = &action, .n_actions = 1 };
        Report report = { .results = &result, .n_results = 1 };

        return history_append(&paths, "apply", &plan, &report);
}

static int forget_agent(unsigned version) {
        int r;

        if (version == 2)
                return store_remove_agent(&paths, "ada");
        r = store_write_specs(&paths, specs[1], 2);
        return r < 0 ? r : store_hold(&paths, "ada", "ada", NULL);
}

/* --- what is read ----------------------------------------------------------------------------- */

static void say_error(StrBuf *to, int r) {
        strbuf_addf(to, "cannot be read: %s\n", strerror(-r));
}

static void read_roster(StrBuf *to) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 };
        int r = roster_record_read(&paths, &record);

        if (r == -ENOENT)
                strbuf_add(to, "none\n");
        else if (r < 0)
                say_error(to, r);
        else
                strbuf_addf(to, "%s\n", record.sha256);
}

/* What a pass goes by, and what a unit is started from: they may not differ. */
static void read_specs(StrBuf *to) {
        const Launcher launcher = { .state = paths.state };
        _cleanup_(observed_freep) Observed *o = NULL;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe(&paths, o) == 0,
                        "no memory");
        observed_sort(o);
        for (size_t i = 0; i < MANY; i++) {
                const ObservedFiles *f = observed_files(o, names[i]);
                _cleanup_(agent_spec_freep) AgentSpec *s = NULL;
                Launcher l = launcher;

                l.name = names[i];
                if (!f || !f->spec)
                        strbuf_add(to, "none\n");
                else if (read_spec(&l, &s) != 0)
                        strbuf_add(to, "cannot be started\n");
                else if (strcmp(s->restart_fingerprint, f->restart_fingerprint) != 0 ||
                                strcmp(s->live_fingerprint, f->live_fingerprint) != 0)
                        strbuf_add(to, "the index says something else\n");
                else
                        strbuf_addf(to, "%s\n", s->restart_fingerprint);
        }
}

static void read_holds(StrBuf *to) {
        _cleanup_(observed_freep) Observed *o = NULL;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe_holds(&paths, o) == 0,
                        "no memory");
        observed_sort(o);
        for (size_t i = 0; i < o->n_holds; i++)
                strbuf_addf(to, "%s held by %s\n", o->holds[i].agent ? o->holds[i].agent : "all",
                                o->holds[i].by);
        if (o->n_holds == 0)
                strbuf_add(to, "no hold\n");
}

static void read_stopped(StrBuf *to) {
        bool stopped;

        must(store_controller_stopped(&paths, &stopped) == 0, "no memory");
        strbuf_add(to, stopped ? "stopped\n" : "not stopped\n");
}

static void read_reload(StrBuf *to) {
        _cleanup_(observed_freep) Observed *o = NULL;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe(&paths, o) == 0,
                        "no memory");
        strbuf_add(to, o->reload_pending ? "pending\n" : "not pending\n");
}

static void read_text_of(const char *sub, const char *name, const char *key, StrBuf *to) {
        _cleanup_free_ char *dir = NULL, *file = NULL;
        _cleanup_json_ Json *j = NULL;
        int r;

        must(path_join(paths.state, sub, &dir) >= 0 && format_text(&file, "%s.json", name) >= 0,
                        "no memory");
        r = record_read(dir, file, 100000, &j);
        if (r == -ENOENT)
                strbuf_add(to, "none\n");
        else if (r < 0)
                say_error(to, r);
        else
                strbuf_addf(to, "%s\n", json_get_string(j, key));
}

static void read_announced(StrBuf *to) {
        for (size_t i = 0; i < MANY; i++)
                read_text_of("ended", names[i], "invocation", to);
}

static void read_stop(StrBuf *to) {
        read_text_of("stops", "ada", "result", to);
}

static void read_ledger(StrBuf *to) {
        _cleanup_(pacing_done) Pacing p = { 0 };
        int r = pacing_record_read(&paths, &p);

        if (r < 0)
                say_error(to, r);
        for (size_t i = 0; r == 0 && i < p.n_items; i++)
                strbuf_addf(to, "%s %u %u ", p.items[i].agent, p.items[i].n_starts,
                                p.items[i].n_ends);
        strbuf_add(to, "\n");
}

static void read_fleet(StrBuf *to) {
        _cleanup_(fleet_record_freep) FleetRecord *record = NULL;
        int r = fleet_record_read(&paths, &record);

        if (r == -ENOENT)
                strbuf_add(to, "none\n");
        else if (r < 0)
                say_error(to, r);
        else
                strbuf_addf(to, "%u\n", record->width);
}

static void read_dropins(StrBuf *to) {
        for (size_t i = 0; i < MANY; i++) {
                DropinState one, two;

                must(dropin_check(&paths, specs[1][i], &one) >= 0 &&
                                                dropin_check(&paths, specs[2][i], &two) >= 0,
                                "cannot look at a drop-in");
                strbuf_add(to, one == DROPIN_ABSENT     ? "none\n"
                                : one == DROPIN_CURRENT ? "first\n"
                                : two == DROPIN_CURRENT ? "second\n"
                                                        : "torn\n");
        }
}

static void read_manifest(StrBuf *to) {
        _cleanup_manifest_ Manifest m = { 0 };
        int r = manifest_read(&paths, &m);

        if (r < 0)
                say_error(to, r);
        else
                strbuf_addf(to, "%zu %s\n", m.n_entries,
                                m.n_entries > 0 ? m.entries[0].sha256 : "");
}

static void read_history(StrBuf *to) {
        _cleanup_history_ History h = { 0 };
        int r = history_read(&paths, "ada", 100, &h);

        if (r < 0)
                say_error(to, r);
        for (size_t i = 0; r == 0 && i < h.n_items; i++)
                strbuf_addf(to, "%s ", h.items[i].text);
        strbuf_add(to, "\n");
}

/* As long as anything of an agent is there its spec is, so that the rest is removed once more. */
static void read_agent(StrBuf *to) {
        _cleanup_(observed_freep) Observed *o = NULL;
        const ObservedFiles *f;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe(&paths, o) == 0,
                        "no memory");
        observed_sort(o);
        f = observed_files(o, "ada");
        strbuf_add(to, f && f->spec ? "there\n" : "gone\n");
        if (o->n_holds > 0)
                strbuf_add(to, f && f->spec ? "held\n" : "a hold without a spec\n");
        else
                strbuf_add(to, "not held\n");
}

/* --- what must hold --------------------------------------------------------------------------- */

typedef struct Protocol {
        const char *name;
        int (*write)(unsigned version);
        void (*read)(StrBuf *to);
        bool first; /* there is no old one */
        bool lazy;  /* the old one may come back: it does no harm */
        bool boot;  /* it says nothing of another boot than that in which it was written */
        bool adds;  /* made again it adds once more */
} Protocol;

static const Protocol protocols[] = {
        { "accepted roster, first", write_roster, read_roster, .first = true },
        { "accepted roster", write_roster, read_roster },
        { "spec, first", write_spec, read_specs, .first = true },
        { "spec", write_spec, read_specs },
        { "specs of six, first", write_specs, read_specs, .first = true },
        { "specs of six", write_specs, read_specs },
        { "an agent is removed", forget_agent, read_agent, .lazy = true },
        { "hold, first", write_hold, read_holds, .first = true },
        { "hold", write_hold, read_holds },
        { "hold of the fleet, first", write_fleet_hold, read_holds, .first = true },
        { "release", set_hold, read_holds },
        { "announced stops, first", write_announced, read_announced, .first = true, .boot = true },
        { "announced stops", write_announced, read_announced, .boot = true },
        { "how it ended, first", write_stop, read_stop, .first = true, .boot = true },
        { "how it ended", write_stop, read_stop, .boot = true },
        { "ledger", write_ledger, read_ledger },
        { "fleet record, first", write_fleet, read_fleet, .first = true },
        { "fleet record", write_fleet, read_fleet },
        { "drop-in, first", write_dropin, read_dropins, .first = true },
        { "drop-in", write_dropin, read_dropins },
        { "drop-ins of six, first", write_dropins, read_dropins, .first = true },
        { "drop-ins of six", write_dropins, read_dropins },
        { "manifest, first", write_manifest, read_manifest, .first = true },
        { "manifest", write_manifest, read_manifest },
        { "reload is due", set_reload, read_reload },
        { "controller was stopped, no more", set_stopped, read_stopped },
        { "history", write_history, read_history, .lazy = true, .adds = true },
};

typedef struct Case {
        const Protocol *p;
        char *old, *new;
        size_t n_wrong;
} Case;

static char *describe(const Protocol *p) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *text;

        p->read(&b);
        must(strbuf_finish(&b, &text) == 0, "no memory");
        return text;
}

static bool wrong(Case *c, const char *what, const char *got) {
        if (c->n_wrong++ < 3)
                (void)fprintf(stderr, "%s: %s\n  old: %s  new: %s  is:  %s", c->p->name, what,
                                c->old, c->new, got);
        return false;
}

/* Each line is that of the old or of the new one. */
static bool is_either(const char *got, const char *old, const char *new) {
        while (*got && *old && *new) {
                size_t n = strcspn(got, "\n") + 1;

                if (strncmp(got, old, n) != 0 && strncmp(got, new, n) != 0)
                        return false;
                got += n;
                old += strcspn(old, "\n") + 1;
                new += strcspn(new, "\n") + 1;
        }
        return *got == '\0' && *old == '\0' && *new == '\0';
}

/* One look at everything that the fleet keeps. */
static bool look_tells(Case *c) {
        _cleanup_(observed_freep) Observed *o = NULL;

        must(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe(&paths, o) == 0,
                        "no memory");
        if (o->files.state == SOURCE_PRESENT && o->runs.state == SOURCE_PRESENT)
                return true;
        return wrong(c, "a look cannot tell", o->files.why ? o->files.why : o->runs.why);
}

static bool can_be_made_again(Case *c) {
        _cleanup_free_ char *got = NULL;

        if (c->p->adds)
                return true;
        if (c->p->write(2) < 0)
                return wrong(c, "cannot be made again", "\n");
        got = describe(c->p);
        return strcmp(got, c->new) == 0 || wrong(c, "made again it does not hold", got);
}

static int
make_old(const char *path, const struct stat *st _unused_, int type, struct FTW *where _unused_) {
        static const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1 } };

        return type == FTW_F ? utimensat(AT_FDCWD, path, times, 0) : 0;
}

static bool check(bool made, void *userdata) {
        Case *c = userdata;
        _cleanup_free_ char *got = NULL;

        if (c->p->boot) {
                /* The machine has started since. */
                must(nftw(root, make_old, 16, FTW_PHYS) == 0, "cannot set times");
                return look_tells(c) && can_be_made_again(c);
        }
        got = describe(c->p);
        if (!is_either(got, c->old, c->new))
                return wrong(c, "neither the old nor the new", got);
        if (made && !c->p->lazy && strcmp(got, c->new) != 0)
                return wrong(c, "it was made, and is lost", got);
        return look_tells(c) && can_be_made_again(c);
}

/* What was there before; of the first one nothing, not even the directories. */
static void prepare(Case *c) {
        if (!c->p->first)
                must(dir_make(paths.state) == 0 && dir_make(paths.units) == 0 &&
                                                c->p->write(1) == 0,
                                "cannot make what was there before");
        c->old = describe(c->p);
}

/* Every call of the update fails once with each of these. Returns how many there were. */
static size_t fail_each(Case *c) {
        static const int errors[] = { ENOSPC, EIO, EMFILE };
        size_t n = 0;

        for (size_t e = 0; e < ELEMENTSOF(errors); e++)
                for (unsigned number = 1;; number++) {
                        _cleanup_free_ char *got = NULL;
                        int before, after, r;
                        bool failed;

                        disk_restore(root);
                        disk_begin(root);
                        before = dup(STDIN_FILENO);
                        (void)close(before);
                        disk_fail(number, errors[e]);
                        r = c->p->write(2);
                        failed = disk_failed();
                        (void)disk_end();
                        after = dup(STDIN_FILENO);
                        (void)close(after);
                        got = describe(c->p);
                        if (before != after)
                                (void)wrong(c, "a descriptor stays open", got);
                        if (!is_either(got, c->old, c->new))
                                (void)wrong(c, strerror(errors[e]), got);
                        if (r == 0 && strcmp(got, c->new) != 0)
                                (void)wrong(c, "it says that it was made", got);
                        if (!failed)
                                break;
                        n++;
                        (void)(look_tells(c) && can_be_made_again(c));
                }
        disk_restore(root);
        return n;
}

static size_t run(const Protocol *p, DiskCount *sum, size_t *ret_failed) {
        Case c = { .p = p };
        DiskCount count;
        size_t n_calls, n_failed;
        int r;

        prepare(&c);
        disk_begin(root);
        r = p->write(2);
        n_calls = disk_end();
        if (r < 0)
                (void)fprintf(stderr, "%s\n", strerror(-r));
        must(r == 0, p->name);
        c.new = describe(p);
        must(strcmp(c.old, c.new) != 0, p->name);
        count = disk_states(root, check, &c);
        n_failed = fail_each(&c);
        (void)printf("%-32s %3zu calls, %5zu states (of %6zu made%s), %3zu failures, %zu wrong\n",
                        p->name, n_calls, count.n_states, count.n_seen,
                        count.n_chosen > 0 ? ", not all" : "", n_failed, c.n_wrong);
        sum->n_states += count.n_states;
        sum->n_seen += count.n_seen;
        *ret_failed += n_failed;
        free(c.old);
        free(c.new);
        return c.n_wrong;
}

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *where _unused_) {
        return remove(path);
}

static void set_paths(const char *top, size_t i) {
        static char state[96], runtime[96], units[96], no_id[] = "", prefix[] = "mosaic-";

        (void)snprintf(root, sizeof(root), "%s/%zu", top, i);
        (void)snprintf(state, sizeof(state), "%s/state/mosaic", root);
        (void)snprintf(runtime, sizeof(runtime), "%s/run/mosaic", root);
        (void)snprintf(units, sizeof(units), "%s/units", root);
        must(dir_make(root) == 0, "cannot make a directory");
        paths = (Paths){
                .state = state,
                .runtime = runtime,
                .units = units,
                .fleet_id = no_id,
                .unit_prefix = prefix,
        };
}

int main(int argc, char *argv[]) {
        bool brief = argc > 1 && strcmp(argv[1], "--brief") == 0; /* ends at the first that fails */
        const char *only = argc > 1 && !brief ? argv[1] : NULL, *top = mkdtemp(in_memory);
        size_t n_wrong = 0, n_failed = 0;
        DiskCount sum = { 0 };

        if (!top)
                top = mkdtemp(on_disk);
        must(top, "cannot make a directory");
        say_init("crash-states");
        make_specs();
        for (size_t i = 0; i < ELEMENTSOF(protocols) && !(brief && n_wrong > 0); i++) {
                if (only && strcmp(only, protocols[i].name) != 0)
                        continue;
                set_paths(top, i);
                n_wrong += run(protocols + i, &sum, &n_failed);
        }
        (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        for (unsigned version = 1; version <= 2; version++)
                for (size_t i = 0; i < MANY; i++)
                        agent_spec_free(specs[version][i]);
        (void)printf("%zu updates: %zu crash states (of %zu made), %zu failing calls, %zu wrong\n",
                        only ? 1 : ELEMENTSOF(protocols), sum.n_states, sum.n_seen, n_failed,
                        n_wrong);
        return n_wrong > 0;
}
