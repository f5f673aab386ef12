/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/journal.h"
#include "model/base/format.h"

#include <stdio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static void journal_close(sd_journal **j) {
        sd_journal_close(*j);
}

/* "FIELD=VALUE" as one more condition of the term that is being made. */
static int add_match(sd_journal *j, const char *field, const char *value) {
        _cleanup_free_ char *text = NULL;

        if (format_text(&text, "%s=%s", field, value) < 0)
                return -ENOMEM;
        return sd_journal_add_match(j, text, 0);
}

int journal_look(const char *unit) {
        /* What the processes of the unit said, and what the manager said about it. */
        static const char *const fields[] = { "_SYSTEMD_USER_UNIT", "USER_UNIT" };
        _cleanup_(journal_close) sd_journal *j = NULL;
        char uid[16];
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        (void)snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                r = i > 0 ? sd_journal_add_disjunction(j) : 0;
                if (r >= 0)
                        r = add_match(j, fields[i], unit);
                if (r >= 0)
                        r = add_match(j, "_UID", uid);
                if (r < 0)
                        return r;
        }
        r = sd_journal_seek_tail(j);
        if (r >= 0)
                r = sd_journal_previous(j);
        if (r < 0)
                return r;
        return r > 0 ? JOURNAL_HAS_ENTRIES : 0;
}
