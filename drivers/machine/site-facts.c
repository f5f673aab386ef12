/* SPDX-License-Identifier: MIT */
#include "drivers/machine/site-facts.h"

#include <string.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "drivers/store/store.h"
#include "drivers/systemd/manager.h"
#include "model/base/format.h"
#include "model/base/parse.h"

#define MANAGER_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define ENVIRONMENT_MAX (4 * 1024 * 1024)

void site_facts_done(SiteFacts *f) {
        free(f->hostname);
        free(f->path);
        *f = (SiteFacts){ 0 };
}

int site_facts_manager_path(const Paths *p, char **ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        *ret = NULL;
        r = manager_open(p, MANAGER_TIMEOUT_USEC, &m);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = manager_search_path(m, ret);
        return r == -ENOMEM ? r : 0;
}

int site_facts_server_path(const Paths *p, char **ret) {
        _cleanup_free_ char *name = NULL, *block = NULL;
        size_t size;
        pid_t pid;
        int r;

        *ret = NULL;
        r = store_read_server(p, &pid);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (format_text(&name, "/proc/%d/environ", pid) < 0)
                return -ENOMEM;
        r = file_read_limited(name, ENVIRONMENT_MAX, &block, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (const char *s = block; s < block + size; s += strlen(s) + 1)
                if (strncmp(s, "PATH=", 5) == 0) {
                        *ret = strdup(s + 5);
                        return *ret ? 0 : -ENOMEM;
                }
        return 0;
}

int site_facts_set_path(SiteFacts *f, const char *path) {
        char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        free(f->path);
        f->machine.path = f->path = copy;
        return 0;
}

int site_facts_read(const Paths *p, Supervisor supervisor, SiteFacts *ret) {
        _cleanup_(site_facts_done) SiteFacts f = { 0 };
        char hostname[256] = "";
        long n_cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
        const char *path = getenv("PATH");
        int r;

        if (gethostname(hostname, sizeof(hostname) - 1) < 0)
                return -errno;
        f.hostname = strdup(hostname);
        if (!f.hostname)
                return -ENOMEM;
        r = supervisor == SUPERVISOR_SYSTEMD ? site_facts_manager_path(p, &f.path)
                                             : site_facts_server_path(p, &f.path);
        if (r < 0)
                return r;
        if (!f.path)
                f.path = strdup(path && *path ? path : PROCESS_DEFAULT_PATH);
        if (!f.path)
                return -ENOMEM;
        f.machine = (Machine){
                .hostname = f.hostname,
                .user_home = p->user_home,
                .mosaic_home = p->home,
                .n_cpus = n_cpus > 0 ? (unsigned)n_cpus : 1,
                .memory = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0,
                .path = f.path,
        };
        *ret = f;
        f = (SiteFacts){ 0 };
        return 0;
}
