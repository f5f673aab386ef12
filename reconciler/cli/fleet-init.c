/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "framework/assets.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/json.h"
#include "model/plan.h"
#include "reconciler/complain.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/pass.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

#define DEFAULT_PROFILE "minimal"
#define ROSTER_MAX (4 * 1024 * 1024)
#define BACKUPS_MAX 10000

static const Asset *find_profile(const char *name) {
        _cleanup_strbuf_ StrBuf known = STRBUF_NULL;
        _cleanup_free_ char *path = NULL;
        const Asset *asset;

        if (format_text(&path, "fleet/examples/%s.yaml", name) < 0)
                return NULL;
        asset = asset_find(path);
        if (!asset) {
                for (size_t i = 0; i < n_assets; i++) {
                        const char *file = strncmp(assets[i].path, "fleet/examples/", 15) == 0
                                                           ? assets[i].path + 15
                                                           : NULL;

                        if (file)
                                strbuf_addf(&known, " %.*s", (int)strcspn(file, "."), file);
                }
                complain("init: no profile '%s'; there are%s", name, strbuf_text(&known));
        }
        return asset;
}

/* What differs, as diff(1) shows it. */
static int print_difference(const Context *c, const Asset *profile) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        char diff[] = "diff", unified[] = "-u", label_old[] = "--label=roster.yaml",
             label_new[] = "--label=profile", from[] = "-";
        char *const argv[] = { diff, unified, label_old, label_new, c->paths->roster, from, NULL };
        const ProcessRequest request = {
                .argv = argv,
                .input = (const char *)profile->bytes,
                .input_size = profile->size,
                .output_max = 2 * ROSTER_MAX,
                .timeout_usec = 10 * USEC_PER_SEC,
        };
        int r;

        r = process_run(&request, &result);
        if (r < 0)
                return r;
        fputs(result.output, stdout);
        return 0;
}

/* roster.yaml.1, .2 ...: the first that is free, as a copy that is on disk before anything is
 * replaced. */
static int keep_backup(const Context *c, const char *bytes, size_t size, char **ret) {
        for (unsigned i = 1; i < BACKUPS_MAX; i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                if (format_text(&path, "%s.%u", c->paths->roster, i) < 0)
                        return -ENOMEM;
                if (access(path, F_OK) == 0)
                        continue;
                r = file_replace(path, bytes, size, 0600);
                if (r < 0)
                        return r;
                *ret = TAKE_PTR(path);
                return 0;
        }
        return -EEXIST;
}

static int make_directories(const Context *c) {
        _cleanup_free_ char *dir = strdup(c->paths->roster);

        if (!dir)
                return -ENOMEM;
        *strrchr(dir, '/') = '\0';
        return dir_make(dir);
}

/* What the profile names as working directories, so that the next verb can be 'start'. */
static int make_workdirs(Context *c, char ***ret_made) {
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = pass_load(c, &p);
        if (r != 0)
                return r < 0 ? r : 0;
        for (size_t i = 0; i < p.desired->n_agents; i++) {
                const char *dir = p.desired->agents[i]->workdir;

                if (access(dir, F_OK) == 0)
                        continue;
                r = dir_make(dir);
                if (r == 0)
                        r = strv_push(ret_made, dir);
                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct InitResult {
        const char *status; /* "would-write", "written", "unchanged", "exists" */
        char *backup;
        char **made; /* working directories */
} InitResult;

static void init_result_done(InitResult *r) {
        free(r->backup);
        strv_free(r->made);
}

/* The file to write: what the roster's path leads to. A roster that is a link (kept among other
 * configuration, or by a file sync) goes on being that link. -ELOOP: it leads nowhere. */
static int find_target(const Context *c, char **ret) {
        struct stat st;

        if (lstat(c->paths->roster, &st) == 0 && S_ISLNK(st.st_mode)) {
                *ret = realpath(c->paths->roster, NULL);
                if (!*ret)
                        return errno == ENOENT ? -ELOOP : -errno;
                return 0;
        }
        *ret = strdup(c->paths->roster);
        return *ret ? 0 : -ENOMEM;
}

static int write_roster(Context *c, const Options *o, const Asset *profile, InitResult *ret) {
        _cleanup_free_ char *before = NULL, *target = NULL;
        size_t size = 0;
        int r;

        r = find_target(c, &target);
        if (r < 0)
                return r;
        r = file_read_limited(c->paths->roster, ROSTER_MAX, &before, &size);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && size == profile->size && memcmp(before, profile->bytes, size) == 0) {
                ret->status = "unchanged";
                return 0;
        }
        if (r == 0 && !o->force) {
                ret->status = "exists";
                return 0;
        }
        r = make_directories(c);
        if (r < 0)
                return r;
        if (before) {
                r = keep_backup(c, before, size, &ret->backup);
                if (r < 0)
                        return r;
        }
        r = file_replace(target, profile->bytes, profile->size, 0600);
        /* The folders are the site's: only what is of this name goes. */
        if (r == 0)
                r = file_sweep(c->paths->roster);
        if (r == 0)
                r = file_sweep(target);
        if (r < 0)
                return r;
        ret->status = "written";
        return make_workdirs(c, &ret->made);
}

/* What runs knows nothing of another supervisor, and that one nothing of it. Returns 0 to go on, an
 * exit code after its sentence, negative errno. */
static int check_nothing_runs(Context *c) {
        _cleanup_strbuf_ StrBuf list = STRBUF_NULL;
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = context_find_active(c, &names, &why);
        if (r == CONTEXT_ACTIVE) {
                for (char **name = names; *name; name++)
                        strbuf_addf(&list, "%s%s", name == names ? "" : ", ", *name);
                return list.failed ? -ENOMEM
                                   : run_refuse(c, "init", EXIT_BLOCKED,
                                                     "the supervisor cannot be changed while "
                                                     "anything runs under %s: %s; nothing was "
                                                     "changed. First: mosaic fleet stop",
                                                     supervisor_to_string(c->record->supervisor),
                                                     strbuf_text(&list));
        }
        if (r == CONTEXT_UNKNOWN)
                return run_refuse(c, "init", EXIT_UNKNOWN,
                                "whether anything runs under %s is not known: %s; nothing was "
                                "changed",
                                supervisor_to_string(c->record->supervisor), why);
        return r;
}

/* For a fleet that has none yet. */
static int first_supervisor(Context *c, const Options *o) {
        if (o->supervisor != _SUPERVISOR_INVALID) {
                c->record->supervisor = o->supervisor;
                return 0;
        }
        if (c->supervisor_error == 0)
                return 0; /* what the machine offers is in the record that was made up */
        return run_refuse(c, "init", EXIT_UNKNOWN,
                        "there is a user manager, but it does not answer (%s), so which supervisor "
                        "to use cannot be told; nothing was written. Repair it, or say "
                        "--supervisor",
                        strerror(-c->supervisor_error));
}

/* The supervisor is chosen here, once; afterwards only --supervisor --force changes it, of a fleet
 * that does not run. TMUX_TMPDIR stays what it was: it is where the server's socket is looked for.
 */
static int choose_supervisor(Context *c, const Options *o) {
        int r;

        if (c->record_exists && (o->supervisor == _SUPERVISOR_INVALID ||
                                                o->supervisor == c->record->supervisor))
                return 0;
        if (c->record_exists && !o->force) {
                complain("init: this fleet is run by '%s'; stop it, then say --force to change "
                         "that",
                                supervisor_to_string(c->record->supervisor));
                return EXIT_USAGE;
        }
        if (c->record_exists)
                r = check_nothing_runs(c);
        else
                r = first_supervisor(c, o);
        if (r != 0)
                return r;
        if (c->record_exists)
                c->record->supervisor = o->supervisor;
        r = fleet_record_write(c->paths, c->record);
        c->record_exists = r == 0;
        return r;
}

/* What was decided while this process waited for the lock counts. */
static int read_record_again(Context *c) {
        FleetRecord *record;
        int r;

        r = fleet_record_read(c->paths, &record);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        fleet_record_free(c->record);
        c->record = record;
        c->record_exists = true;
        return 0;
}

/* What only a person can clear away; NULL: another error. */
static const char *in_the_way(int error) {
        switch (error) {
        case -ELOOP:
                return "it is a symbolic link that leads nowhere; remove it, or make the file it "
                       "names";
        case -EINVAL:
        case -EISDIR:
                return "it is no regular file; move it away";
        default:
                return NULL;
        }
}

static int write_all(Context *c, const Options *o, const Asset *profile, InitResult *ret) {
        _cleanup_close_ int lock = -1;
        int r;

        r = run_lock(c, "init", o, &lock);
        if (r == 0)
                r = read_record_again(c);
        if (r == 0)
                r = choose_supervisor(c, o);
        if (r != 0)
                return r;
        r = write_roster(c, o, profile, ret);
        if (r < 0) {
                const char *obstacle = in_the_way(r);

                complain("init: cannot write %s: %s", c->paths->roster,
                                obstacle ? obstacle : strerror(-r));
                return obstacle ? EXIT_BLOCKED : EXIT_INTERNAL;
        }
        return strcmp(ret->status, "exists") == 0 ? EXIT_BLOCKED : EXIT_OK;
}

static int print_json(const Context *c, const char *profile, const InitResult *result, int code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.init");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "profile", profile);
        json_put_string(&b, "roster", c->paths->roster);
        json_put_string(&b, "status", result->status);
        json_put_string(&b, "backup", result->backup);
        json_put_strv(&b, "made", result->made);
        json_put_string(&b, "supervisor", supervisor_to_string(c->record->supervisor));
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static void print_next(const Context *c) {
        printf("Supervisor: %s\nNext:\n  edit %s\n", supervisor_to_string(c->record->supervisor),
                        c->paths->roster);
        printf("  %s\n  mosaic fleet plan\n  mosaic fleet apply\n",
                        c->record->supervisor == SUPERVISOR_SYSTEMD
                                        ? "mosaic fleet install-systemd"
                                        : "mosaic update   # examples, tools, the schema for your "
                                          "editor");
}

static int say(const Context *c, const Asset *profile, const InitResult *result) {
        if (strcmp(result->status, "unchanged") == 0)
                printf("%s is this profile already; nothing changed\n", c->paths->roster);
        else if (strcmp(result->status, "written") == 0) {
                printf("Wrote %s\n", c->paths->roster);
                if (result->backup)
                        printf("The roster that was there is kept as %s\n", result->backup);
                for (char **dir = result->made; dir && *dir; dir++)
                        printf("Made  %s\n", *dir);
                print_next(c);
        } else {
                int r = print_difference(c, profile);

                if (r < 0)
                        return r;
                printf("%s exists and differs, as shown; nothing changed. To replace it (a copy is "
                       "kept): --force\n",
                                c->paths->roster);
        }
        return 0;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_(init_result_done) InitResult result = { .status = "would-write" };
        _cleanup_options_ Options o = { 0 };
        const Asset *profile;
        int code = EXIT_OK, r;

        r = options_parse(c,
                        OPTION_PROFILE | OPTION_WRITE | OPTION_FORCE | OPTION_SUPERVISOR |
                                        OPTION_LOCK_TIMEOUT,
                        argc, argv, &o);
        if (r != 0)
                return r;
        if (!o.profile)
                o.profile = DEFAULT_PROFILE;
        profile = find_profile(o.profile);
        if (!profile)
                return EXIT_USAGE;
        if (!o.write && !c->json) {
                context_page(c);
                (void)fwrite(profile->bytes, 1, profile->size, stdout);
                fprintf(context_errors(c),
                                "mosaic: nothing was written; --write puts this into %s\n",
                                c->paths->roster);
                return EXIT_OK;
        }
        if (o.write) {
                code = write_all(c, &o, profile, &result);
                /* A roster that is there is shown below; everything else was said. */
                if (code != EXIT_OK && strcmp(result.status, "exists") != 0)
                        return code;
        }
        r = c->json ? print_json(c, o.profile, &result, code) : say(c, profile, &result);
        return r < 0 ? r : code;
}

const Verb verb_fleet_init = {
        .group = "fleet",
        .name = "init",
        .task = TASK_ROSTER,
        .synopsis = "[--profile NAME] [--write] [OPTION...]",
        .summary = "Write a first roster and choose the supervisor",
        .help = "Without --write the roster is printed. One that is there is never overwritten\n"
                "without --force, and then a numbered copy is kept. Directories that the profile\n"
                "names for its agents are made.\n"
                "\n"
                "Options:\n"
                "      --profile NAME     minimal (one pi), local-canary or demo\n"
                "      --write            Write it to $MOSAIC_HOME/fleet/roster.yaml\n"
                "      --force            Replace a roster that is there (a link stays a link);\n"
                "                         with --supervisor: change the supervisor\n"
                "      --supervisor WHO   systemd or direct; without it systemd where there is a\n"
                "                         user manager. Of a fleet that runs it cannot be changed\n"
                "      --lock-timeout T   Wait this long for another writer (30s)\n"
                "      --json             Print what was done as JSON\n"
                "      --color WHEN       auto, always or never\n"
                "      --no-pager         Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0 done or printed, 3 a roster is there and differs or the fleet\n"
                "runs, 6 cannot tell, 7 locked, 64 usage.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet init\n"
                "  mosaic fleet init --profile minimal --write\n",
        .run = run,
};
