/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-state.h"

#include <assert.h>
#include <string.h>

#include "drivers/os/file.h"
#include "drivers/os/lock.h"
#include "drivers/os/proc.h"
#include "drivers/store/record.h"

#define FILE_NAME "controller.json"
#define STATE_MAX (256 * 1024)

const char *condition_type_to_string(ConditionType t) {
        static const char *const names[_CONDITION_TYPE_MAX] = {
                [CONDITION_ROSTER] = "RosterAccepted",
                [CONDITION_CONVERGED] = "Converged",
                [CONDITION_FILES] = "WatchingFiles",
                [CONDITION_MANAGER] = "WatchingUnits",
        };

        assert(t < _CONDITION_TYPE_MAX);
        return names[t];
}

void watch_state_done(WatchState *s) {
        for (int t = 0; t < _CONDITION_TYPE_MAX; t++)
                free(s->conditions[t].message);
        *s = (WatchState){ 0 };
}

bool watch_state_set(WatchState *s,
                ConditionType type,
                bool status,
                const char *reason,
                const char *message,
                uint64_t now_usec) {
        WatchCondition *c = s->conditions + type;
        char before[sizeof(c->reason)];
        bool changed;

        (void)memcpy(before, c->reason, sizeof(before));
        (void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
        changed = !c->is_set || c->status != status || strcmp(c->reason, before) != 0;
        c->is_set = true;
        c->status = status;
        free(c->message);
        c->message = message ? strdup(message) : NULL;
        if (changed)
                c->since_usec = now_usec;
        return changed;
}

static void put_conditions(JsonBuilder *b, const WatchState *s) {
        json_open_array(b, "conditions");
        for (int t = 0; t < _CONDITION_TYPE_MAX; t++) {
                const WatchCondition *c = s->conditions + t;

                if (!c->is_set)
                        continue;
                json_open_object(b, NULL);
                json_put_string(b, "type", condition_type_to_string((ConditionType)t));
                json_put_bool(b, "status", c->status);
                json_put_string(b, "reason", c->reason);
                json_put_string(b, "message", c->message);
                json_put_uint(b, "since_usec", c->since_usec);
                json_close(b);
        }
        json_close(b);
}

static int put_state(const WatchState *s, char **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        char boot[BOOT_ID_SIZE];
        uint64_t start;
        int r;

        r = proc_boot_id(boot);
        if (r == 0)
                r = proc_start_time(getpid(), &start);
        if (r < 0)
                return r;
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "boot_id", boot);
        json_put_uint(&b, "pid", (uint64_t)getpid());
        json_put_uint(&b, "start_time", start);
        json_put_string(&b, "mosaic", MOSAIC_VERSION);
        json_put_uint(&b, "started_usec", s->started_usec);
        json_put_uint(&b, "generation", s->generation);
        json_put_string(&b, "roster_sha256", *s->roster_sha256 ? s->roster_sha256 : NULL);
        json_put_uint(&b, "passes", s->n_passes);
        json_open_object(&b, "last_pass");
        json_put_uint(&b, "at_usec", s->pass_usec);
        json_put_uint(&b, "took_ms", s->took_msec);
        json_put_string(&b, "cause", s->cause);
        json_put_uint(&b, "actions", s->n_actions);
        json_put_int(&b, "exit", s->exit);
        json_close(&b);
        json_put_uint(&b, "next_pass_usec", s->next_usec);
        put_conditions(&b, s);
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, ret);
}

int watch_state_write(const Context *c, const WatchState *s, char **ret_text) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        r = put_state(s, &text);
        if (r == 0)
                r = dir_make(c->paths->runtime);
        if (r == 0)
                r = path_join(c->paths->runtime, FILE_NAME, &path);
        if (r == 0)
                r = file_replace_volatile(path, text, strlen(text), 0600);
        if (r == 0 && ret_text)
                *ret_text = TAKE_PTR(text);
        return r;
}

void watch_state_remove(const Context *c) {
        _cleanup_free_ char *path = NULL;

        /* What is left behind is not believed: its writer is gone. */
        if (path_join(c->paths->runtime, FILE_NAME, &path) == 0 && file_remove(path) < 0)
                return;
}

/* Is it of a process that lives? 1 or 0; negative errno: that could not be looked at. */
static int is_believed(const Json *j) {
        const char *boot = json_get_string(j, "boot_id");
        char boot_now[BOOT_ID_SIZE];
        uint64_t pid, start;

        if (!boot || proc_boot_id(boot_now) < 0 || strcmp(boot, boot_now) != 0 ||
                        json_get_uint64(j, "pid", &pid) < 0 || pid > INT32_MAX ||
                        json_get_uint64(j, "start_time", &start) < 0)
                return 0;
        return proc_is((pid_t)pid, start);
}

/* One that cannot write its file (a full disk, a directory that is not ours any more) still has its
 * lock. */
static int read_lock(const Paths *p, Json **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        pid_t pid = lock_controller(p);

        if (pid == 0)
                return 0;
        json_open_object(&b, NULL);
        json_put_uint(&b, "pid", (uint64_t)pid);
        json_close(&b);
        return json_finish(&b, ret);
}

int watch_state_read(const Paths *p, Json **ret) {
        _cleanup_json_ Json *j = NULL;
        int r;

        *ret = NULL;
        r = record_read(p->runtime, FILE_NAME, STATE_MAX, &j);
        if (r < 0)
                r = record_error_passes(r) ? r : 0;
        else
                r = is_believed(j);
        if (r <= 0)
                return r < 0 ? r : read_lock(p, ret);
        *ret = TAKE_PTR(j);
        return 0;
}

const char *watch_state_other_version(const Json *controller) {
        const char *version = controller ? json_get_string(controller, "mosaic") : NULL;

        return version && strcmp(version, MOSAIC_VERSION) != 0 ? version : NULL;
}
