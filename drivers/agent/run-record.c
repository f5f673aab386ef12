/* SPDX-License-Identifier: MIT */
#include "drivers/agent/run-record.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/os/process.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "model/talk.h"

#define RECORD_MAX (64 * 1024)
#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define HANGUP_TIMEOUT_USEC (2 * USEC_PER_SEC)

static int record_path(const Launcher *l, char **ret) {
        return format_text(ret, "%s/run/%s.json", l->runtime, l->name);
}

/* --- the one before --------------------------------------------------------------------------- */

/* A descriptor of the process that the record names, if it lives; -ESRCH if not. A record that
 * cannot be read proves nothing. */
static int open_previous(const Launcher *l, pid_t *ret_pid) {
        _cleanup_free_ char *path = NULL, *bytes = NULL;
        _cleanup_json_ Json *j = NULL;
        _cleanup_close_ int fd = -1;
        char boot_id[BOOT_ID_SIZE];
        const char *boot;
        uint64_t pid, start;
        size_t size;
        int r;

        r = record_path(l, &path);
        if (r < 0)
                return r;
        r = file_read_own(path, RECORD_MAX, &bytes, &size);
        if (r == 0)
                r = json_parse(bytes, size, &j);
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        if (r < 0)
                return -ESRCH;
        boot = json_get_string(j, "boot_id");
        if (!boot || json_get_uint64(j, "pid", &pid) < 0 || pid == 0 || pid > INT_MAX ||
                        json_get_uint64(j, "start_time", &start) < 0 || (pid_t)pid == getpid())
                return -ESRCH;
        r = proc_boot_id(boot_id);
        if (r < 0)
                return r;
        if (strcmp(boot, boot_id) != 0)
                return -ESRCH;
        /* Opened before it is compared: so it is that process and cannot become another one. */
        fd = pidfd_open((pid_t)pid, 0);
        if (fd < 0)
                return -errno;
        r = proc_is((pid_t)pid, start);
        if (r <= 0)
                return r < 0 ? r : -ESRCH;
        *ret_pid = (pid_t)pid;
        return TAKE_FD(fd);
}

static bool ends_within(int pidfd, uint64_t usec) {
        uint64_t deadline;

        if (__builtin_add_overflow(clock_monotonic_usec(), usec, &deadline))
                deadline = UINT64_MAX;
        return process_wait_end(pidfd, deadline);
}

int run_record_check(const Launcher *l, const AgentSpec *spec, bool end) {
        static const int signals[] = { SIGTERM, SIGHUP, SIGCONT };
        _cleanup_close_ int fd = -1;
        pid_t pid = 0;

        fd = open_previous(l, &pid);
        if (fd == -ESRCH)
                return 0;
        if (fd == -ENOMEM)
                return no_memory();
        if (fd < 0)
                return try_again("cannot tell whether an earlier agent still runs: %s",
                                strerror(-fd));
        /* Its pane may have gone a moment ago, and the hangup is still on its way to it. */
        if (ends_within(fd, end ? 0 : HANGUP_TIMEOUT_USEC))
                return 0;
        if (!end)
                return try_again("an agent of that name still runs as process %ld, without a "
                                 "pane and outside of this unit",
                                (long)pid);
        say("ending process %ld, an earlier agent that has lost its pane", (long)pid);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)pidfd_send_signal(fd, signals[i], NULL, 0);
        if (ends_within(fd, spec->stop_timeout_usec))
                return 0;
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
        if (ends_within(fd, KILL_TIMEOUT_USEC))
                return 0;
        return try_again("process %ld, an earlier agent, does not end", (long)pid);
}

/* --- run/NAME.json ---------------------------------------------------------------------------- */

/* $TMUX is "SOCKET,PID,SESSION". */
static uint64_t server_pid(char *const *terminal) {
        _cleanup_free_ char *copy = NULL;
        const char *tmux = strv_env_get(terminal, "TMUX");
        char *comma;
        uint64_t pid;

        if (!tmux || !(copy = strdup(tmux)))
                return 0;
        comma = strrchr(copy, ',');
        if (!comma)
                return 0;
        *comma = '\0';
        comma = strrchr(copy, ',');
        return comma && parse_uint64(comma + 1, &pid) == 0 ? pid : 0;
}

int run_record_write(const Launcher *l, const AgentSpec *spec, char *const *terminal) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *j = NULL;
        char boot_id[BOOT_ID_SIZE];
        uint64_t start_time;
        int r;

        r = proc_boot_id(boot_id);
        if (r == 0)
                r = proc_start_time(getpid(), &start_time);
        if (r < 0)
                return try_again("cannot read /proc: %s", strerror(-r));
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "boot_id", boot_id);
        json_put_uint(&b, "pid", (uint64_t)getpid());
        json_put_uint(&b, "start_time", start_time);
        json_put_uint(&b, "started_usec", clock_realtime_usec());
        json_put_uint(&b, "monotonic_usec", clock_monotonic_usec());
        json_put_string(&b, "invocation", getenv("INVOCATION_ID"));
        json_put_string(&b, "pane_id", strv_env_get(terminal, "TMUX_PANE"));
        json_put_uint(&b, "server_pid", server_pid(terminal));
        json_put_string(&b, "runtime", spec->runtime);
        runtime_talk_put(&b, &spec->talk);
        json_put_string(&b, "restart_fingerprint", spec->restart_fingerprint);
        json_put_string(&b, "live_fingerprint", spec->live_fingerprint);
        json_put_string(&b, "resolved", spec->resolved);
        json_close(&b);
        r = json_finish(&b, &j);
        if (r == 0)
                r = write_record(l->runtime, "run", l->name, j);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return try_again("cannot write %s/run/%s.json: %s", l->runtime, l->name,
                                strerror(-r));
        return 0;
}

void run_record_remove(const Launcher *l) {
        _cleanup_free_ char *path = NULL;

        /* One that stays is harmless: the record of a dead process proves nothing. */
        if (record_path(l, &path) == 0 && file_remove(path) < 0)
                say("cannot remove %s", path);
}

/* --- stops/NAME.json -------------------------------------------------------------------------- */

/* As systemd judges a service: exit 0, these four signals, and what SuccessExitStatus= adds. */
static bool is_success(const char *code, const char *status, char *const *success) {
        static const char *const clean[] = { "HUP", "INT", "TERM", "PIPE" };
        bool exited = strcmp(code, "exited") == 0;

        if (exited && strcmp(status, "0") == 0)
                return true;
        if (!exited && strcmp(code, "killed") != 0)
                return false;
        for (size_t i = 0; !exited && i < ELEMENTSOF(clean); i++)
                if (strcmp(status, clean[i]) == 0)
                        return true;
        for (; success && *success; success++) {
                const char *word = *success;

                if (!exited && strncmp(word, "SIG", 3) == 0)
                        word += 3;
                if (strcmp(word, status) == 0)
                        return true;
        }
        return false;
}

/* systemd says it; under `direct` the keeper says "timeout" or nothing. */
static int service_result(
                const Launcher *l, const char *code, const char *status, const char **ret) {
        _cleanup_(agent_spec_freep) AgentSpec *spec = NULL;
        const char *result = getenv("SERVICE_RESULT");

        if (result && *result) {
                *ret = result;
                return 0;
        }
        if (!code || !status) {
                *ret = NULL;
                return 0;
        }
        /* Without the spec (it was removed meanwhile) the plain rules hold. */
        if (read_spec(l, &spec) == LAUNCHER_TRY_AGAIN)
                return LAUNCHER_TRY_AGAIN;
        if (is_success(code, status, spec ? spec->success_exit_status : NULL))
                *ret = "success";
        else if (strcmp(code, "exited") == 0)
                *ret = "exit-code";
        else
                *ret = strcmp(code, "dumped") == 0 ? "core-dump" : "signal";
        return 0;
}

int stop_record_write(const Launcher *l) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *j = NULL;
        const char *code = getenv("EXIT_CODE"), *status = getenv("EXIT_STATUS"), *result;
        char boot_id[BOOT_ID_SIZE];
        int r;

        r = service_result(l, code, status, &result);
        if (r != 0)
                return r;
        r = proc_boot_id(boot_id);
        if (r < 0)
                return try_again("cannot read /proc: %s", strerror(-r));
        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "boot_id", boot_id);
        json_put_string(&b, "invocation", getenv("INVOCATION_ID"));
        json_put_string(&b, "result", result);
        json_put_string(&b, "code", code);
        json_put_string(&b, "status", status);
        json_put_uint(&b, "at_usec", clock_realtime_usec());
        json_put_uint(&b, "monotonic_usec", clock_monotonic_usec());
        json_close(&b);
        r = json_finish(&b, &j);
        if (r == 0)
                r = write_record(l->state, "stops", l->name, j);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return try_again("cannot write %s/stops/%s.json: %s", l->state, l->name,
                                strerror(-r));
        return 0;
}
