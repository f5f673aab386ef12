/* SPDX-License-Identifier: MIT */

/*
 * Exhaustive exploration of one launch: explore-launch [systemd] [direct]
 *
 * From a world in which nothing is, everything that may happen to one agent, in any order: it is
 * started, its launcher does its next step, in time or late, or the step fails; launcher, keeper,
 * session, server, run file and spec go away and come again; the terminal is taken, the program
 * cannot be executed. What is so of the world is judged there (`broken`). In each state that is
 * reached a launch comes to its end if nothing more happens, and once all that is in the way is
 * taken away, a start makes the agent run.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "drivers/os/clock.h"
#include "tests/simulation/outside.h"

typedef struct Exploration {
        bool direct;
        uint64_t *keys; /* of the states, in the order of their finding */
        uint32_t n_keys, n_room;
        uint32_t *table; /* number + 1 by hash; 0: free */
        uint32_t table_mask;
        uint64_t n_transitions, n_violations;
} Exploration;

static void must(bool ok, const char *what) {
        if (!ok) {
                (void)fprintf(stderr, "explore-launch: %s\n", what);
                exit(1);
        }
}

/* --- states as numbers ------------------------------------------------------------------------ */

/* The runs that are told apart: the launch that is or was last, and an earlier one. */
#define THIS 2
#define EARLIER 1

static void put(uint64_t *key, unsigned value, unsigned bits) {
        *key = *key << bits | value;
}

static unsigned take(uint64_t *key, unsigned bits) {
        unsigned value = *key & ((1u << bits) - 1);

        *key >>= bits;
        return value;
}

static uint64_t key_of(const World *w) {
        const WorldAgent *a = w->agents;
        bool proves = a->run_file && a->pid != 0 && a->run_invocation == a->born;
        uint64_t k = 0;

        put(&k, w->server, 1);
        put(&k, w->hidden, 1);
        put(&k, a->spec, 1);
        put(&k, a->session, 1);
        put(&k, a->misnamed, 1);
        put(&k, a->namesake, 1);
        put(&k, a->no_keeper, 1);
        put(&k, a->orphan, 1);
        put(&k, a->unwatched, 1);
        put(&k, a->run_file, 1);
        put(&k, a->run_file && a->run_invocation == a->invocation, 1);
        put(&k, proves, 1);
        put(&k, a->refuses_start, 1);
        put(&k, a->terminal_taken, 1);
        put(&k, a->exec_fails, 1);
        put(&k, a->keeper_fails, 1);
        put(&k, a->unit, 4);
        put(&k, a->launching, 1);
        if (!a->launching)
                return k << 12;
        put(&k, a->launch.step, 4);
        put(&k, a->launch.made, 1);
        put(&k, a->launch.n_retries, 3);
        put(&k, a->reading != 0, 1);
        put(&k, a->refused, 1);
        put(&k, a->run_invocation == a->invocation, 1); /* it was written, and may be lost */
        put(&k, a->orphan && a->pid == a->launcher_pid, 1);
        return k;
}

static void world_of(uint64_t k, bool direct, World *w) {
        WorldAgent *a;
        bool proves, written;

        world_init(w);
        w->stepwise = true;
        w->direct = direct;
        w->next_invocation = THIS + 1;
        a = world_agent(w, "ada");
        a->launch = launch_begin(!direct);
        (void)take(&k, 1);
        written = take(&k, 1);
        a->refused = take(&k, 1);
        a->reading = a->reading_resolved = (uint8_t)take(&k, 1);
        a->launch.n_retries = take(&k, 3);
        a->launch.made = take(&k, 1);
        a->launch.step = (LaunchStep)take(&k, 4);
        a->launching = take(&k, 1);
        a->unit = (UnitState)take(&k, 4);
        a->keeper_fails = take(&k, 1);
        a->exec_fails = take(&k, 1);
        a->terminal_taken = take(&k, 1);
        a->refuses_start = take(&k, 1);
        proves = take(&k, 1);
        written = take(&k, 1) || written;
        a->run_file = take(&k, 1);
        a->unwatched = take(&k, 1);
        a->orphan = take(&k, 1);
        a->no_keeper = take(&k, 1);
        a->namesake = take(&k, 1);
        a->misnamed = take(&k, 1);
        a->session = take(&k, 1);
        a->spec = take(&k, 1);
        a->restart = a->resolved = a->spec;
        w->hidden = take(&k, 1);
        w->server = take(&k, 1);

        a->invocation = THIS;
        a->launcher_pid = 100;
        a->run_invocation = written ? THIS : EARLIER;
        a->run_pid = (pid_t)(98 + a->run_invocation);
        if (a->orphan || a->launching || a->unit == UNIT_ACTIVE) {
                a->born = proves || a->orphan ? a->run_invocation : THIS;
                a->pid = (pid_t)(98 + a->born);
        }
}

static uint32_t hash_key(uint64_t key) {
        key *= UINT64_C(0x9e3779b97f4a7c15);
        return (uint32_t)(key ^ key >> 32);
}

static void place(Exploration *e, uint32_t number) {
        uint32_t at = hash_key(e->keys[number]) & e->table_mask;

        while (e->table[at] != 0)
                at = (at + 1) & e->table_mask;
        e->table[at] = number + 1;
}

static void grow(Exploration *e) {
        e->n_room = e->n_room == 0 ? 1 << 12 : e->n_room * 2;
        e->keys = reallocarray(e->keys, e->n_room, sizeof(uint64_t));
        free(e->table);
        e->table_mask = e->n_room * 2 - 1;
        e->table = calloc(e->table_mask + 1, sizeof(uint32_t));
        must(e->keys && e->table, "no memory");
        for (uint32_t i = 0; i < e->n_keys; i++)
                place(e, i);
}

static void add_state(Exploration *e, uint64_t key) {
        if (e->n_keys == e->n_room)
                grow(e);
        for (uint32_t at = hash_key(key) & e->table_mask; e->table[at] != 0;
                        at = (at + 1) & e->table_mask)
                if (e->keys[e->table[at] - 1] == key)
                        return;
        e->keys[e->n_keys] = key;
        place(e, e->n_keys++);
}

/* --- what may happen -------------------------------------------------------------------------- */

typedef enum Move {
        MOVE_START = _OUT_MAX, /* by its supervisor */
        MOVE_STEP,
        MOVE_STEP_LATE,
        MOVE_STEP_FAILS,
        MOVE_SERVER_STARTS,
        MOVE_SOCKET_BACK,
        MOVE_SESSION_MADE,
        MOVE_RENAMED_BACK,
        MOVE_SPEC_WRITTEN,
        MOVE_STOPPED,
        _MOVE_MAX,
} Move;

static void start(World *w, WorldAgent *a) {
        bool keeper = a->session && !a->no_keeper;

        if (a->launching || (a->unit == UNIT_ACTIVE && !a->orphan) || (w->direct && !keeper))
                return;
        launching_begin(w, a);
}

static void make_session(World *w, WorldAgent *a) {
        if (w->server && !w->hidden && !a->session && !a->namesake)
                launching_new_session(w, a);
}

static void move_world(World *w, unsigned move, unsigned luck) {
        WorldAgent *a = w->agents;

        switch (move) {
        case MOVE_START:
                start(w, a);
                return;
        case MOVE_STEP:
        case MOVE_STEP_LATE:
                if (a->launching)
                        launching_step(w, a, move == MOVE_STEP_LATE);
                return;
        case MOVE_STEP_FAILS:
                if (a->launching)
                        launching_fail(w, a);
                return;
        case MOVE_SERVER_STARTS:
                w->server = true;
                return;
        case MOVE_SOCKET_BACK:
                w->hidden = false;
                return;
        case MOVE_SESSION_MADE:
                make_session(w, a);
                return;
        case MOVE_RENAMED_BACK:
                a->misnamed = a->misnamed && a->namesake;
                return;
        case MOVE_SPEC_WRITTEN:
                a->spec = true;
                a->restart = a->resolved = 1;
                return;
        case MOVE_STOPPED:
                if (a->launching)
                        launching_killed(w, a);
                else if (a->unit == UNIT_ACTIVE)
                        world_end_agent(w, a, UNIT_NOT_LOADED, /* well= */ true);
                return;
        default:
                outside_change(w, a, (Outside)move, luck);
        }
}

/* What makes no difference to a launch, or is in others of these. */
static bool is_of_interest(unsigned move) {
        static const Outside not [] = { OUT_ATTACH, OUT_AT_WORK, OUT_HOLD, OUT_DIES_HARD,
                OUT_DROPIN_LOST, OUT_CLOCK, OUT_BY_HAND, OUT_STARTED_BY_HAND, OUT_STEP };

        for (size_t i = 0; i < ELEMENTSOF(not ); i++)
                if (move == not [i])
                        return false;
        return true;
}

/* --- what must be so -------------------------------------------------------------------------- */

static void violated(Exploration *e, uint64_t from, unsigned move, const char *what) {
        World w;
        const WorldAgent *a = w.agents;

        if (e->n_violations++ >= 5)
                return;
        world_of(from, e->direct, &w);
        (void)printf("  VIOLATION %s (move %u)\n    server %d hidden %d spec %d session %d "
                     "misnamed "
                     "%d namesake %d no_keeper %d orphan %d run_file %d by %u of %u, unit %s, "
                     "launching %d step %d\n",
                        what, move, w.server, w.hidden, a->spec, a->session, a->misnamed,
                        a->namesake, a->no_keeper, a->orphan, a->run_file, a->run_invocation,
                        a->invocation, unit_state_to_string(a->unit), a->launching,
                        (int)a->launch.step);
}

/* With nothing in its way it is started, and runs. */
static void expect_to_run(Exploration *e, uint64_t key) {
        WorldAgent *a;
        World w;

        world_of(key, e->direct, &w);
        a = w.agents;
        launching_finish_all(&w);
        if (w.broken)
                violated(e, key, _MOVE_MAX, w.broken);
        a->refuses_start = a->terminal_taken = a->exec_fails = a->keeper_fails = false;
        a->namesake = a->misnamed = w.hidden = false;
        w.server = true;
        move_world(&w, MOVE_SPEC_WRITTEN, 0);
        if (e->direct) {
                make_session(&w, a);
                (void)launching_serve(&w, a, DRIVER_START);
        } else {
                start(&w, a);
                launching_finish_all(&w);
        }
        if (w.broken)
                violated(e, key, _MOVE_MAX, w.broken);
        else if (a->unit != UNIT_ACTIVE || a->orphan || a->launching)
                violated(e, key, _MOVE_MAX, "nothing is in its way, and it does not run");
}

static void visit(Exploration *e, uint64_t key) {
        for (unsigned move = 0; move < _MOVE_MAX; move++)
                for (unsigned luck = 0; luck < outside_choices((Outside)move); luck++) {
                        World w;

                        if (!is_of_interest(move))
                                continue;
                        world_of(key, e->direct, &w);
                        move_world(&w, move, luck);
                        e->n_transitions++;
                        w.agents->n_tries = 0;
                        if (w.broken)
                                violated(e, key, move, w.broken);
                        else
                                add_state(e, key_of(&w));
                }
        expect_to_run(e, key);
}

static bool explore(bool direct) {
        Exploration e = { .direct = direct };
        uint64_t begin = clock_monotonic_usec();
        struct rusage usage;
        World w;

        world_init(&w);
        w.stepwise = true;
        (void)world_agent(&w, "ada");
        add_state(&e, key_of(&w));
        for (uint32_t i = 0; i < e.n_keys; i++) {
                world_of(e.keys[i], direct, &w);
                must(key_of(&w) == e.keys[i], "a state is not what its number says");
                visit(&e, e.keys[i]);
        }
        (void)getrusage(RUSAGE_SELF, &usage);
        (void)printf("%s: states %" PRIu32 ", transitions %" PRIu64 ", violations %" PRIu64
                     ", %.1f s, %ld MB\n",
                        direct ? "direct" : "systemd", e.n_keys, e.n_transitions, e.n_violations,
                        (double)(clock_monotonic_usec() - begin) / 1e6, usage.ru_maxrss / 1024);
        free(e.keys);
        free(e.table);
        return e.n_violations == 0;
}

int main(int argc, char *argv[]) {
        bool good = true;

        for (int direct = 0; direct < 2; direct++)
                if (argc < 2 || strcmp(argv[1], direct ? "direct" : "systemd") == 0)
                        good = explore(direct) && good;
        return good ? 0 : 1;
}
