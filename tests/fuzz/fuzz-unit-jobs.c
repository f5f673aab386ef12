/* SPDX-License-Identifier: MIT */

/*
 * Jobs of the user manager. The input says which are asked for and what is heard of each: answers
 * and ends in any order, twice, late, of others, garbled, or never; a connection that breaks, and
 * another one. Every job ends once, in time, and is done only if something that was said means so.
 * Where all was said that has to be, the result is that word.
 */

#include "drivers/systemd/manager-internal.h"
#include "drivers/systemd/unit-state.h"
#include "tests/fuzz/bus-peer.h"
#include "tests/fuzz/entry.h"

#define TIMEOUT_USEC (10 * UINT64_C(1000000))
#define JOBS_USEC (30 * UINT64_C(1000000))
/* What may come on top: the states of units are read once more, over this connection and another
 * one, and what comes late is taken in. */
#define SLACK_USEC (14 * UINT64_C(1000000))
/* How long one that lets nobody in is waited for, and what was on its way. */
#define GONE_USEC (14 * UINT64_C(1000000))
#define JOBS_MAX 6
#define ENDS_MAX 16

static char names[][32] = { "mosaic-agent@db.service", "mosaic-agent@web.service",
        "mosaic-agent@x-1.service" };

static const char *const results[] = { "done", "failed", "canceled", "timeout", "dependency",
        "skipped", "assert", "unsupported", "collected", "once", "later", "" };

static const struct {
        const char *active, *sub;
} states[] = { { "active", "running" }, { "inactive", "dead" }, { "failed", "failed" },
        { "activating", "auto-restart" }, { "activating", "start" },
        { "deactivating", "stop-sigterm" }, { "maintenance", "later" }, { "", "" } };

typedef struct Case {
        UnitJob job;
        uint32_t id;        /* that its answer told; 0: none */
        bool may_be_done;   /* something was said that means so */
        const char *result; /* of the first end of its id; NULL: none was told */
        bool answered;      /* as it should be */
        bool refused;       /* answered by an error */
        bool settled;       /* the state that was told of its unit decides */
        unsigned n_reported;
        unsigned connection; /* over which it was asked for last; 0: none */
} Case;

/* An end that is told when nothing else happens. */
typedef struct End {
        uint32_t id;
        const char *result;
        const char *told; /* of the same job before; NULL: nothing */
} End;

static struct {
        Input *in;
        Case cases[JOBS_MAX];
        size_t n_cases;
        size_t n_submitted; /* of them, so far */
        size_t n_asked;     /* of the manager */
        End ends[ENDS_MAX];
        size_t n_ends;
        uint32_t last_id;
        bool clean;       /* all was said that has to be said, in whatever order */
        bool whole;       /* what was said was heard: no connection broke, no flood */
        bool refuses;     /* another connection */
        unsigned hung_up; /* the connection that was hung up last; 0: none */
        uint64_t hung_up_usec;
} world;

/* --- what is said ----------------------------------------------------------------------------- */

static const char *choose_result(void) {
        return results[input_choose(world.in, ELEMENTSOF(results))];
}

static bool is_success(const Case *c, const char *result) {
        return strcmp(result, "done") == 0 ||
               (strcmp(result, "skipped") == 0 && c->job.kind == JOB_STOP);
}

static const char *first_result(uint32_t id) {
        for (size_t i = 0; i < world.n_ends; i++)
                if (world.ends[i].id == id && world.ends[i].told)
                        return world.ends[i].told;
        return NULL;
}

/* What was said of a job means something for all requests that it answers, once both are told. */
static void note_end(uint32_t id, const char *result) {
        for (size_t i = 0; i < world.n_ends; i++)
                if (world.ends[i].id == id && !world.ends[i].told)
                        world.ends[i].told = result;
        for (Case *c = world.cases; c < world.cases + world.n_cases; c++)
                if (id != 0 && c->id == id) {
                        c->result = c->result ? c->result : result;
                        c->may_be_done = c->may_be_done || is_success(c, result);
                }
}

static void say_end(uint32_t id, const char *result) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                        peer_signal(MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved");

        if (!m)
                return;
        assert(sd_bus_message_append(m, "uoss", id, "/job", "some.service", result) >= 0);
        peer_send(m);
        note_end(id, result);
}

/* Looks like an end, and is none. */
static void say_no_end(uint32_t id) {
        static const struct {
                const char *path, *interface, *member, *types;
        } all[] = { { "/org/freedesktop/systemd2", MANAGER_INTERFACE, "JobRemoved", "uoss" },
                { MANAGER_PATH, UNIT_INTERFACE, "JobRemoved", "uoss" },
                { MANAGER_PATH, MANAGER_INTERFACE, "JobNew", "uoss" },
                { MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved", "uos" },
                { MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved", "ss" },
                { MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved", "" } };
        unsigned i = input_choose(world.in, ELEMENTSOF(all));
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                        peer_signal(all[i].path, all[i].interface, all[i].member);
        int r = 0;

        if (!m)
                return;
        if (strcmp(all[i].types, "uoss") == 0)
                r = sd_bus_message_append(m, "uoss", id, "/job", "some.service", "done");
        else if (strcmp(all[i].types, "uos") == 0)
                r = sd_bus_message_append(m, "uos", id, "/job", "done");
        else if (strcmp(all[i].types, "ss") == 0)
                r = sd_bus_message_append(m, "ss", "done", "done");
        assert(r >= 0);
        peer_send(m);
}

static void keep_end(uint32_t id, const char *result) {
        if (world.n_ends < ENDS_MAX)
                world.ends[world.n_ends++] = (End){ .id = id, .result = result };
        else
                world.clean = false;
}

/* When nothing else happens: one of the ends that were kept, the last one first or not. */
static bool on_idle(void) {
        size_t n = 0, left[ENDS_MAX];
        End *e;

        for (size_t i = 0; i < world.n_ends; i++)
                if (world.ends[i].result && peer_bus())
                        left[n++] = i;
        if (n == 0)
                return false;
        e = world.ends + left[input_choose(world.in, (unsigned)n)];
        say_end(e->id, TAKE_PTR(e->result));
        return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void say_job(sd_bus_message *request, Case *c, uint32_t id) {
        const char *told = first_result(id);
        char path[64];

        (void)snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", id);
        (void)sd_bus_reply_method_return(request, "o", path);
        c->id = id;
        c->answered = true;
        if (told)
                note_end(id, told);
}

/* A path that tells no id. */
static void say_odd_job(sd_bus_message *request) {
        static const char *const paths[] = { "/", "/org/freedesktop/systemd1/job/0",
                "/org/freedesktop/systemd1/job/4294967296", "/org/freedesktop/systemd1/job/x1" };

        (void)sd_bus_reply_method_return(
                        request, "o", paths[input_choose(world.in, ELEMENTSOF(paths))]);
}

static void say_truth(sd_bus_message *request, Case *c) {
        uint32_t id = ++world.last_id;
        const char *result = choose_result();

        switch (input_choose(world.in, 8)) {
        case 0: /* at once */
                say_job(request, c, id);
                keep_end(id, NULL);
                say_end(id, result);
                break;
        case 1: /* the end before the answer */
                keep_end(id, NULL);
                say_end(id, result);
                say_job(request, c, id);
                break;
        case 2: /* later */
                say_job(request, c, id);
                keep_end(id, result);
                break;
        case 3: /* twice, with another word */
                say_job(request, c, id);
                keep_end(id, NULL);
                say_end(id, result);
                say_end(id, choose_result());
                break;
        case 4: /* the job of the request before, if that is still to end */
                if (id > 1 && !first_result(id - 1)) {
                        say_job(request, c, --world.last_id);
                        break;
                }
                say_job(request, c, id);
                keep_end(id, result);
                break;
        case 5: /* one that is none before it */
                say_no_end(id);
                say_job(request, c, id);
                keep_end(id, result);
                say_no_end(id);
                break;
        case 6: /* never */
                say_job(request, c, id);
                world.clean = false;
                break;
        default:
                say_odd_job(request);
                world.clean = false;
                break;
        }
}

static PeerAnswer choose_answer(sd_bus_message *request, const char *types) {
        PeerAnswer answer = peer_answer(world.in, request, types);

        world.clean = world.clean && answer == PEER_TRUTH;
        world.whole = world.whole && answer != PEER_HANGS_UP && answer != PEER_GARBAGE &&
                      answer != PEER_FLOOD;
        if (answer == PEER_HANGS_UP) {
                world.hung_up = peer_serial();
                world.hung_up_usec = peer_now();
        }
        return answer;
}

/* Over another connection only what was not heard of is asked for again, and once; what was told
 * last over the one before was perhaps not read. */
static Case *find_unheard(const char *unit, UnitJobKind kind) {
        for (Case *c = world.cases; c < world.cases + world.n_submitted; c++)
                if (strcmp(c->job.unit, unit) == 0 && c->job.kind == kind && !c->job.finished &&
                                c->connection != peer_serial())
                        return c;
        assert(false);
        return NULL;
}

static void on_job(sd_bus_message *request, const char *member) {
        bool stop = strcmp(member, "StopUnit") == 0;
        const char *unit;
        PeerAnswer answer;
        Case *c;

        assert(sd_bus_message_read(request, "ss", &unit, NULL) > 0);
        if (peer_serial() > 1)
                c = find_unheard(unit, stop ? JOB_STOP : JOB_START);
        else
                c = world.cases + world.n_asked++;
        assert(c < world.cases + world.n_cases && c->connection < peer_serial());
        assert(strcmp(unit, c->job.unit) == 0 && stop == (c->job.kind == JOB_STOP));
        c->connection = peer_serial();
        answer = choose_answer(request, "o");
        c->refused = c->refused || answer == PEER_GONE || answer == PEER_ERROR;
        if (answer == PEER_TRUTH)
                say_truth(request, c);
}

/* One line of the answer; also of a unit that was not asked for, and not of all that were. */
static int append_state(sd_bus_message *m, const char *unit) {
        unsigned state = input_choose(world.in, ELEMENTSOF(states) + 1);
        uint32_t job = input_flag(world.in) ? 7 : 0;
        UnitState is;

        if (state == ELEMENTSOF(states))
                return 0;
        is = unit_state_from_words(states[state].active, states[state].sub);
        for (Case *c = world.cases; c < world.cases + world.n_submitted; c++) {
                if (strcmp(c->job.unit, unit) != 0 || job != 0)
                        continue;
                c->settled = c->settled || (is != UNIT_ACTIVATING && is != UNIT_DEACTIVATING);
                c->may_be_done = c->may_be_done || unit_state_fulfils(c->job.kind, is);
        }
        return sd_bus_message_append(m, "(ssssssouso)", unit, "", "loaded", states[state].active,
                        states[state].sub, "", "/", job, "", "/");
}

/* Nothing is asked that was told already. */
static void check_asked(const char *unit) {
        bool open = false;

        for (Case *c = world.cases; c < world.cases + world.n_cases; c++)
                open = open || (strcmp(c->job.unit, unit) == 0 && !c->refused &&
                                               (!c->answered || !c->result));
        assert(open || !world.whole);
}

static void on_list(sd_bus_message *request) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *unit;
        int r;

        if (choose_answer(request, "a(ssssssouso)") != PEER_TRUTH)
                return;
        r = sd_bus_message_new_method_return(request, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssssssouso)");
        if (r >= 0)
                r = sd_bus_message_enter_container(request, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(request, "s", &unit)) > 0) {
                check_asked(unit);
                r = append_state(m, unit);
        }
        if (r >= 0 && input_flag(world.in))
                r = append_state(m, names[0]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        assert(r >= 0);
        peer_send(m);
}

static void on_request(sd_bus_message *request) {
        const char *member = sd_bus_message_get_member(request);

        if (strcmp(member, "StartUnit") == 0 || strcmp(member, "StopUnit") == 0)
                on_job(request, member);
        else if (strcmp(member, "ListUnitsByNames") == 0)
                on_list(request);
        else
                assert(strcmp(member, "Subscribe") == 0);
}

static const PeerRules rules = { .request = on_request, .idle = on_idle };

/* --- what comes of it ------------------------------------------------------------------------- */

static void on_done(UnitJob *job, void *userdata) {
        Case *c = (Case *)job; /* its first member */

        assert(userdata == &world && job->finished);
        c->n_reported++;
}

static void check(const Case *c) {
        const UnitJob *job = &c->job;

        assert(job->finished && c->n_reported == 1 && job->result);
        assert((job->error == 0) == is_success(c, job->result) && job->error <= 0);
        assert((job->message == NULL) == (strcmp(job->result, "done") == 0));
        assert(job->error < 0 || c->may_be_done);
        assert(job->took_usec <= JOBS_USEC + SLACK_USEC);
        assert(c->refused || strcmp(job->result, "refused") != 0);
        if (world.whole && c->settled)
                assert(strcmp(job->result, "lost") != 0);
        if (world.clean)
                assert(c->result && strcmp(job->result, c->result) == 0);
}

static void choose_cases(void) {
        world.n_cases = 1 + input_choose(world.in, JOBS_MAX);
        for (Case *c = world.cases; c < world.cases + world.n_cases; c++)
                c->job = (UnitJob){
                        .unit = strdup(names[input_choose(world.in, ELEMENTSOF(names))]),
                        .kind = input_flag(world.in) ? JOB_STOP : JOB_START
                };
}

static size_t submit_some(Manager *m, size_t at) {
        size_t n = 1 + input_choose(world.in, (unsigned)(world.n_cases - at));

        for (size_t i = 0; i < n; i++) {
                int r;

                world.n_submitted++;
                r = manager_jobs_submit(m, &world.cases[at + i].job, 1);
                assert(r == 0);
        }
        manager_jobs_pump(m);
        return at + n;
}

/* Some are asked for after others have ended, as in a restart. */
static void run(Manager *m) {
        uint64_t begin = peer_now();
        size_t at = submit_some(m, 0);
        int r;

        while (at < world.n_cases && !input_flag(world.in))
                at = submit_some(m, at);
        world.refuses = input_flag(world.in);
        peer_refuse(world.refuses); /* what comes after this connection */
        for (;;) {
                r = manager_jobs_wait(m, begin + JOBS_USEC, on_done, &world);
                assert(r == 0 || r == 1);
                if (at < world.n_cases && manager_is_alive(m) && peer_now() < begin + JOBS_USEC)
                        at = submit_some(m, at);
                else if (r == 0)
                        break;
        }
        for (; world.n_cases > at; world.n_cases--)
                unit_job_done(&world.cases[world.n_cases - 1].job);
        assert(peer_now() - begin <= JOBS_USEC + SLACK_USEC);
        /* Whoever is never let in again does not wait for long. */
        assert(world.hung_up != 1 || peer_serial() != 1 || !world.refuses ||
                        peer_now() <= world.hung_up_usec + GONE_USEC);
        /* Whoever is hung up on calls again. */
        assert(world.hung_up == 0 || peer_serial() > world.hung_up || peer_refuses() ||
                        peer_now() < world.hung_up_usec + SLACK_USEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char socket[] = "/nonexistent/systemd/private";
        Paths p = { .manager_socket = socket };
        Input in = INPUT(data, size);
        Manager *m = NULL;

        memset(&world, 0, sizeof(world));
        world.in = &in;
        world.clean = world.whole = true;
        choose_cases();
        peer_begin(&rules);
        assert(manager_open(&p, TIMEOUT_USEC, &m) == 0);
        run(m);
        for (Case *c = world.cases; c < world.cases + world.n_cases; c++) {
                check(c);
                unit_job_done(&c->job);
        }
        manager_free(m);
        peer_end();
        return 0;
}
