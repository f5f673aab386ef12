/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/manager.h"

#include <assert.h>
#include <search.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/systemd/manager-internal.h"
#include "drivers/systemd/unit-state.h"
#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

/* Without any news for this long, the states of the unfinished units are read: a JobRemoved that
 * was lost must not cost the whole deadline. */
#define SILENCE_USEC (2 * USEC_PER_SEC)
/* How long reading them may take at the end, when the deadline has come already. */
#define SETTLE_TIMEOUT_USEC (5 * USEC_PER_SEC)
/* The pace of reading them where there are no signals. */
#define POLL_USEC (200 * USEC_PER_MSEC)
/* A manager that nobody can connect to for so long is not one that re-executes itself. */
#define GONE_USEC (10 * USEC_PER_SEC)

/* One job on its way: sent, answered (has an id), finished. */
typedef struct Tracked {
        UnitJob *job;
        JobTable *table;
        sd_bus_slot *slot;
        struct Tracked *same_id; /* the manager merged two requests into one job */
        uint64_t sent_usec;      /* CLOCK_MONOTONIC */
        uint32_t id;             /* 0: not answered */
        bool ask, asked;         /* is to be sent again, over another connection; was */
} Tracked;

/* The end of a job whose answer had not come yet. */
typedef struct EarlyEnd {
        uint32_t id;
        char *result;
} EarlyEnd;

struct JobTable {
        Manager *m;
        sd_bus_slot *match;
        Tracked **all; /* in the order of submission */
        size_t n_all;
        size_t n_sent;     /* all[0 .. n_sent) were sent */
        size_t n_answered; /* of those */
        size_t n_finished;
        void *by_id; /* tsearch() tree of Tracked */
        EarlyEnd *early;
        size_t n_early;
        UnitJob **ended; /* finished, not reported yet */
        size_t n_ended;
        size_t n_reported;
        bool out_of_memory;
        uint64_t news_usec; /* when something was last heard */
};

void unit_job_done(UnitJob *job) {
        free(job->unit);
        free(job->result);
        free(job->message);
        *job = (UnitJob){ 0 };
}

static int compare_ids(const void *a, const void *b) {
        const Tracked *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static void keep_node(_unused_ void *node) {
        /* the nodes belong to `all` */
}

/* Forgets all jobs; the table itself and its match stay. */
static void table_clear(JobTable *t) {
        if (t->by_id)
                tdestroy(t->by_id, keep_node);
        t->by_id = NULL;
        for (size_t i = 0; i < t->n_all; i++) {
                sd_bus_slot_unref(t->all[i]->slot);
                free(t->all[i]);
        }
        free(t->all);
        for (size_t i = 0; i < t->n_early; i++)
                free(t->early[i].result);
        free(t->early);
        free(t->ended);
        t->all = NULL;
        t->early = NULL;
        t->ended = NULL;
        t->n_all = t->n_sent = t->n_answered = t->n_finished = 0;
        t->n_early = t->n_ended = t->n_reported = 0;
        t->out_of_memory = false;
}

JobTable *job_table_free(JobTable *t) {
        if (!t)
                return NULL;
        table_clear(t);
        sd_bus_slot_unref(t->match);
        free(t);
        return NULL;
}

/* --- the end of a job ------------------------------------------------------------------------- */

static int error_of_result(const char *result) {
        static const struct {
                const char *word;
                int error;
        } errors[] = {
                { "done", 0 },
                { "skipped", 0 }, /* a stop of what does not run */
                { "timeout", -ETIMEDOUT },
                { "canceled", -ECANCELED },
                { "dependency", -ENOLINK },
                { "lost", -ENOTCONN },
        };

        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (strcmp(result, errors[i].word) == 0)
                        return errors[i].error;
        return -EIO;
}

/* Ends a job with a result word; @sentence NULL: the usual one of that word. */
static void job_end(Tracked *k, const char *result, int error, const char *sentence) {
        JobTable *t = k->table;
        UnitJob *job = k->job, **slot;

        if (job->finished)
                return;
        if (!sentence)
                sentence = unit_job_result_sentence(job->kind, result);
        free(job->result);
        free(job->message);
        job->result = strdup(result);
        job->message = sentence ? strdup(sentence) : NULL;
        if (!job->result || (sentence && !job->message))
                t->out_of_memory = true;
        job->error = error;
        job->took_usec = clock_monotonic_usec() - k->sent_usec;
        job->finished = true;
        t->n_finished++;
        t->news_usec = clock_monotonic_usec();
        k->slot = sd_bus_slot_unref(k->slot);

        slot = array_grow(&t->ended, t->n_ended, sizeof(UnitJob *));
        if (!slot) {
                t->out_of_memory = true;
                return;
        }
        *slot = job;
        t->n_ended++;
}

static void job_end_by_word(Tracked *k, const char *result) {
        int error = error_of_result(result);

        if (strcmp(result, "skipped") == 0 && k->job->kind != JOB_STOP)
                error = -EIO; /* a start that did not happen */
        job_end(k, result, error, NULL);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* The answer to a request: the job's path, or why there is none. */
static int on_job_reply(sd_bus_message *reply, void *userdata, _unused_ sd_bus_error *unused) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Tracked *k = userdata;
        JobTable *t = k->table;
        const char *path;
        void *node;
        uint64_t id;
        int r;

        t->news_usec = clock_monotonic_usec();
        if (e && error_is_silence(e))
                return 1; /* the job may run all the same: manager_jobs_wait() looks at the unit */

        t->n_answered++;
        if (e) {
                _cleanup_free_ char *sentence = NULL;
                int error = error_translate(e, NULL, &sentence);

                job_end(k, "refused", error, sentence ? sentence : "refused");
                return 1;
        }

        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0 || !strrchr(path, '/') ||
                        parse_uint_range(strrchr(path, '/') + 1, 1, UINT32_MAX, &id) < 0)
                return 1; /* no id, no signal: its state decides */
        k->id = (uint32_t)id;

        for (size_t i = 0; i < t->n_early; i++)
                if (t->early[i].id == k->id) {
                        job_end_by_word(k, t->early[i].result);
                        return 1;
                }

        node = tsearch(k, &t->by_id, compare_ids);
        if (!node) {
                t->out_of_memory = true; /* its state decides */
                return 1;
        }
        if (*(Tracked **)node != k) {
                k->same_id = (*(Tracked **)node)->same_id;
                (*(Tracked **)node)->same_id = k;
        }
        return 1;
}

static int send_job(Manager *m, Tracked *k) {
        static const char *const methods[_UNIT_JOB_KIND_MAX] = {
                [JOB_START] = "StartUnit",
                [JOB_STOP] = "StopUnit",
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, methods[k->job->kind], &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", k->job->unit, "replace");
        if (r < 0)
                return r;
        r = manager_note(m,
                        sd_bus_call_async(m->bus, &k->slot, message, on_job_reply, k, UINT64_MAX));
        return r < 0 ? r : 0;
}

/* Sends what was just added. Over a connection that broke nothing goes: wait_without_signals() asks
 * for it then. */
static void send_added(JobTable *t) {
        for (; t->n_sent < t->n_all; t->n_sent++) {
                Tracked *k = t->all[t->n_sent];
                int r;

                k->sent_usec = clock_monotonic_usec();
                r = send_job(t->m, k);
                if (r < 0 && t->m->dead == 0) {
                        t->n_answered++;
                        job_end(k, "lost", r, strerror(-r));
                }
        }
}

static int on_job_removed(sd_bus_message *signal, void *userdata, _unused_ sd_bus_error *unused) {
        JobTable *t = userdata;
        const char *result;
        Tracked key = { 0 }, *k;
        void *node;
        int r;

        r = sd_bus_message_read(signal, "uoss", &key.id, NULL, NULL, &result);
        if (r < 0)
                return 0;
        node = tfind(&key, &t->by_id, compare_ids);
        if (node) {
                for (k = *(Tracked **)node; k; k = k->same_id)
                        job_end_by_word(k, result);
                return 0;
        }

        /* Somebody else's job, or one of ours that is faster than its answer. */
        if (t->n_answered < t->n_sent) {
                EarlyEnd *e = array_grow(&t->early, t->n_early, sizeof(EarlyEnd));

                if (!e) {
                        t->out_of_memory = true;
                        return 0;
                }
                e->id = key.id;
                e->result = strdup(result);
                if (e->result)
                        t->n_early++;
                else
                        t->out_of_memory = true;
        }
        return 0;
}

/* --- submitting ------------------------------------------------------------------------------- */

static int ensure_table(Manager *m) {
        JobTable *t;
        int r;

        if (m->jobs)
                return 0;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->m = m;

        /* On the private socket the manager sends its signals to everybody, filters nothing and
         * needs no Subscribe(); the match is local. It is asked for once all the same, without
         * waiting: that is what the interface documents. */
        r = sd_bus_match_signal(m->bus, &t->match, NULL, MANAGER_PATH, MANAGER_INTERFACE,
                        "JobRemoved", on_job_removed, t);
        if (r >= 0) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

                r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe", &message);
                if (r >= 0)
                        r = sd_bus_message_set_expect_reply(message, false);
                if (r >= 0)
                        r = manager_note(m, sd_bus_send(m->bus, message, NULL));
        }
        m->jobs = t;
        return r < 0 && m->dead == 0 ? r : 0;
}

int manager_jobs_submit(Manager *m, UnitJob *jobs, size_t n) {
        JobTable *t;
        int r;

        /* With jobs on their way these go the same way: manager_jobs_wait() calls them lost. */
        if (m->dead < 0 && !m->jobs)
                return m->dead;
        r = ensure_table(m);
        if (r < 0)
                return r;
        t = m->jobs;
        for (size_t i = 0; i < n; i++) {
                Tracked **slot = array_grow(&t->all, t->n_all, sizeof(Tracked *));

                if (slot)
                        *slot = calloc(1, sizeof(Tracked));
                if (!slot || !*slot) {
                        r = -ENOMEM;
                        break;
                }
                (*slot)->job = &jobs[i];
                (*slot)->table = t;
                t->n_all++;
        }
        t->news_usec = clock_monotonic_usec();
        send_added(t);
        if (r < 0)
                return r;
        manager_jobs_pump(m);
        return 0;
}

void manager_jobs_pump(Manager *m) {
        int r;

        do
                r = manager_step(m, 0);
        while (r > 0);
        /* A connection that broke is manager_jobs_wait()'s: the jobs may run all the same. */
        assert(r == 0 || m->dead < 0);
}

/* --- settling by state ------------------------------------------------------------------------ */

static int send_state_question(Manager *m, JobTable *t, Call *c, size_t *ret_n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        size_t n = 0;
        int r;

        r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, "ListUnitsByNames", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(message, 'a', "s");
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n_sent; i++) {
                if (t->all[i]->job->finished)
                        continue;
                r = sd_bus_message_append(message, "s", t->all[i]->job->unit);
                if (r < 0)
                        return r;
                n++;
        }
        r = sd_bus_message_close_container(message);
        if (r < 0)
                return r;
        *ret_n = n;
        return n == 0 ? 0 : call_send(m, message, c);
}

static int compare_units(const void *a, const void *b) {
        const Tracked *const *x = a, *const *y = b;

        return strcmp((*x)->job->unit, (*y)->job->unit);
}

static int find_unit(const void *name, const void *element) {
        const Tracked *const *k = element;

        return strcmp(name, (*k)->job->unit);
}

/* Does this state of a unit that has no job mean that the manager went before it read what we asked
 * for? One that failed was started. */
static bool was_not_read(const Tracked *k, UnitState state) {
        if (k->id != 0)
                return false;
        if (k->job->kind == JOB_STOP)
                return state == UNIT_ACTIVE || state == UNIT_RESTARTING;
        return state == UNIT_INACTIVE;
}

/* What one unit's state says of our job. A job that is still pending has not ended, unless time is
 * up. @other: it was asked for over another connection, which broke. */
static void settle_one(Tracked *k,
                const char *active,
                const char *sub,
                uint32_t job_id,
                bool other,
                bool time_is_up) {
        UnitState state = unit_state_from_words(active, sub);
        UnitJob *job = k->job;
        char sentence[128];

        if (job_id != 0 && !time_is_up)
                return;
        if (job_id == 0 && unit_state_fulfils(job->kind, state)) {
                job_end(k, "done", 0, NULL);
                return;
        }
        if (job_id != 0) {
                (void)snprintf(sentence, sizeof(sentence), "it was still %s (%s) when time was up",
                                active, sub);
                job_end(k, "timeout", -ETIMEDOUT, sentence);
                return;
        }
        /* Between two jobs of a restart a unit has none for a moment. */
        if (!time_is_up && (state == UNIT_DEACTIVATING || state == UNIT_ACTIVATING))
                return;
        if (!time_is_up && other && was_not_read(k, state)) {
                k->ask = !k->asked;
                return;
        }
        (void)snprintf(sentence, sizeof(sentence), "it is %s (%s)", active, sub);
        job_end(k, "failed", -EIO, sentence);
}

static int read_states(JobTable *t, sd_bus_message *reply, bool other, bool time_is_up) {
        _cleanup_free_ Tracked **open = NULL;
        const char *unit, *active, *sub;
        uint32_t job_id;
        size_t n = 0;
        int r;

        open = calloc(t->n_sent + 1, sizeof(Tracked *));
        if (!open)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_sent; i++)
                if (!t->all[i]->job->finished)
                        open[n++] = t->all[i];
        qsort(open, n, sizeof(Tracked *), compare_units);

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, &active, &sub,
                                NULL, NULL, &job_id, NULL, NULL)) > 0) {
                Tracked **found = bsearch(unit, open, n, sizeof(Tracked *), find_unit);

                if (!found)
                        continue;
                /* Two jobs of one unit: to the first of them. */
                while (found > open && strcmp(found[-1]->job->unit, unit) == 0)
                        found--;
                for (; found < open + n && strcmp((*found)->job->unit, unit) == 0; found++)
                        if (!(*found)->job->finished)
                                settle_one(*found, active, sub, job_id, other, time_is_up);
        }
        return r;
}

/* Reads the states of all units whose job has not ended, over @m. */
static int settle(Manager *m, JobTable *t, bool time_is_up, uint64_t deadline) {
        Call c = { 0 };
        size_t n = 0;
        int r;

        r = send_state_question(m, t, &c, &n);
        if (r >= 0 && n > 0) {
                r = calls_wait(m, &c, 1, deadline);
                if (r >= 0)
                        r = call_result(m, &c);
                if (r >= 0)
                        r = read_states(t, c.reply, /* other= */ m != t->m, time_is_up);
        }
        calls_done(&c, 1);
        return r;
}

static void end_the_rest(JobTable *t, const char *result, int error, const char *sentence) {
        for (size_t i = 0; i < t->n_all; i++)
                job_end(t->all[i], result, error, sentence);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void report(JobTable *t, void (*done)(UnitJob *, void *), void *userdata) {
        for (; t->n_reported < t->n_ended; t->n_reported++)
                if (done)
                        done(t->ended[t->n_reported], userdata);
}

/* What the manager never read, once more; its answer says whether it does now. */
static int ask_again(Manager *m, JobTable *t) {
        int r = 0;

        for (size_t i = 0; i < t->n_sent && r >= 0; i++) {
                Tracked *k = t->all[i];

                if (!k->ask || k->job->finished)
                        continue;
                k->ask = false;
                k->asked = true;
                k->slot = sd_bus_slot_unref(k->slot);
                r = send_job(m, k);
        }
        return r;
}

/* What was asked over a connection that is gone was perhaps not read either. */
static void forget_asked(JobTable *t) {
        for (size_t i = 0; i < t->n_sent; i++)
                if (t->all[i]->id == 0) {
                        t->all[i]->asked = false;
                        t->all[i]->slot = sd_bus_slot_unref(t->all[i]->slot);
                }
}

/* The connection broke (daemon-reexec does that). The jobs go on without it: a second connection
 * asks for states, as there will be no signals, until nothing is pending or time is up; or there is
 * no manager any more, as after a logout. */
static void wait_without_signals(
                JobTable *t, uint64_t deadline, void (*done)(UnitJob *, void *), void *userdata) {
        Manager second = { .address = t->m->address, .timeout_usec = t->m->timeout_usec };
        uint64_t seen = clock_monotonic_usec();

        for (;;) {
                uint64_t now = clock_monotonic_usec();
                bool time_is_up = now >= deadline;
                uint64_t patience = time_is_up ? now + SETTLE_TIMEOUT_USEC : deadline;
                int r = 0;

                if (!second.bus || second.dead < 0) {
                        forget_asked(t);
                        second.bus = sd_bus_close_unref(second.bus);
                        second.dead = 0;
                        r = bus_connect(second.address, patience, &second.bus);
                }
                if (r >= 0)
                        r = settle(&second, t, time_is_up, patience);
                if (r >= 0)
                        r = ask_again(&second, t);
                report(t, done, userdata);
                if (second.bus)
                        seen = clock_monotonic_usec();
                if (t->n_finished == t->n_all || time_is_up || r == -ENOMEM ||
                                now >= seen + GONE_USEC)
                        break;
                clock_pause(POLL_USEC);
        }
        end_the_rest(t, "lost", -ENOTCONN, NULL);
        forget_asked(t);
        sd_bus_close_unref(second.bus);
        free(second.error);
}

int manager_jobs_wait(Manager *m,
                uint64_t deadline_usec,
                void (*done)(UnitJob *job, void *userdata),
                void *userdata) {
        JobTable *t = m->jobs;
        int r = 0;

        if (!t)
                return 0;
        while (t->n_finished < t->n_all) {
                uint64_t now = clock_monotonic_usec(), wake = t->news_usec + SILENCE_USEC;

                if (t->n_reported < t->n_ended) {
                        manager_jobs_pump(m); /* the others that have ended by now */
                        report(t, done, userdata);
                        if (t->n_finished < t->n_all)
                                return 1;
                        break;
                }
                if (m->dead < 0) {
                        wait_without_signals(t, deadline_usec, done, userdata);
                        break;
                }
                if (now >= deadline_usec) {
                        r = settle(m, t, true, now + SETTLE_TIMEOUT_USEC);
                        if (m->dead < 0)
                                continue;
                        end_the_rest(t, "lost", -ETIMEDOUT, NULL);
                        break;
                }
                if (now >= wake) {
                        t->news_usec = now;
                        (void)settle(m, t, false, deadline_usec);
                        continue;
                }
                r = manager_step(m, wake < deadline_usec ? wake : deadline_usec);
                if (r < 0)
                        assert(m->dead < 0); /* seen at the top of the loop */
        }
        report(t, done, userdata);
        r = t->out_of_memory ? -ENOMEM : 0;
        table_clear(t);
        return r;
}
