/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/unit-state.h"

#include <string.h>

UnitState unit_state_from_words(const char *active, const char *sub) {
        static const struct {
                const char *word;
                UnitState state;
        } states[] = {
                { "active", UNIT_ACTIVE },
                { "reloading", UNIT_ACTIVE },
                { "refreshing", UNIT_ACTIVE },
                { "inactive", UNIT_INACTIVE },
                { "failed", UNIT_FAILED },
                { "activating", UNIT_ACTIVATING },
                { "deactivating", UNIT_DEACTIVATING },
        };

        /* "auto-restart" is an activating unit that has no process and waits for RestartSec=. Since
         * systemd 254 "failed-before-auto-restart" and others of that kind pass by as well, under
         * ActiveStates that would otherwise be final. */
        if (strstr(sub, "auto-restart"))
                return UNIT_RESTARTING;
        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (strcmp(active, states[i].word) == 0)
                        return states[i].state;
        return UNIT_OTHER;
}

bool unit_state_fulfils(UnitJobKind kind, UnitState state) {
        switch (state) {
        case UNIT_ACTIVE:
                return kind == JOB_START;
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
        case UNIT_FAILED:
                return kind == JOB_STOP;
        case UNIT_ACTIVATING:
        case UNIT_DEACTIVATING:
        case UNIT_RESTARTING:
        case UNIT_OTHER:
                return false;
        }
        return false;
}

const char *unit_job_result_sentence(UnitJobKind kind, const char *result) {
        static const struct {
                const char *word;
                const char *start;
                const char *stop;
        } sentences[] = {
                { "failed", "it did not start: 'systemctl --user status' and the journal say why",
                                "it ended with a failure while it was being stopped" },
                { "dependency", "the tmux holder, which it needs, did not start",
                                "a unit it depends on failed" },
                { "timeout", "it was not ready in time", "it did not stop in time" },
                { "canceled", "another request replaced this one",
                                "another request replaced this one" },
                { "skipped", "a condition of the unit did not hold",
                                "there was nothing to do for it" },
                { "lost", "the user manager went away, and nothing is known of it",
                                "the user manager went away, and nothing is known of it" },
                { "collected", "the unit was dropped before it could start",
                                "the unit was dropped" },
                { "assert", "an assertion of the unit did not hold", NULL },
                { "once", "the unit starts only once", NULL },
        };

        if (strcmp(result, "done") == 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(sentences); i++) {
                const char *sentence = kind == JOB_STOP ? sentences[i].stop : sentences[i].start;

                if (sentence && strcmp(result, sentences[i].word) == 0)
                        return sentence;
        }
        return "the user manager ended it with a result this version does not know";
}
