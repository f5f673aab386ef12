/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/install.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "drivers/systemd/dropin.h"
#include "drivers/systemd/install-internal.h"
#include "drivers/systemd/unit-name.h"
#include "model/base/strv.h"

/* --- does anything run? ----------------------------------------------------------------------- */

/* Splits what is loaded into what runs and what failed (and would stay in memory for that). */
static int sort_out(const Paths *p, const Observed *o, char ***active, char ***failed) {
        const struct {
                const char *unit;
                UnitState state;
        } others[] = {
                { "tmux-holder", o->holder },
                { "fleet", o->controller },
        };
        int r;

        for (size_t i = 0; i < o->n_units + ELEMENTSOF(others); i++) {
                bool is_agent = i < o->n_units;
                UnitState state = is_agent ? o->units[i].state : others[i - o->n_units].state;
                char *unit;

                if (!unit_state_is_active(state) && state != UNIT_FAILED)
                        continue;
                if (is_agent)
                        r = paths_agent_unit(p, o->units[i].agent, &unit);
                else
                        r = paths_unit(p, others[i - o->n_units].unit, &unit);
                if (r >= 0)
                        r = strv_take(state == UNIT_FAILED ? failed : active, unit);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* 0: no unit of ours runs; UNINSTALL_ACTIVE; negative: not known. What runs without a manager is
 * the caller's to look for. */
static int check_units(const Paths *p, bool dry_run, InstallReport *report) {
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(observed_freep) Observed *o = NULL;
        _cleanup_strv_ char **active = NULL, **failed = NULL;
        int r;

        r = manager_open(p, INSTALL_MANAGER_TIMEOUT_USEC, &m);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return 0; /* no manager, so no units */
        if (r < 0)
                return r;
        r = observed_new(SUPERVISOR_SYSTEMD, &o);
        if (r < 0)
                return r;
        r = manager_observe(m, p, /* details_for_all= */ false, o);
        if (r < 0)
                return r;
        if (o->manager.state != SOURCE_PRESENT)
                return -ETIMEDOUT;
        r = sort_out(p, o, &active, &failed);
        if (r < 0)
                return r;
        if (active) {
                report->active = TAKE_PTR(active);
                return UNINSTALL_ACTIVE;
        }
        if (failed && !dry_run)
                (void)!manager_reset_failed(
                                m, failed); /* else they stay listed as failed, no more */
        return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static bool is_below(const char *path, const char *directory) {
        size_t n = strlen(directory);

        return strncmp(path, directory, n) == 0 && path[n] == '/';
}

static int remove_path(const Paths *p,
                const char *path,
                const char *note,
                bool dry_run,
                InstallReport *report) {
        int r = dry_run ? 0 : file_remove(path);

        if (r < 0)
                return install_report_add(
                                report, path, INSTALL_FAILED, "cannot remove it: %s", strerror(-r));
        if (is_below(path, p->units))
                report->units_changed = true;
        return install_report_add(report, path, INSTALL_REMOVED, note ? "%s" : NULL, note);
}

/* What is kept stays in the manifest, for a later uninstall with `purge`. */
static int keep_changed(const char *path, const UninstallOptions *options, InstallReport *report) {
        return install_report_add(report, path, INSTALL_KEPT, "%s",
                        options->remove_state
                                        ? "changed since it was installed, so it is yours now"
                                        : "changed since it was installed; --purge removes it");
}

static int remove_installed(const Paths *p,
                const UninstallOptions *options,
                Manifest *manifest,
                InstallReport *report) {
        for (size_t i = manifest->n_entries; i-- > 0;) {
                _cleanup_free_ char *path = strdup(manifest->entries[i].path);
                size_t n_left = report->counts[INSTALL_KEPT] + report->counts[INSTALL_FAILED];
                FileFacts facts;
                bool ours;
                int r;

                if (!path)
                        return -ENOMEM;
                r = file_facts_read(path, &facts);
                if (r < 0)
                        return r;
                ours = facts.kind == FILE_REGULAR && manifest_owns(manifest, path, facts.sha256);
                r = options->dry_run ? 0 : file_sweep(path);
                if (r < 0)
                        return r;
                if (facts.kind == FILE_ABSENT)
                        r = 0;
                else if (ours)
                        r = remove_path(p, path, NULL, options->dry_run, report);
                else if (options->purge)
                        r = remove_path(p, path, "had been changed", options->dry_run, report);
                else
                        r = keep_changed(path, options, report);
                if (r < 0)
                        return r;
                if (report->counts[INSTALL_KEPT] + report->counts[INSTALL_FAILED] == n_left)
                        manifest_drop(manifest, path);
        }
        return 0;
}

static int remove_dropin(const Paths *p, const char *agent, bool dry_run, InstallReport *report) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = dropin_path(p, agent, &path);
        if (r < 0)
                return r;
        if (access(path, F_OK) < 0)
                return dry_run ? 0 : dropin_remove(p, agent);
        if (dry_run)
                return remove_path(p, path, NULL, true, report);
        r = dropin_remove(p, agent);
        if (r < 0)
                return install_report_add(
                                report, path, INSTALL_FAILED, "cannot remove it: %s", strerror(-r));
        report->units_changed = true;
        return install_report_add(report, path, INSTALL_REMOVED, NULL);
}

/* A unit of ours by name: the holder, the controller, the boot unit, an instance of the
 * template. */
static int is_unit_of_ours(const Paths *p, const char *name, bool *ret) {
        static const char *const others[] = { "tmux-holder", "fleet", "fleet-boot" };
        _cleanup_free_ char *agent = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_free_ char *unit = NULL;

                r = paths_unit(p, others[i], &unit);
                if (r < 0)
                        return r;
                if (strcmp(unit, name) == 0) {
                        *ret = true;
                        return 0;
                }
        }
        r = unit_name_agent(p, name, ".service", &agent);
        *ret = agent != NULL;
        return r;
}

/* What `systemctl --user enable` left in one NAME.wants directory: such links would dangle. */
static int remove_links(
                const Paths *p, const char *directory, bool dry_run, InstallReport *report) {
        _cleanup_closedir_ DIR *d = opendir(directory);
        struct dirent *entry;

        if (!d)
                return errno == ENOMEM ? -ENOMEM : 0;
        while ((entry = readdir(d))) {
                _cleanup_free_ char *path = NULL;
                struct stat st;
                bool ours;
                int r;

                if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                                !S_ISLNK(st.st_mode))
                        continue;
                r = is_unit_of_ours(p, entry->d_name, &ours);
                if (r < 0)
                        return r;
                if (!ours)
                        continue;
                r = path_join(directory, entry->d_name, &path);
                if (r < 0)
                        return r;
                r = remove_path(p, path, "was enabled", dry_run, report);
                if (r < 0)
                        return r;
        }
        if (!dry_run)
                (void)rmdir(directory); /* not empty: somebody else's links */
        return 0;
}

static bool ends_with(const char *s, const char *suffix) {
        size_t n = strlen(s), n_suffix = strlen(suffix);

        return n > n_suffix && strcmp(s + n - n_suffix, suffix) == 0;
}

static int remove_dropins_and_links(const Paths *p, bool dry_run, InstallReport *report) {
        _cleanup_closedir_ DIR *d = opendir(p->units);
        struct dirent *entry;

        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while ((entry = readdir(d))) {
                _cleanup_free_ char *agent = NULL, *path = NULL;
                int r;

                r = unit_name_agent(p, entry->d_name, ".service.d", &agent);
                if (r >= 0 && agent)
                        r = remove_dropin(p, agent, dry_run, report);
                else if (r >= 0 && (ends_with(entry->d_name, ".wants") ||
                                                   ends_with(entry->d_name, ".requires"))) {
                        r = path_join(p->units, entry->d_name, &path);
                        if (r >= 0)
                                r = remove_links(p, path, dry_run, report);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- directories ------------------------------------------------------------------------------ */

static int by_length_descending(const void *a, const void *b) {
        size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

        return x > y ? -1 : x < y;
}

/* Those we made, inner ones first, if they are empty. */
static int remove_directories(Manifest *manifest) {
        _cleanup_strv_ char **left = NULL;
        int r;

        r = strv_copy(NULL, &left);
        if (r < 0)
                return r;
        if (manifest->directories)
                qsort(manifest->directories, strv_length(manifest->directories), sizeof(char *),
                                by_length_descending);
        for (char **dir = manifest->directories; dir && *dir; dir++)
                if (rmdir(*dir) < 0 && errno != ENOENT) {
                        r = strv_push(&left, *dir);
                        if (r < 0)
                                return r;
                }
        strv_free(manifest->directories);
        manifest->directories = TAKE_PTR(left);
        return 0;
}

/* Everything below @name in the directory @at, and itself; @last goes at the end. Follows no
 * link. */
static int remove_tree(int at, const char *name, const char *last) {
        _cleanup_closedir_ DIR *d = NULL;
        struct dirent *entry;
        int fd, r;

        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                if (errno == ENOENT)
                        return 0;
                if (errno != ENOTDIR && errno != ELOOP)
                        return -errno;
                return unlinkat(at, name, 0) < 0 && errno != ENOENT ? -errno : 0;
        }
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                (void)close(fd);
                return r;
        }
        while ((entry = readdir(d))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                                (last && strcmp(entry->d_name, last) == 0))
                        continue;
                r = remove_tree(dirfd(d), entry->d_name, NULL);
                if (r < 0)
                        return r;
        }
        if (last && unlinkat(dirfd(d), last, 0) < 0 && errno != ENOENT)
                return -errno;
        return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* The directory of this fleet, then the one above it ("mosaic") if no other fleet is in it. */
static int remove_fleet_directory(
                const Paths *p, const char *path, bool dry_run, InstallReport *report) {
        _cleanup_free_ char *above = NULL;
        int r;

        /* A last look at what is about to be removed with everything in it. */
        if (!ends_with(path, p->id_or_default) && !ends_with(path, "/runtime"))
                return -EINVAL;
        if (access(path, F_OK) < 0)
                return 0;
        /* Once the lock is gone another writer may take a new one: it then finds nothing else. */
        r = dry_run ? 0 : remove_tree(AT_FDCWD, path, "lock");
        if (r < 0)
                return install_report_add(
                                report, path, INSTALL_FAILED, "cannot remove it: %s", strerror(-r));
        above = strndup(path, (size_t)(strrchr(path, '/') - path));
        if (!above)
                return -ENOMEM;
        if (!dry_run && ends_with(above, "/mosaic"))
                (void)rmdir(above); /* not empty: another fleet's */
        return install_report_add(report, path, INSTALL_REMOVED, NULL);
}

static int remove_state(const Paths *p, bool dry_run, InstallReport *report) {
        int r;

        r = remove_fleet_directory(p, p->runtime, dry_run, report);
        if (r < 0)
                return r;
        return remove_fleet_directory(p, p->state, dry_run, report);
}

/* --- all together ----------------------------------------------------------------------------- */

/* What could not be removed, or was kept, stays known; else the manifest goes as well. */
static int put_manifest_away(const Paths *p, const Manifest *manifest) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (manifest->n_entries > 0)
                return manifest_write(p, manifest);
        r = manifest_path(p, &path);
        if (r < 0)
                return r;
        return file_remove(path);
}

int units_uninstall(const Paths *p, const UninstallOptions *options, InstallReport **ret) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        _cleanup_manifest_ Manifest manifest = { 0 };
        int r;

        r = install_report_new(&report);
        if (r < 0)
                return r;
        r = check_units(p, options->dry_run, report);
        if (r == UNINSTALL_ACTIVE)
                *ret = TAKE_PTR(report);
        if (r != 0)
                return r;
        r = manifest_read(p, &manifest);
        if (r < 0)
                return r;

        r = remove_installed(p, options, &manifest, report);
        if (r < 0)
                return r;
        r = remove_dropins_and_links(p, options->dry_run, report);
        if (r < 0)
                return r;
        if (!options->dry_run) {
                r = remove_directories(&manifest);
                if (r >= 0)
                        r = put_manifest_away(p, &manifest);
                if (r >= 0)
                        r = install_reload(p, report);
                if (r < 0)
                        return r;
        }
        if (options->remove_state) {
                r = remove_state(p, options->dry_run, report);
                if (r < 0)
                        return r;
        }
        install_report_sort(report);
        *ret = TAKE_PTR(report);
        return 0;
}
