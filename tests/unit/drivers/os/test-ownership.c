/* SPDX-License-Identifier: MIT */

/* Who besides the user may write: a group that is the user's alone does not count. The user
 * database is the table's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <grp.h>
#include <pwd.h>

#include "drivers/os/ownership.h"
#include "model/base/cleanup.h"

typedef struct Case {
        const char *text;
        mode_t mode;
        gid_t gid;                  /* of the file */
        const char *user;           /* NULL: not in the database; with gid 1000 */
        const char *group;          /* that gid 1000 and 50 are called; NULL: nothing */
        const char *first, *second; /* members */
        bool others;
} Case;

static const Case *current;

struct passwd *getpwuid(uid_t uid _unused_) {
        static struct passwd answer;

        answer = (struct passwd){ .pw_name = (char *)(uintptr_t)current->user, .pw_gid = 1000 };
        return current->user ? &answer : NULL;
}

struct group *getgrgid(gid_t gid _unused_) {
        static struct group answer;
        static char *members[3];

        members[0] = (char *)(uintptr_t)current->first;
        members[1] = (char *)(uintptr_t)current->second;
        answer = (struct group){ .gr_name = (char *)(uintptr_t)current->group, .gr_mem = members };
        return current->group ? &answer : NULL;
}

static void test_who_may_write(void **state _unused_) {
        static const Case table[] = {
                { "nobody else", 0644, 1000, "ana", "staff", "bob", NULL, false },
                { "all", 0646, 1000, "ana", "ana", NULL, NULL, true },
                { "a group of one's own", 0664, 1000, "ana", "ana", NULL, NULL, false },
                { "one that names its user", 0664, 1000, "ana", "ana", "ana", NULL, false },
                { "both", 0666, 1000, "ana", "ana", NULL, NULL, true },
                { "another member", 0664, 1000, "ana", "ana", "bob", NULL, true },
                { "a second member", 0664, 1000, "ana", "ana", "ana", "bob", true },
                { "a group of many", 0664, 1000, "ana", "users", NULL, NULL, true },
                { "not one's first group", 0664, 50, "ana", "ana", NULL, NULL, true },
                { "no such user", 0664, 1000, NULL, "ana", NULL, NULL, true },
                { "no such group", 0664, 1000, "ana", NULL, NULL, NULL, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                struct stat st = { .st_mode = S_IFREG | table[i].mode, .st_gid = table[i].gid };

                current = table + i;
                if (others_may_write(&st) != table[i].others)
                        fail_msg("%s", table[i].text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who_may_write),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
