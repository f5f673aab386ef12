/* SPDX-License-Identifier: MIT */
#include "drivers/store/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/store/accepted.h"
#include "drivers/store/pacing-record.h"
#include "drivers/store/record.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "model/json.h"
#include "model/talk.h"

#define RECORD_MAX (1024 * 1024)
#define FLEET_HOLD "_fleet"
#define RELOAD_PENDING "reload-pending"
#define CONTROLLER_STOPPED "controller-stopped"

/* "NAME.json" -> NAME, if that may be an agent or is @special. Caller frees; NULL for another
 * file. */
static int record_name(const char *file, const char *special, char **ret) {
        size_t length = strlen(file);
        _cleanup_free_ char *name = NULL;

        *ret = NULL;
        if (length <= 5 || strcmp(file + length - 5, ".json") != 0)
                return 0;
        name = strndup(file, length - 5);
        if (!name)
                return -ENOMEM;
        if (agent_name_is_valid(name) || (special && strcmp(name, special) == 0))
                *ret = TAKE_PTR(name);
        return 0;
}

static void source_failed(Source *source, const char *dir, const char *file, int error) {
        source_set(source, SOURCE_UNKNOWN, "cannot read %s/%s: %s", dir, file,
                        error == -EBADMSG ? "it is not a record of this version; remove it"
                        : error == -EPERM
                                        ? "it is another user's, or others may write it; remove it"
                                        : strerror(-error));
}

/* Opens PARENT/SUB. *ret_dir stays NULL if it is not there, or cannot be read (@source then says
 * so). */
static int
open_records(const char *parent, const char *sub, Source *source, char **ret_path, DIR **ret_dir) {
        int r;

        r = path_join(parent, sub, ret_path);
        if (r < 0)
                return r;
        *ret_dir = opendir(*ret_path);
        if (!*ret_dir && errno != ENOENT)
                source_set(source, SOURCE_UNKNOWN, "cannot read %s: %s", *ret_path,
                                strerror(errno));
        return !*ret_dir && errno == ENOMEM ? -ENOMEM : 0;
}

/* Files that count in the boot they were written in are not waited for when they are written: where
 * the machine crashed, one of them may be there without its content. */
static bool is_of_earlier_boot(int dir, const char *file) {
        uint64_t up = clock_read_usec(CLOCK_BOOTTIME), now = clock_realtime_usec();
        struct stat st;

        return fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
               st.st_mtim.tv_sec >= 0 && now > up &&
               (uint64_t)st.st_mtim.tv_sec < (now - up) / USEC_PER_SEC;
}

typedef int (*AddRecord)(Observed *o, const char *name, const Json *j, void *userdata);

/* Calls @add for every record of a directory whose name @wanted (NULL: all). A directory that is
 * not there holds none. @of_this_boot: such records are void after a crash of the machine, also
 * damaged ones. */
static int each_record(const char *parent,
                const char *sub,
                const char *special,
                bool of_this_boot,
                Source *source,
                bool (*wanted)(const Observed *o, const char *name),
                AddRecord add,
                void *userdata,
                Observed *o) {
        _cleanup_closedir_ DIR *d = NULL;
        _cleanup_free_ char *dir = NULL;
        struct dirent *e;
        int r;

        r = open_records(parent, sub, source, &dir, &d);
        if (r < 0 || !d)
                return r;
        for (errno = 0; (e = readdir(d)); errno = 0) {
                _cleanup_free_ char *name = NULL;
                _cleanup_json_ Json *j = NULL;

                r = record_name(e->d_name, special, &name);
                if (r < 0)
                        return r;
                if (!name || (wanted && !wanted(o, name)))
                        continue;
                r = record_read_at(dirfd(d), e->d_name, RECORD_MAX, &j);
                if (r == -ENOENT)
                        continue; /* removed meanwhile */
                if (r == 0)
                        r = add(o, name, j, userdata);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 && !(r == -EBADMSG && of_this_boot &&
                                             is_of_earlier_boot(dirfd(d), e->d_name)))
                        source_failed(source, dir, e->d_name, r);
        }
        if (errno != 0)
                source_failed(source, dir, "", -errno);
        return 0;
}

/* Accepted specs: by the index where it is right, else from the spec itself. */
static int observe_spec(const Json *index,
                int dir,
                const char *dir_path,
                const char *file,
                const char *name,
                Observed *o) {
        _cleanup_json_ Json *spec = NULL;
        ObservedFiles *f;
        struct stat st;
        int r;

        if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno; /* removed meanwhile */
        f = observed_add_files(o);
        if (!f)
                return -ENOMEM;
        f->agent = strdup(name);
        if (!f->agent)
                return -ENOMEM;
        f->spec = true;
        r = accepted_lookup(index, &st, f);
        if (r != -ENOENT)
                return r;
        r = record_read(dir_path, file, RECORD_MAX, &spec);
        return r < 0 ? r : accepted_from_spec(spec, f);
}

static int observe_specs(const Paths *p, Observed *o) {
        _cleanup_closedir_ DIR *d = NULL;
        _cleanup_free_ char *dir = NULL;
        _cleanup_json_ Json *index = NULL;
        struct dirent *e;
        int r;

        r = accepted_read(p, &index);
        if (r < 0)
                return r;
        r = open_records(p->state, "specs", &o->files, &dir, &d);
        if (r < 0 || !d)
                return r;
        for (errno = 0; (e = readdir(d)); errno = 0) {
                _cleanup_free_ char *name = NULL;

                r = record_name(e->d_name, NULL, &name);
                if (r == 0 && name)
                        r = observe_spec(index, dirfd(d), dir, e->d_name, name, o);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        source_failed(&o->files, dir, e->d_name, r);
        }
        if (errno != 0)
                source_failed(&o->files, dir, "", -errno);
        return 0;
}

static int add_run(Observed *o, const char *name, const Json *j, void *userdata) {
        const char *boot_now = userdata, *boot = json_get_string(j, "boot_id");
        uint64_t pid, server, start;
        ObservedRun *run;
        int r;

        run = observed_add_run(o);
        if (!run)
                return -ENOMEM;
        run->agent = strdup(name);
        if (!run->agent)
                return -ENOMEM;
        if (!boot || json_get_uint64(j, "pid", &pid) < 0 || pid == 0 || pid > INT32_MAX ||
                        json_get_uint64(j, "start_time", &start) < 0 ||
                        json_get_uint64(j, "started_usec", &run->started_usec) < 0 ||
                        record_get_fingerprint(j, "restart_fingerprint", run->restart_fingerprint) <
                                        0 ||
                        record_get_fingerprint(j, "resolved", run->resolved) < 0)
                return -EBADMSG;
        r = json_get_strdup(j, "invocation", /* optional= */ true, &run->invocation);
        if (r == 0)
                r = json_get_strdup(j, "pane_id", /* optional= */ true, &run->pane_id);
        if (r == 0)
                r = json_get_strdup(j, "runtime", /* optional= */ true, &run->runtime);
        if (r == 0)
                r = runtime_talk_get(j, &run->talk);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        run->pid = (pid_t)pid;
        if (json_get_uint64(j, "monotonic_usec", &run->monotonic_usec) < 0)
                run->monotonic_usec = 0; /* of a launcher that did not write it */
        if (json_get_uint64(j, "server_pid", &server) == 0 && server <= INT32_MAX)
                run->server_pid = (pid_t)server;
        r = strcmp(boot, boot_now) == 0 ? proc_is(run->pid, start) : 0;
        run->alive = r > 0;
        return r < 0 ? r : 0;
}

/* What add_stop() needs beside the record. */
typedef struct StopContext {
        const Paths *paths;
        const char *boot_now;
} StopContext;

/* Was this very run ended by us? */
static int read_ours(const Paths *p, ObservedStop *s) {
        _cleanup_free_ char *dir = NULL, *file = NULL;
        _cleanup_json_ Json *j = NULL;
        const char *invocation;
        int r;

        if (!s->invocation)
                return 0;
        r = path_join(p->state, "ended", &dir);
        if (r < 0)
                return r;
        if (format_text(&file, "%s.json", s->agent) < 0)
                return -ENOMEM;
        r = record_read(dir, file, RECORD_MAX, &j);
        /* One that cannot be read proves nothing: the stop is then taken for a person's, and
         * nothing is started that should be down. */
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        invocation = json_get_string(j, "invocation");
        s->ours = invocation && strcmp(invocation, s->invocation) == 0;
        return 0;
}

/* By a record that has the wall clock only, of a launcher that did not write the other. */
static uint64_t monotonic_of(uint64_t at_usec) {
        uint64_t now = clock_realtime_usec(), monotonic = clock_monotonic_usec(),
                 age = now > at_usec ? now - at_usec : 0;

        return monotonic > age ? monotonic - age : 0;
}

static int add_stop(Observed *o, const char *name, const Json *j, void *userdata) {
        const StopContext *context = userdata;
        const char *boot = json_get_string(j, "boot_id");
        ObservedStop *s;
        int r;

        s = observed_add_stop(o);
        if (!s)
                return -ENOMEM;
        s->agent = strdup(name);
        if (!s->agent)
                return -ENOMEM;
        if (!boot || json_get_uint64(j, "at_usec", &s->at_usec) < 0)
                return -EBADMSG;
        if (json_get_uint64(j, "monotonic_usec", &s->monotonic_usec) < 0)
                s->monotonic_usec = monotonic_of(s->at_usec);
        r = json_get_strdup(j, "invocation", /* optional= */ true, &s->invocation);
        if (r == 0)
                r = json_get_strdup(j, "result", /* optional= */ true, &s->result);
        if (r == 0)
                r = json_get_strdup(j, "code", /* optional= */ true, &s->code);
        if (r == 0)
                r = json_get_strdup(j, "status", /* optional= */ true, &s->status);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        observed_stop_classify(s);
        s->this_boot = strcmp(boot, context->boot_now) == 0;
        return read_ours(context->paths, s);
}

static int add_hold(Observed *o, const char *name, const Json *j, void *userdata _unused_) {
        ObservedHold *h;
        int r;

        h = observed_add_hold(o);
        if (!h)
                return -ENOMEM;
        if (strcmp(name, FLEET_HOLD) != 0) {
                h->agent = strdup(name);
                if (!h->agent)
                        return -ENOMEM;
        }
        r = json_get_strdup(j, "by", /* optional= */ false, &h->by);
        if (r == 0)
                r = json_get_strdup(j, "reason", /* optional= */ true, &h->reason);
        if (r == 0)
                r = json_get_uint64(j, "at_usec", &h->at_usec);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                /* Held, though by whom cannot be told: the safe reading. */
                free(h->by);
                h->by = strdup("somebody");
                return h->by ? 0 : -ENOMEM;
        }
        return 0;
}

/* A fact that an empty file states. */
static int set_flag(const Paths *p, const char *name, bool on) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_join(p->state, name, &path);
        if (r < 0)
                return r;
        return on ? file_replace(path, "", 0, 0600) : file_remove_durably(path);
}

static int get_flag(const Paths *p, const char *name, bool *ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_join(p->state, name, &path);
        if (r < 0)
                return r;
        *ret = access(path, F_OK) == 0;
        return 0;
}

static bool is_down(const Observed *o, const char *name) {
        const ObservedRun *run = observed_run(o, name);

        return !run || !run->alive;
}

int store_observe_holds(const Paths *p, Observed *o) {
        return each_record(
                        p->state, "holds", FLEET_HOLD, false, &o->files, NULL, add_hold, NULL, o);
}

int store_observe(const Paths *p, Observed *o) {
        uint64_t before = clock_monotonic_usec();
        char boot[BOOT_ID_SIZE];
        int r;

        o->files.state = o->runs.state = SOURCE_PRESENT;
        r = observe_specs(p, o);
        if (r < 0)
                return r;
        r = store_observe_holds(p, o);
        if (r < 0)
                return r;
        r = get_flag(p, RELOAD_PENDING, &o->reload_pending);
        if (r < 0)
                return r;
        r = pacing_record_read(p, &o->pacing);
        if (r < 0)
                return r;
        o->files.took_usec = clock_monotonic_usec() - before;

        before = clock_monotonic_usec();
        r = proc_boot_id(boot);
        if (r < 0) {
                source_set(&o->runs, SOURCE_UNKNOWN, "cannot read the boot id: %s", strerror(-r));
                return 0;
        }
        r = each_record(p->runtime, "run", NULL, true, &o->runs, NULL, add_run, boot, o);
        if (r < 0)
                return r;
        /* How it ended is asked only of who does not run. */
        observed_sort(o);
        r = each_record(p->state, "stops", NULL, true, &o->runs, is_down, add_stop,
                        &(StopContext){ .paths = p, .boot_now = boot }, o);
        if (r < 0)
                return r;
        o->runs.took_usec = clock_monotonic_usec() - before;
        return 0;
}

int store_observe_end(const Paths *p, const char *agent, Observed *o) {
        _cleanup_free_ char *dir = NULL, *file = NULL;
        _cleanup_json_ Json *j = NULL;
        char boot[BOOT_ID_SIZE];
        int r;

        if (observed_stop(o, agent) || proc_boot_id(boot) < 0)
                return 0;
        r = path_join(p->state, "stops", &dir);
        if (r < 0)
                return r;
        if (format_text(&file, "%s.json", agent) < 0)
                return -ENOMEM;
        r = record_read(dir, file, RECORD_MAX, &j);
        if (r == 0)
                r = add_stop(o, agent, j, &(StopContext){ .paths = p, .boot_now = boot });
        observed_sort(o);
        return r == -ENOMEM ? r : 0;
}

int store_observe_units(Observed *o) {
        o->manager.state = SOURCE_PRESENT;
        for (size_t i = 0; i < o->n_run; i++) {
                ObservedUnit *u;

                if (!o->run[i].alive)
                        continue;
                u = observed_add_unit(o);
                if (!u)
                        return -ENOMEM;
                u->agent = strdup(o->run[i].agent);
                if (!u->agent)
                        return -ENOMEM;
                u->state = UNIT_ACTIVE;
                u->main_pid = o->run[i].pid;
                u->memory = u->cpu_usec = UINT64_MAX;
                u->changed_usec = o->run[i].started_usec;
        }
        return 0;
}

static int put_spec(const AgentSpec *s, char **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "name", s->name);
        json_put_string(&b, "runtime", s->runtime);
        json_put_strv(&b, "argv", s->argv);
        json_put_string(&b, "workdir", s->workdir);
        json_put_strv(&b, "env", s->env);
        json_put_strv(&b, "env_pass", s->env_pass);
        json_put_strv(&b, "env_files", s->env_files);
        json_open_array(&b, "credentials");
        for (size_t i = 0; i < s->n_credentials; i++) {
                json_open_object(&b, NULL);
                json_put_string(&b, "variable", s->credentials[i].variable);
                json_put_string(&b, "file", s->credentials[i].file);
                json_close(&b);
        }
        json_close(&b);
        json_put_strv(&b, "success_exit_status", s->success_exit_status);
        json_put_uint(&b, "stop_timeout_usec", s->stop_timeout_usec);
        runtime_talk_put(&b, &s->talk);
        json_put_string(&b, "restart_fingerprint", s->restart_fingerprint);
        json_put_string(&b, "live_fingerprint", s->live_fingerprint);
        json_put_string(&b, "resolved", s->resolved);
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, ret);
}

/* All of them below the state directory; @durable: on disk when this returns. */
static int write_records(const Paths *p,
                const char *sub,
                char *const *names,
                char *const *texts,
                bool durable) {
        _cleanup_free_ char *dir = NULL;
        int r;

        r = path_join(p->state, sub, &dir);
        if (r == 0)
                r = dir_make(dir);
        if (r < 0)
                return r;
        return durable ? file_replace_many(dir, names, texts, 0600)
                       : file_replace_many_volatile(dir, names, texts, 0600);
}

int store_write_specs(const Paths *p, AgentSpec *const *specs, size_t n) {
        _cleanup_strv_ char **names = NULL, **texts = NULL;
        int r;

        if (n == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                char *text;

                r = strv_pushf(&names, "%s.json", specs[i]->name);
                if (r < 0)
                        return r;
                r = put_spec(specs[i], &text);
                if (r < 0)
                        return r;
                r = strv_take(&texts, text);
                if (r < 0)
                        return r;
        }
        r = write_records(p, "specs", names, texts, /* durable= */ true);
        return r < 0 ? r : accepted_update(p, specs, n);
}

static int put_end(const char *invocation, char **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "invocation", invocation);
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, ret);
}

int store_announce_stops(const Paths *p, const Observed *o, char *const *agents) {
        _cleanup_strv_ char **names = NULL, **texts = NULL;

        for (; *agents; agents++) {
                const char *invocation = observed_invocation(o, *agents);
                char *text;
                int r;

                if (!invocation)
                        continue;
                r = strv_pushf(&names, "%s.json", *agents);
                if (r < 0)
                        return r;
                r = put_end(invocation, &text);
                if (r < 0)
                        return r;
                r = strv_take(&texts, text);
                if (r < 0)
                        return r;
        }
        /* They are about invocations, which a crash of the machine ends. */
        return names ? write_records(p, "ended", names, texts, /* durable= */ false) : 0;
}

static int record_path(const char *parent, const char *sub, const char *name, char **ret) {
        return format_text(ret, "%s/%s/%s.json", parent, sub, name) < 0 ? -ENOMEM : 0;
}

static int remove_record(const char *parent, const char *sub, const char *name) {
        _cleanup_free_ char *path = NULL;
        int r = record_path(parent, sub, name, &path);

        return r < 0 ? r : file_remove(path);
}

int store_knows(const Paths *p, const char *agent) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (!agent_name_is_valid(agent))
                return 0;
        r = record_path(p->state, "specs", agent, &path);
        if (r < 0)
                return r;
        if (access(path, F_OK) == 0)
                return 1;
        return errno == ENOENT ? 0 : -errno;
}

int store_remove_agent(const Paths *p, const char *agent) {
        int r;

        /* The spec last: while it is there, the next pass knows that there is something to remove.
         * A hold is gone for certain before it is: an agent that gets this name later would not be
         * started. The others say nothing of another boot. */
        r = remove_record(p->runtime, "run", agent);
        if (r < 0)
                return r;
        r = remove_record(p->state, "stops", agent);
        if (r < 0)
                return r;
        r = remove_record(p->state, "ended", agent);
        if (r < 0)
                return r;
        r = store_release(p, agent);
        if (r < 0)
                return r;
        return remove_record(p->state, "specs", agent);
}

int store_hold(const Paths *p, const char *agent, const char *by, const char *reason) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *dir = NULL, *path = NULL, *text = NULL;
        int r;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "by", by);
        json_put_string(&b, "reason", reason);
        json_put_uint(&b, "at_usec", clock_realtime_usec());
        json_close(&b);
        r = json_finish_text(&b, JSON_PLAIN, &text);
        if (r < 0)
                return r;
        r = path_join(p->state, "holds", &dir);
        if (r < 0)
                return r;
        r = dir_make(dir);
        if (r < 0)
                return r;
        if (format_text(&path, "%s/%s.json", dir, agent ? agent : FLEET_HOLD) < 0)
                return -ENOMEM;
        return file_replace(path, text, strlen(text), 0600);
}

int store_release(const Paths *p, const char *agent) {
        _cleanup_free_ char *path = NULL;
        int r = record_path(p->state, "holds", agent ? agent : FLEET_HOLD, &path);

        return r < 0 ? r : file_remove_durably(path);
}

int store_forget_stop(const Paths *p, const char *agent) {
        return remove_record(p->state, "stops", agent);
}

int store_expect_reload(const Paths *p) {
        return set_flag(p, RELOAD_PENDING, true);
}

int store_reloaded(const Paths *p) {
        return set_flag(p, RELOAD_PENDING, false);
}

int store_set_controller_stopped(const Paths *p, bool stopped) {
        return set_flag(p, CONTROLLER_STOPPED, stopped);
}

int store_controller_stopped(const Paths *p, bool *ret) {
        return get_flag(p, CONTROLLER_STOPPED, ret);
}

int store_write_server(const Paths *p, pid_t pid) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *path = NULL, *text = NULL;
        uint64_t start;
        int r;

        r = proc_start_time(pid, &start);
        if (r < 0)
                return r;
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_uint(&b, "pid", (uint64_t)pid);
        json_put_uint(&b, "start_time", start);
        json_close(&b);
        r = json_finish_text(&b, JSON_PLAIN, &text);
        if (r == 0)
                r = dir_make(p->runtime);
        if (r == 0)
                r = path_join(p->runtime, "server.json", &path);
        return r < 0 ? r : file_replace(path, text, strlen(text), 0600);
}

int store_read_server(const Paths *p, pid_t *ret) {
        _cleanup_json_ Json *j = NULL;
        uint64_t pid, start;
        int r;

        r = record_read(p->runtime, "server.json", RECORD_MAX, &j);
        if (record_error_passes(r))
                return r;
        if (r < 0 || json_get_uint64(j, "pid", &pid) < 0 || pid == 0 || pid > INT32_MAX ||
                        json_get_uint64(j, "start_time", &start) < 0)
                return -ESRCH;
        r = proc_is((pid_t)pid, start);
        if (r <= 0)
                return r < 0 ? r : -ESRCH;
        *ret = (pid_t)pid;
        return 0;
}
