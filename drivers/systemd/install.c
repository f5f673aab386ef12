/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/install.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "drivers/systemd/install-internal.h"
#include "drivers/systemd/template.h"
#include "framework/assets.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/strv.h"

/* --- the report ------------------------------------------------------------------------------- */

const char *install_status_to_string(InstallStatus s) {
        static const char *const names[_INSTALL_STATUS_MAX] = {
                [INSTALL_NEW] = "new",
                [INSTALL_UPDATED] = "updated",
                [INSTALL_UNCHANGED] = "unchanged",
                [INSTALL_MODIFIED] = "modified",
                [INSTALL_REMOVED] = "removed",
                [INSTALL_KEPT] = "kept",
                [INSTALL_FAILED] = "failed",
        };

        assert(s < _INSTALL_STATUS_MAX);
        return names[s];
}

int install_report_new(InstallReport **ret) {
        InstallReport *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *ret = r;
        return 0;
}

InstallReport *install_report_free(InstallReport *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_items; i++) {
                free(r->items[i].path);
                free(r->items[i].note);
        }
        free(r->items);
        free(r->reload_note);
        strv_free(r->active);
        free(r);
        return NULL;
}

int install_report_add(
                InstallReport *r, const char *path, InstallStatus status, const char *note, ...) {
        InstallItem *item = array_grow(&r->items, r->n_items, sizeof(InstallItem));

        if (!item)
                return -ENOMEM;
        item->status = status;
        item->path = strdup(path);
        if (!item->path)
                return -ENOMEM;
        r->n_items++;
        r->counts[status]++;
        if (note) {
                va_list ap;
                int q;

                va_start(ap, note);
                q = format_valist(&item->note, note, ap);
                va_end(ap);
                return q;
        }
        return 0;
}

static int compare_items(const void *a, const void *b) {
        const InstallItem *x = a, *y = b;

        return strcmp(x->path, y->path);
}

void install_report_sort(InstallReport *r) {
        if (r->n_items > 0)
                qsort(r->items, r->n_items, sizeof(InstallItem), compare_items);
}

int file_facts_read(const char *path, FileFacts *ret) {
        _cleanup_free_ char *bytes = NULL;
        FileFacts facts = { .kind = FILE_OTHER };
        struct stat st;
        size_t size;
        int r;

        if (lstat(path, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        return -errno;
                *ret = (FileFacts){ .kind = FILE_ABSENT };
                return 0;
        }
        if (S_ISREG(st.st_mode) && st.st_size <= INSTALLED_SIZE_MAX) {
                r = file_read_limited(path, INSTALLED_SIZE_MAX, &bytes, &size);
                if (r < 0)
                        return r;
                facts.kind = FILE_REGULAR;
                facts.mode = st.st_mode & 07777;
                sha256_hex(bytes, size, facts.sha256);
        }
        *ret = facts;
        return 0;
}

int install_reload(const Paths *p, InstallReport *report) {
        _cleanup_(manager_freep) Manager *m = NULL;
        Source source = { 0 };
        int r;

        if (!report->units_changed)
                return 0;
        r = manager_open(p, INSTALL_MANAGER_TIMEOUT_USEC, &m);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                manager_open_error(r, &source);
                report->reload_note = source.why;
                return 0;
        }
        r = manager_reload(m);
        if (r < 0) {
                if (format_text(&report->reload_note,
                                    "daemon-reload failed (%s): run 'systemctl --user "
                                    "daemon-reload'",
                                    manager_error(m)) < 0)
                        return -ENOMEM;
                return 0;
        }
        report->reloaded = true;
        return 0;
}

bool units_are_installed(const Paths *p) {
        static const char *const names[] = { "agent@.service", "tmux-holder.service" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;

                if (format_text(&path, "%s/%s%s", p->units, p->unit_prefix, names[i]) < 0)
                        return false;
                if (access(path, F_OK) < 0)
                        return false;
        }
        return true;
}

/* --- what is to be there ---------------------------------------------------------------------- */

typedef struct WantedFile {
        char *path;
        char *text;
        size_t size;
        unsigned mode;
        bool is_unit;
        char sha256[SHA256_HEX_SIZE];
        FileFacts facts;      /* what is there now */
        InstallStatus status; /* what is to be done */
} WantedFile;

typedef struct Installation {
        const Paths *paths;
        bool dry_run;
        bool no_units;
        Manifest manifest;
        WantedFile *files;
        size_t n_files;
        InstallReport *report;
} Installation;

static void installation_done(Installation *in) {
        for (size_t i = 0; i < in->n_files; i++) {
                free(in->files[i].path);
                free(in->files[i].text);
        }
        free(in->files);
        manifest_done(&in->manifest);
        install_report_free(in->report);
}

static const char *after_prefix(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Adds a file; owns @path and @text from here on. */
static int
want(Installation *in, char *path, char *text, size_t size, unsigned mode, bool is_unit) {
        WantedFile *f = array_grow(&in->files, in->n_files, sizeof(WantedFile));

        if (!f) {
                free(path);
                free(text);
                return -ENOMEM;
        }
        *f = (WantedFile){
                .path = path, .text = text, .size = size, .mode = mode, .is_unit = is_unit
        };
        sha256_hex(text, size, f->sha256);
        in->n_files++;
        return 0;
}

static int want_unit(Installation *in,
                const Asset *a,
                const char *asset_name,
                const char *tmux_tmpdir,
                const char **culprit) {
        _cleanup_free_ char *name = NULL, *path = NULL, *text = NULL;
        size_t size;
        int r;

        r = template_unit_name(in->paths, asset_name, &name);
        if (r < 0 || !name)
                return r;
        r = template_render((const char *)a->bytes, in->paths, tmux_tmpdir, culprit, &text);
        if (r < 0)
                return r;
        r = path_join(in->paths->units, name, &path);
        if (r < 0)
                return r;
        size = strlen(text);
        return want(in, TAKE_PTR(path), TAKE_PTR(text), size, a->mode, /* is_unit= */ true);
}

static int want_copy(Installation *in, const Asset *a) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        r = path_join(in->paths->home, a->path, &path);
        if (r < 0)
                return r;
        text = malloc(a->size + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, a->bytes, a->size);
        text[a->size] = '\0';
        return want(in, TAKE_PTR(path), TAKE_PTR(text), a->size, a->mode, /* is_unit= */ false);
}

/* The built-in runtimes are not copied: they are read from the program, so that they always fit
 * it. */
static bool is_copied(const char *path) {
        return after_prefix(path, "tools/") || after_prefix(path, "fleet/examples/") ||
               strcmp(path, "fleet/roster.schema.json") == 0;
}

static int want_all(Installation *in, const char *tmux_tmpdir, const char **culprit) {
        for (size_t i = 0; i < n_assets; i++) {
                const char *unit = after_prefix(assets[i].path, "systemd/user/");
                int r = 0;

                if (unit && in->no_units)
                        continue;
                if (unit)
                        r = want_unit(in, &assets[i], unit, tmux_tmpdir, culprit);
                else if (is_copied(assets[i].path))
                        r = want_copy(in, &assets[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- deciding --------------------------------------------------------------------------------- */

static int decide(Installation *in, WantedFile *f) {
        int r;

        r = file_facts_read(f->path, &f->facts);
        if (r < 0)
                return r;
        switch (f->facts.kind) {
        case FILE_ABSENT:
                f->status = INSTALL_NEW;
                break;
        case FILE_REGULAR:
                if (strcmp(f->facts.sha256, f->sha256) == 0)
                        f->status = f->facts.mode == f->mode ? INSTALL_UNCHANGED : INSTALL_UPDATED;
                else if (manifest_owns(&in->manifest, f->path, f->facts.sha256))
                        f->status = INSTALL_UPDATED;
                else
                        f->status = INSTALL_MODIFIED;
                break;
        case FILE_OTHER:
                f->status = INSTALL_MODIFIED;
                break;
        }
        return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Makes the directory of @path and notes in the manifest what was not there. */
static int make_parents(Installation *in, const char *path) {
        _cleanup_strv_ char **made = NULL;
        _cleanup_free_ char *parent = NULL;
        size_t n = 0;
        int r;

        parent = strndup(path, (size_t)(strrchr(path, '/') - path));
        if (!parent)
                return -ENOMEM;
        for (char *end = parent; end;) {
                end = strchr(end + 1, '/');
                if (end)
                        *end = '\0';
                if (access(parent, F_OK) < 0) {
                        r = strv_push(&made, parent);
                        if (r < 0)
                                return r;
                }
                if (end)
                        *end = '/';
        }
        r = dir_make(parent);
        if (r < 0)
                return r;
        n = strv_length(made);
        for (size_t i = 0; i < n; i++)
                if (!strv_find(in->manifest.directories, made[i])) {
                        r = strv_push(&in->manifest.directories, made[i]);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int write_file(Installation *in, const char *path, const WantedFile *f) {
        int r;

        r = make_parents(in, path);
        if (r < 0)
                return r;
        r = file_replace(path, f->text, f->size, (mode_t)f->mode);
        return r < 0 ? r : file_sweep(path);
}

/* The new version beside a file of the user's; not written again if it is there. */
static int write_beside(Installation *in, const WantedFile *f) {
        _cleanup_free_ char *beside = NULL;
        FileFacts facts;
        int r;

        if (format_text(&beside, "%s.new", f->path) < 0)
                return -ENOMEM;
        r = file_facts_read(beside, &facts);
        if (r < 0)
                return r;
        if (!in->dry_run && (facts.kind != FILE_REGULAR || strcmp(facts.sha256, f->sha256) != 0)) {
                r = write_file(in, beside, f);
                if (r < 0)
                        return r;
        }
        r = manifest_put(&in->manifest, beside, f->sha256, f->mode, /* keep_previous= */ false);
        if (r < 0)
                return r;
        /* The path is ours all the same: uninstall names it, or removes it if told to. */
        if (!manifest_find(&in->manifest, f->path)) {
                r = manifest_put(&in->manifest, f->path, f->sha256, f->mode,
                                /* keep_previous= */ false);
                if (r < 0)
                        return r;
        }
        return install_report_add(in->report, f->path, INSTALL_MODIFIED,
                        "kept as it is; this version's is %s", beside);
}

/* Once a file is ours again, an unchanged NAME.new is no longer of use. */
static int drop_beside(Installation *in, const WantedFile *f) {
        _cleanup_free_ char *beside = NULL;
        FileFacts facts;
        int r;

        if (format_text(&beside, "%s.new", f->path) < 0)
                return -ENOMEM;
        if (!manifest_find(&in->manifest, beside))
                return 0;
        r = file_facts_read(beside, &facts);
        if (r < 0)
                return r;
        if (!in->dry_run && facts.kind == FILE_REGULAR &&
                        manifest_owns(&in->manifest, beside, facts.sha256)) {
                r = file_remove(beside);
                if (r < 0)
                        return r;
        }
        manifest_drop(&in->manifest, beside);
        return 0;
}

static int apply_one(Installation *in, const WantedFile *f) {
        bool write = f->status == INSTALL_NEW || f->status == INSTALL_UPDATED;
        int r = 0;

        if (f->status == INSTALL_MODIFIED)
                return write_beside(in, f);
        if (write && !in->dry_run)
                r = write_file(in, f->path, f);
        if (r < 0)
                return r;
        if (write && f->is_unit)
                in->report->units_changed = true;
        r = drop_beside(in, f);
        if (r < 0)
                return r;
        r = manifest_put(&in->manifest, f->path, f->sha256, f->mode, /* keep_previous= */ false);
        if (r < 0)
                return r;
        return install_report_add(in->report, f->path, f->status, NULL);
}

/* Files that an earlier version installed and this one has not. */
static int remove_dropped(Installation *in) {
        for (size_t i = in->manifest.n_entries; i-- > 0;) {
                const ManifestEntry *e = &in->manifest.entries[i];
                _cleanup_free_ char *path = strdup(e->path);
                FileFacts facts;
                bool wanted = false;
                size_t n;
                int r;

                if (!path)
                        return -ENOMEM;
                n = strlen(path);
                for (size_t k = 0; k < in->n_files && !wanted; k++) {
                        size_t length = strlen(in->files[k].path);

                        wanted = strncmp(path, in->files[k].path, length) == 0 &&
                                 (n == length || strcmp(path + length, ".new") == 0);
                }
                /* Whoever leaves the units out has no say about them. */
                if (wanted || (in->no_units && after_prefix(path, in->paths->units)))
                        continue;
                r = file_facts_read(path, &facts);
                if (r < 0)
                        return r;
                if (facts.kind != FILE_ABSENT &&
                                !(facts.kind == FILE_REGULAR &&
                                                manifest_owns(&in->manifest, path, facts.sha256))) {
                        r = install_report_add(in->report, path, INSTALL_KEPT,
                                        "no longer part of mosaic, but changed by you");
                } else if (facts.kind == FILE_REGULAR) {
                        r = in->dry_run ? 0 : file_remove(path);
                        if (r >= 0)
                                r = install_report_add(in->report, path, INSTALL_REMOVED,
                                                "no longer part of mosaic");
                        in->report->units_changed |= after_prefix(path, in->paths->units) != NULL;
                }
                if (r < 0)
                        return r;
                manifest_drop(&in->manifest, path);
        }
        return 0;
}

/* Before anything is replaced, the manifest says what it will be replaced with. */
static int announce(Installation *in) {
        bool any = false;
        int r;

        for (size_t i = 0; i < in->n_files; i++) {
                WantedFile *f = &in->files[i];

                if (f->status != INSTALL_NEW && f->status != INSTALL_UPDATED)
                        continue;
                any = true;
                r = manifest_put(&in->manifest, f->path, f->sha256, f->mode,
                                /* keep_previous= */ true);
                if (r < 0)
                        return r;
        }
        return any ? manifest_write(in->paths, &in->manifest) : 0;
}

static bool manifest_is_current(const Installation *in, const Manifest *before) {
        if (before->n_entries != in->manifest.n_entries ||
                        !strv_equal(before->directories, in->manifest.directories))
                return false;
        for (size_t i = 0; i < before->n_entries; i++) {
                const ManifestEntry *a = &before->entries[i];
                const ManifestEntry *b = manifest_find(&in->manifest, a->path);

                if (!b || strcmp(a->sha256, b->sha256) != 0 ||
                                strcmp(a->previous, b->previous) != 0 || a->mode != b->mode)
                        return false;
        }
        return true;
}

static int install_files(Installation *in) {
        _cleanup_manifest_ Manifest before = { 0 };
        int r;

        for (size_t i = 0; i < in->n_files; i++) {
                r = decide(in, &in->files[i]);
                if (r < 0)
                        return r;
        }
        if (!in->dry_run) {
                r = announce(in);
                if (r < 0)
                        return r;
                r = manifest_read(in->paths, &before);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < in->n_files; i++) {
                r = apply_one(in, &in->files[i]);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        r = install_report_add(in->report, in->files[i].path, INSTALL_FAILED,
                                        "cannot write it: %s", strerror(-r));
                if (r < 0)
                        return r;
        }
        r = remove_dropped(in);
        if (r < 0 || in->dry_run || manifest_is_current(in, &before))
                return r;
        return manifest_write(in->paths, &in->manifest);
}

/* The manager must look where the units are; with a foreign XDG_CONFIG_HOME it may not. */
static int check_unit_path(const Paths *p, InstallReport *report) {
        _cleanup_(manager_freep) Manager *m = NULL;
        bool contains;
        int r;

        if (report->reload_note || manager_open(p, INSTALL_MANAGER_TIMEOUT_USEC, &m) < 0)
                return 0;
        r = manager_unit_path_contains(m, p->units, &contains);
        if (r < 0 || contains)
                return r == -ENOMEM ? r : 0;
        if (format_text(&report->reload_note,
                            "the user manager reads no units from %s: its XDG_CONFIG_HOME differs "
                            "from yours",
                            p->units) < 0)
                return -ENOMEM;
        return 0;
}

int units_install(const Paths *p,
                const char *tmux_tmpdir,
                unsigned flags,
                char **ret_culprit,
                InstallReport **ret) {
        _cleanup_(installation_done) Installation in = {
                .paths = p,
                .dry_run = flags & INSTALL_DRY_RUN,
                .no_units = flags & INSTALL_NO_UNITS,
        };
        const char *culprit = NULL;
        int r;

        r = install_report_new(&in.report);
        if (r < 0)
                return r;
        r = manifest_read(p, &in.manifest);
        if (r < 0)
                return r;
        r = want_all(&in, tmux_tmpdir, &culprit);
        if (r == -EILSEQ && ret_culprit) {
                *ret_culprit = strdup(culprit);
                if (!*ret_culprit)
                        return -ENOMEM;
        }
        if (r < 0)
                return r;
        r = install_files(&in);
        if (r < 0)
                return r;
        if (!in.dry_run) {
                r = install_reload(p, in.report);
                if (r < 0)
                        return r;
        }
        r = check_unit_path(p, in.report);
        if (r < 0)
                return r;
        install_report_sort(in.report);
        *ret = TAKE_PTR(in.report);
        return 0;
}
