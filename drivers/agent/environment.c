/* SPDX-License-Identifier: MIT */
#include "drivers/agent/environment.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/env-file.h"
#include "drivers/os/file.h"
#include "model/base/strv.h"

/* HOME, USER, LOGNAME, SHELL. A user manager has them all; only without one the database is asked,
 * as that costs more than the rest of the launcher. */
static int add_user(char ***env) {
        static const char *const names[] = { "HOME", "USER", "LOGNAME", "SHELL" };
        const struct passwd *pw = NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *value = getenv(names[i]);
                int r;

                if (!value || !*value) {
                        if (!pw) {
                                errno = 0;
                                pw = getpwuid(geteuid());
                        }
                        if (!pw)
                                return refuse("%s is not set and the user database has no user %u",
                                                names[i], (unsigned)geteuid());
                        value = i == 0 ? pw->pw_dir : i == 3 ? pw->pw_shell : pw->pw_name;
                }
                r = strv_env_set(env, names[i], value);
                if (r < 0)
                        return no_memory();
        }
        return 0;
}

static int add_passed(char ***env, char *const *names) {
        for (; names && *names; names++) {
                const char *value = getenv(*names);

                if (value && strv_env_set(env, *names, value) < 0)
                        return no_memory();
        }
        return 0;
}

/* "NAME=VALUE" words. */
static int add_words(char ***env, char *const *words) {
        for (; words && *words; words++) {
                _cleanup_free_ char *name = NULL;
                const char *equals = strchr(*words, '=');

                if (!equals)
                        return refuse("a word of the environment has no value; run `mosaic fleet "
                                      "apply`");
                name = strndup(*words, (size_t)(equals - *words));
                if (!name || strv_env_set(env, name, equals + 1) < 0)
                        return no_memory();
        }
        return 0;
}

static int add_file(char ***env, const char *path) {
        _cleanup_free_ char *bytes = NULL;
        const char *problem;
        unsigned line;
        size_t size;
        int r;

        r = file_read_limited(path, ENV_FILE_MAX, &bytes, &size);
        if (r == -ENOMEM)
                return no_memory();
        if (r == -EINVAL)
                return refuse("environment file %s is not a regular file", path);
        if (r < 0)
                return refuse("cannot read environment file %s: %s", path, strerror(-r));
        r = env_file_parse(bytes, size, env, &line, &problem);
        explicit_bzero(bytes, size);
        if (r == -EINVAL)
                return refuse("environment file %s, line %u: %s", path, line, problem);
        return r < 0 ? no_memory() : 0;
}

/* Who else could read or change the file could read or change the secret. */
static int check_credential(const char *path, const struct stat *st) {
        if (!S_ISREG(st->st_mode))
                return refuse("credential %s is not a regular file", path);
        if (st->st_uid != geteuid() && st->st_uid != 0)
                return refuse("credential %s belongs to another user (%u)", path,
                                (unsigned)st->st_uid);
        if (st->st_mode & 077)
                return refuse("credential %s is open to others (mode %04o); run `chmod 600 %s`",
                                path, (unsigned)(st->st_mode & 07777), path);
        return 0;
}

static int add_credential(char ***env, const Credential *c) {
        _cleanup_free_ char *bytes = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;
        size_t size;
        int r;

        fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return refuse("cannot read credential %s: %s", c->file, strerror(errno));
        r = check_credential(c->file, &st);
        if (r != 0)
                return r;
        r = file_read_fd(fd, CREDENTIAL_MAX, &bytes, &size);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return refuse("cannot read credential %s: %s", c->file, strerror(-r));
        if (size > 0 && bytes[size - 1] == '\n')
                bytes[--size] = '\0';
        if (memchr(bytes, '\0', size))
                r = refuse("credential %s holds a NUL byte, which no environment can carry",
                                c->file);
        else
                r = strv_env_set(env, c->variable, bytes) < 0 ? no_memory() : 0;
        explicit_bzero(bytes, size);
        return r;
}

int environment_make(const Launcher *l, const AgentSpec *spec, char *const *terminal, char ***ret) {
        _cleanup_strv_ char **env = NULL;
        int r;

        r = add_user(&env);
        if (r != 0)
                return r;
        r = add_passed(&env, spec->env_pass);
        if (r != 0)
                return r;
        r = add_words(&env, terminal);
        if (r != 0)
                return r;
        if (strv_env_set(&env, "MOSAIC_AGENT", l->name) < 0 ||
                        strv_env_set(&env, "MOSAIC_HOME", l->home) < 0)
                return no_memory();
        for (char **f = spec->env_files; f && *f; f++) {
                r = add_file(&env, *f);
                if (r != 0)
                        return r;
        }
        r = add_words(&env, spec->env);
        if (r != 0)
                return r;
        for (size_t i = 0; i < spec->n_credentials; i++) {
                r = add_credential(&env, spec->credentials + i);
                if (r != 0)
                        return r;
        }
        *ret = TAKE_PTR(env);
        return 0;
}
