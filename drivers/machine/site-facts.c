/* SPDX-License-Identifier: MIT */
#include "drivers/machine/site-facts.h"

#include <string.h>
#include <unistd.h>

#include "drivers/os/process.h"
#include "drivers/systemd/manager.h"
#include "model/base/parse.h"

#define MANAGER_TIMEOUT_USEC (5 * USEC_PER_SEC)

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
        if (supervisor == SUPERVISOR_SYSTEMD) {
                r = site_facts_manager_path(p, &f.path);
                if (r < 0)
                        return r;
        }
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
