/* SPDX-License-Identifier: MIT */
#include "drivers/os/site-check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/env-file.h"
#include "drivers/os/file.h"
#include "drivers/os/ownership.h"
#include "drivers/os/process.h"
#include "model/base/format.h"
#include "model/base/pointer.h"
#include "model/base/strv.h"

/* Hundreds of agents start a handful of programs: each is looked for once. Borrowed. */
typedef struct Found {
        const char *name;
        const char *path;
        int error;
} Found;

/* The same holds for files of variables. */
typedef struct ReadFile {
        const char *path; /* that was read last, and is as it should be; borrowed */
        char *sets_path;  /* its PATH, if it has one */
} ReadFile;

typedef struct Site {
        const Desired *desired;
        const Machine *machine;
        Diags *diags;
        AgentSpec *spec; /* the agent that is looked at */
        Found *last;     /* the program that was looked for last, and is no matter of a directory */
        ReadFile *file;
} Site;

/* --- findings --------------------------------------------------------------------------------- */

/* Where the roster says it: for the agent itself, else in the defaults, else at the agent's
 * name. */
static Span place(const Site *s, const char *key, const char *part, StrBuf *pointer) {
        _cleanup_strbuf_ StrBuf defaults = STRBUF_NULL;
        Span span;

        strbuf_add(pointer, "/agents");
        pointer_add(pointer, s->spec->name);
        span = desired_place(s->desired, strbuf_text(pointer));
        if (!key)
                return span;
        strbuf_add(&defaults, "/defaults");
        pointer_add(&defaults, key);
        pointer_add(pointer, key);
        if (part) {
                pointer_add(&defaults, part);
                pointer_add(pointer, part);
        }
        if (desired_place(s->desired, strbuf_text(pointer)).start != SIZE_MAX)
                return desired_place(s->desired, strbuf_text(pointer));
        if (desired_place(s->desired, strbuf_text(&defaults)).start != SIZE_MAX)
                return desired_place(s->desired, strbuf_text(&defaults));
        return span;
}

/* Adds a warning and, for the first one of the agent, blocks it. */
static int block(const Site *s,
                const char *code,
                const char *key,
                const char *part,
                const char *help,
                const char *format,
                ...) _printf_(6, 7);

static int block(const Site *s,
                const char *code,
                const char *key,
                const char *part,
                const char *help,
                const char *format,
                ...) {
        _cleanup_strbuf_ StrBuf pointer = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;
        va_list ap;
        Span span;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        span = place(s, key, part, &pointer);
        (void)diags_add(s->diags, SEVERITY_WARNING, code, span, strbuf_text(&pointer), help,
                        "agent \"%s\" cannot start here: %s", s->spec->name, text);
        if (s->spec->blocked_text)
                return 0;
        if (format_text(&s->spec->blocked_text, "%s%s%s", text, help ? "; " : "",
                            help ? help : "") < 0)
                return -ENOMEM;
        return 0;
}

/* --- directories and files -------------------------------------------------------------------- */

static int check_workdir(const Site *s) {
        _cleanup_free_ char *help = NULL;
        const char *path = s->spec->workdir;
        struct stat st;

        if (stat(path, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        return block(s, "workdir-unusable", "workdir", NULL, NULL,
                                        "cannot look at its directory: %s", strerror(errno));
                if (format_text(&help, "mkdir -p %s", path) < 0)
                        return -ENOMEM;
                return block(s, "workdir-missing", "workdir", NULL, help,
                                "its directory does not exist");
        }
        if (!S_ISDIR(st.st_mode))
                return block(s, "workdir-not-a-directory", "workdir", NULL, NULL,
                                "its workdir is no directory");
        if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
                return block(s, "workdir-unusable", "workdir", NULL, NULL,
                                "its directory cannot be entered: %s", strerror(errno));
        return 0;
}

/* A regular file that can be read; *ret is valid if 0 is returned and the agent is not blocked by
 * it. */
static int check_readable(const Site *s,
                const char *code,
                const char *key,
                const char *part,
                const char *path,
                struct stat *ret,
                bool *ok) {
        *ok = false;
        if (stat(path, ret) < 0)
                return block(s, code, key, part, NULL, "cannot read %s: %s", path, strerror(errno));
        if (!S_ISREG(ret->st_mode))
                return block(s, code, key, part, NULL, "%s is no regular file", path);
        if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
                return block(s, code, key, part, NULL, "cannot read %s: %s", path, strerror(errno));
        *ok = true;
        return 0;
}

/* The launcher reads it when the agent has been stopped already: what it would refuse is said
 * before. The words never quote the file, which may hold secrets. */
static int read_env_file(const Site *s, const char *part, const char *path) {
        _cleanup_strv_ char **env = NULL;
        _cleanup_free_ char *bytes = NULL;
        const char *problem = NULL;
        unsigned line = 0;
        size_t size;
        int r;

        if (s->file->path && strcmp(s->file->path, path) == 0)
                return 0;
        free(s->file->sets_path);
        *s->file = (ReadFile){ 0 };
        r = file_read_limited(path, ENV_FILE_MAX, &bytes, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return block(s, "env-file-unreadable", "env_files", part, NULL,
                                "cannot read %s: %s", path, strerror(-r));
        r = env_file_parse(bytes, size, &env, &line, &problem);
        explicit_bzero(bytes, size);
        if (r == 0 && strv_env_get(env, "PATH")) {
                s->file->sets_path = strdup(strv_env_get(env, "PATH"));
                if (!s->file->sets_path)
                        r = -ENOMEM;
        }
        for (char **e = env; e && *e; e++)
                explicit_bzero(*e, strlen(*e));
        if (r == -EINVAL)
                return block(s, "env-file-invalid", "env_files", part, NULL, "%s, line %u: %s",
                                path, line, problem);
        if (r == 0)
                s->file->path = path;
        return r;
}

/* *ret_path: the PATH that the files set, NULL if none does. */
static int check_env_files(const Site *s, char **ret_path) {
        for (size_t i = 0; s->spec->env_files && s->spec->env_files[i]; i++) {
                const char *path = s->spec->env_files[i];
                _cleanup_strbuf_ StrBuf pointer = STRBUF_NULL;
                struct stat st;
                char part[24];
                bool ok;
                int r;

                (void)snprintf(part, sizeof(part), "%zu", i);
                r = check_readable(s, "env-file-unreadable", "env_files", part, path, &st, &ok);
                if (r < 0)
                        return r;
                if (!ok)
                        continue;
                if (st.st_uid != geteuid() && st.st_uid != 0) {
                        r = block(s, "env-file-owner", "env_files", part, NULL,
                                        "%s belongs to another user", path);
                        if (r < 0)
                                return r;
                        continue;
                }
                r = read_env_file(s, part, path);
                if (r < 0)
                        return r;
                if (s->file->path && s->file->sets_path) { /* later files win */
                        free(*ret_path);
                        *ret_path = strdup(s->file->sets_path);
                        if (!*ret_path)
                                return -ENOMEM;
                }
                if (others_may_write(&st)) {
                        Span span = place(s, "env_files", part, &pointer);

                        (void)diags_add(s->diags, SEVERITY_WARNING, "env-file-writable", span,
                                        strbuf_text(&pointer), "chmod go-w on it",
                                        "other users may write %s", path);
                }
        }
        return 0;
}

/* As with files of variables; what is wrong with the text is all that is said of it. */
static int check_credential_text(const Site *s, const Credential *c) {
        _cleanup_free_ char *bytes = NULL;
        bool has_nul;
        size_t size;
        int r;

        r = file_read_limited(c->file, CREDENTIAL_MAX, &bytes, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return block(s, "credential-unreadable", "credentials", c->variable, NULL,
                                "cannot read %s: %s", c->file, strerror(-r));
        has_nul = memchr(bytes, '\0', size);
        explicit_bzero(bytes, size);
        if (!has_nul)
                return 0;
        return block(s, "credential-invalid", "credentials", c->variable, NULL,
                        "%s holds a NUL byte, which no variable can", c->file);
}

static int check_credentials(const Site *s) {
        for (size_t i = 0; i < s->spec->n_credentials; i++) {
                const Credential *c = &s->spec->credentials[i];
                _cleanup_free_ char *help = NULL;
                struct stat st;
                bool ok;
                int r;

                r = check_readable(s, "credential-unreadable", "credentials", c->variable, c->file,
                                &st, &ok);
                if (r < 0)
                        return r;
                if (!ok)
                        continue;
                if (st.st_uid != geteuid() && st.st_uid != 0)
                        r = block(s, "credential-owner", "credentials", c->variable, NULL,
                                        "%s belongs to another user", c->file);
                else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
                        if (format_text(&help, "chmod 600 %s", c->file) < 0)
                                return -ENOMEM;
                        r = block(s, "credential-mode", "credentials", c->variable, help,
                                        "other users may read %s", c->file);
                } else if (st.st_size > CREDENTIAL_MAX)
                        r = block(s, "credential-too-large", "credentials", c->variable, NULL,
                                        "%s is longer than a variable can be (127 KiB)", c->file);
                else
                        r = check_credential_text(s, c);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- programs --------------------------------------------------------------------------------- */

/* Of errno; what may not be reached or run is no program. */
static int why_not(void) {
        return errno == ENOTDIR || errno == EACCES ? -ENOENT : -errno;
}

/* 0, -ENOENT if there is none that can be run, or why that could not be told. */
static int look_for_program(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return why_not();
        if (!S_ISREG(st.st_mode))
                return -ENOENT;
        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? why_not() : 0;
}

/* The same for a name. As where the launcher looks, relative entries of PATH start at the agent's
 * directory, empty ones count for nothing, and one that cannot be looked at is passed over. */
static int find_in_path(const char *name, const char *path, const char *workdir) {
        int result = -ENOENT;
        size_t n;

        for (const char *p = path; *p; p += n + (p[n] == ':')) {
                _cleanup_free_ char *candidate = NULL;
                bool relative = *p != '/';
                int r;

                n = strcspn(p, ":");
                if (n == 0)
                        continue;
                if (format_text(&candidate, "%s%s%.*s/%s", relative ? workdir : "",
                                    relative ? "/" : "", (int)n, p, name) < 0)
                        return -ENOMEM;
                r = look_for_program(candidate);
                if (r == 0)
                        return 0;
                if (result == -ENOENT)
                        result = r;
        }
        return result;
}

/* Is the program the same for agents of all directories? */
static bool is_common(const char *name, const char *path) {
        if (strchr(name, '/'))
                return name[0] == '/';
        for (const char *p = path; *p; p += *p == ':') {
                if (*p != '/')
                        return false;
                p += strcspn(p, ":");
        }
        return true;
}

static int find_program(const Site *s, const char *name, const char *path) {
        _cleanup_free_ char *full = NULL;

        if (name[0] == '/')
                return look_for_program(name);
        if (!strchr(name, '/'))
                return find_in_path(name, path, s->spec->workdir);
        if (format_text(&full, "%s/%s", s->spec->workdir, name) < 0)
                return -ENOMEM;
        return look_for_program(full);
}

/* @files_path: the PATH of its env_files, NULL if they have none. */
static int check_program(const Site *s, const char *files_path) {
        const char *name = s->spec->argv[0], *path = strv_env_get(s->spec->env, "PATH");
        bool set = path || files_path, passed = strv_find(s->spec->env_pass, "PATH");
        Found *last = s->last;
        int r;

        if (!path)
                path = files_path ? files_path : passed ? s->machine->path : NULL;
        if (!path || !*path)
                path = PROCESS_DEFAULT_PATH;
        if (last->name && strcmp(last->name, name) == 0 && strcmp(last->path, path) == 0)
                r = last->error;
        else
                r = find_program(s, name, path);
        if (r == -ENOMEM)
                return r;
        if (is_common(name, path) && path != files_path)
                *last = (Found){ .name = name, .path = path, .error = r };
        if (r == 0)
                return 0;
        if (r != -ENOENT)
                return block(s, "program-unusable", "runtime", NULL, NULL,
                                "cannot look at its program %s: %s", name, strerror(-r));
        s->spec->program_missing = !s->spec->blocked_text;
        if (!set && !passed && !strchr(name, '/'))
                return block(s, "program-missing", "env_pass", NULL, "add PATH to its env_pass",
                                "the program \"%s\" is not in " PROCESS_DEFAULT_PATH
                                ", and env_pass leaves PATH out",
                                name);
        return block(s, "program-missing", "runtime", NULL, s->spec->install,
                        strchr(name, '/') ? "there is no program %s"
                                          : "the program \"%s\" is not in the agents' PATH",
                        name);
}

/* --- the roster's own place ------------------------------------------------------------------- */

/* Whoever can write a directory above the roster can replace it. Up to the home, or the root. */
static int check_directories(const char *roster_path, const Machine *m, Diags *diags) {
        _cleanup_free_ char *path = NULL;
        struct stat st;
        char *slash;

        path = strdup(roster_path);
        if (!path)
                return -ENOMEM;
        while ((slash = strrchr(path, '/')) && slash > path) {
                *slash = '\0';
                if (strcmp(path, m->user_home) == 0)
                        break;
                if (stat(path, &st) < 0)
                        continue;
                /* in a sticky directory only the owner of a file can replace it */
                if (!(st.st_mode & S_ISVTX) && others_may_write(&st)) {
                        (void)diags_add(diags, SEVERITY_WARNING, "roster-directory-writable",
                                        SPAN_NONE, NULL, "chmod go-w on it",
                                        "other users may replace the roster: they may write %s",
                                        path);
                        break;
                }
        }
        return 0;
}

static int check_agent(const Site *s) {
        _cleanup_free_ char *files_path = NULL;
        int r;

        free(s->spec->blocked_text);
        s->spec->blocked_text = NULL;
        s->spec->program_missing = false;
        if (s->spec->elsewhere || s->spec->state == DESIRED_STOPPED)
                return 0;
        r = check_workdir(s);
        if (r == 0)
                r = check_env_files(s, &files_path);
        if (r == 0)
                r = check_program(s, files_path);
        if (r == 0)
                r = check_credentials(s);
        return r;
}

int site_check(const Desired *d, const char *roster_path, const Machine *m, Diags *diags) {
        Found last = { 0 };
        ReadFile file = { 0 };
        int r;

        r = check_directories(roster_path, m, diags);
        for (size_t i = 0; r == 0 && i < d->n_agents; i++) {
                const Site s = {
                        .desired = d,
                        .machine = m,
                        .diags = diags,
                        .spec = d->agents[i],
                        .last = &last,
                        .file = &file,
                };

                r = check_agent(&s);
        }
        free(file.sets_path);
        if (r == 0)
                diags_sort(diags);
        return r;
}
