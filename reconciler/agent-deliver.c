/* SPDX-License-Identifier: MIT */
#include "reconciler/agent-deliver.h"
#include "reconciler/complain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include "drivers/os/clock.h"
#include "drivers/os/lock.h"
#include "drivers/store/lines.h"
#include "model/base/format.h"
#include "model/base/hash.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"

#define LOG_MAX (4 * 1024 * 1024)
#define NOTE_TYPED "typed-"

void delivered_done(Delivered *d) {
        free(d->why);
        free(d->evidence);
        message_done(&d->message);
        *d = (Delivered){ 0 };
}

static int refuse(Delivered *d, int code, const char *cause, const char *format, ...)
                _printf_(4, 5);

static int refuse(Delivered *d, int code, const char *cause, const char *format, ...) {
        va_list ap;
        int r;

        d->code = code;
        d->cause = cause;
        free(d->why);
        va_start(ap, format);
        r = format_valist(&d->why, format, ap);
        va_end(ap);
        return r;
}

/* --- the end ---------------------------------------------------------------------------------- */

static int keep_evidence(const AgentLook *a, Delivered *d) {
        const ScreenVerdict *v = &a->verdict;

        d->state = v->state;
        d->sign = v->sign;
        d->line = v->line;
        if (!v->text)
                return 0;
        d->evidence = strndup(v->text, v->length);
        return d->evidence ? 0 : -ENOMEM;
}

/* @left: the message that a sender before us did not finish, "" if none. */
static int conclude(const AgentLook *a, const Delivery *machine, const char *left, Delivered *d) {
        static const struct {
                int code;
                const char *cause;
        } outcomes[_DELIVERY_RESULT_MAX] = {
                [DELIVERY_NONE] = { EXIT_INTERNAL, "error" },
                [DELIVERY_SUBMITTED] = { EXIT_OK, NULL },
                [DELIVERY_QUEUED] = { EXIT_OK, NULL },
                [DELIVERY_TYPED] = { EXIT_OK, NULL },
                [DELIVERY_BLOCKED] = { EXIT_BLOCKED, "person-needed" },
                [DELIVERY_NOT_READY] = { EXIT_LOCKED, "not-ready" },
                [DELIVERY_NOT_DELIVERED] = { EXIT_NOT_CONVERGED, "ended" },
                [DELIVERY_UNCERTAIN] = { EXIT_UNKNOWN, "not-confirmed" },
        };
        bool ours = machine->result == DELIVERY_BLOCKED && a->verdict.state == SCREEN_DRAFT &&
                    *left;
        int r;

        d->result = machine->result;
        d->code = outcomes[d->result].code;
        d->cause = outcomes[d->result].cause;
        d->presses = machine->presses;
        if (machine->pasted_usec)
                d->ready_usec = machine->pasted_usec - machine->options.now_usec;
        if (machine->echoed_usec)
                d->echo_usec = machine->echoed_usec - machine->pasted_usec;
        if (machine->pressed_usec)
                d->confirm_usec = machine->ended_usec - machine->pressed_usec;
        r = a->shown.screen.text ? keep_evidence(a, d) : 0;
        if (r < 0)
                return r;
        return refuse(d, outcomes[d->result].code, outcomes[d->result].cause, "%s%s%s%s",
                        machine->why, ours ? " (perhaps message #" : "", ours ? left : "",
                        ours ? ", whose sender was killed or could not confirm it)" : "");
}

/* --- looks and deeds -------------------------------------------------------------------------- */

static DeliveryReply reply_of(DriverInputReply reply) {
        switch (reply) {
        case DRIVER_INPUT_DONE:
                return REPLY_DONE;
        case DRIVER_INPUT_MOVED:
                return REPLY_MOVED;
        case DRIVER_INPUT_GONE:
                return REPLY_GONE;
        case DRIVER_INPUT_UNKNOWN:
                break;
        }
        return REPLY_UNKNOWN;
}

/* What the machine asked for. */
static int act(AgentLook *a, Delivery *machine, DeliveryStep step, int lock, Delivered *d) {
        const Driver *driver = &a->c->driver;
        DriverInput input = {
                .agent = a->name,
                .screen = &a->shown.screen,
                .id = d->id,
                .text = d->message.text,
                .size = d->message.size,
                .key = a->talk->submit_key ? a->talk->submit_key : "Enter",
        };
        DriverInputReply reply = DRIVER_INPUT_UNKNOWN;
        char note[32];
        int r;

        switch (step) {
        case DELIVERY_WAIT:
                clock_pause(machine->wait_usec);
                return 0;
        case DELIVERY_END:
                return 0;
        case DELIVERY_LEAVE_MODE:
                input.kind = DRIVER_INPUT_LEAVE_MODE;
                break;
        case DELIVERY_FOCUS:
                input.kind = DRIVER_INPUT_FOCUS;
                break;
        case DELIVERY_PASTE:
                /* Whoever comes after a sender that was killed sees whose text that is. */
                (void)snprintf(note, sizeof(note), NOTE_TYPED "%s", d->id);
                r = lock_note(lock, note);
                if (r < 0)
                        return r;
                input.kind = DRIVER_INPUT_PASTE;
                break;
        case DELIVERY_PRESS:
                input.kind = DRIVER_INPUT_PRESS;
                break;
        }
        r = driver->input(driver->world, a->pass.observed, &input, &reply);
        if (r < 0)
                return r;
        delivery_reply(machine, reply_of(reply), clock_monotonic_usec());
        return 0;
}

static int run_protocol(AgentLook *a,
                const DeliverRequest *q,
                uint64_t begin,
                int lock,
                const char *left,
                Delivered *d) {
        const DeliveryOptions options = {
                .now_usec = begin,
                .timeout_usec = q->timeout_usec,
                .submit_delay_usec = a->talk->submit_delay_usec,
                .text = d->message.text,
                .size = d->message.size,
                .wait_idle = q->wait_idle,
                .no_submit = q->no_submit,
        };
        DeliveryStep step = DELIVERY_WAIT;
        Delivery machine;
        int r;

        delivery_init(&machine, &options);
        while (step != DELIVERY_END && machine.phase != PHASE_END) {
                DeliveryLook look;

                r = agent_look_screen(a);
                if (r == -ENOMEM && !d->typed)
                        return r;
                look = (DeliveryLook){
                        .now_usec = clock_monotonic_usec(),
                        .seen = r == 0 && a->shown.known,
                        .alive = a->alive,
                        .other_foreground = a->shown.other_foreground,
                        .line_mode = a->shown.line_mode,
                        .young = a->young,
                        .screen = &a->shown.screen,
                        .verdict = &a->verdict,
                };
                step = delivery_look(&machine, &look);
                r = act(a, &machine, step, lock, d);
                d->typed = machine.pasted_usec != 0;
                if (r == -ENOMEM && !d->typed)
                        return r;
                if (r < 0)
                        delivery_give_up(&machine, "tmux did not take the text",
                                        clock_monotonic_usec());
        }
        return conclude(a, &machine, left, d);
}

/* --- before that ------------------------------------------------------------------------------ */

/* Everything that can be known before the lock, and again after it. Sets d->code to refuse. */
static int check(const AgentLook *a, const DeliverRequest *q, Delivered *d) {
        _cleanup_free_ char *why = NULL;
        const MessageRequest request = {
                .label = q->label,
                .agent = a->name,
                .id = d->id,
                .body = q->body,
                .size = q->size,
                .adapt = q->adapt,
        };
        int r;

        message_done(&d->message);
        r = message_compose(&request, a->talk, &d->message, &why);
        if (r < 0)
                return r;
        if (r > 0)
                return refuse(d, EXIT_INVALID, "body", "%s", why);
        r = agent_look_check(a, &why);
        if (r < 0)
                return r;
        if (r > 0)
                return refuse(d, r,
                                r == EXIT_BLOCKED  ? "paused"
                                : r == EXIT_LOCKED ? "unreachable"
                                                   : "not-running",
                                "%s", why);
        if (!a->talk->composer_pattern)
                return refuse(d, EXIT_BLOCKED, "no-composer",
                                "its runtime does not say how an empty input box looks, so nothing "
                                "can be typed safely; give it composer.pattern in the roster");
        return 0;
}

/* Takes the agent's lock. 0 (d->code is set if it is refused), negative errno. */
static int take_lock(AgentLook *a,
                const DeliverRequest *q,
                Delivered *d,
                int *ret_fd,
                LockHolder *ret_before) {
        int r;

        r = lock_take_agent(a->c->paths, a->name, q->verb, 0, ret_fd, ret_before);
        if (r == LOCK_BUSY && q->timeout_usec > 0) {
                r = lock_take_agent(
                                a->c->paths, a->name, q->verb, q->timeout_usec, ret_fd, ret_before);
                if (r == 0) {
                        /* Time has passed. */
                        r = agent_look_refresh(a);
                        return r < 0 ? r : check(a, q, d);
                }
        }
        if (r != LOCK_BUSY)
                return r;
        return refuse(d, EXIT_LOCKED, "locked", "another sender has it: pid %d",
                        (int)ret_before->pid);
}

static int deliver(AgentLook *a, const DeliverRequest *q, uint64_t begin, Delivered *d) {
        const Driver *driver = &a->c->driver;
        LockHolder before = { 0 };
        _cleanup_close_ int lock = -1;
        const char *left = "";
        int r;

        r = check(a, q, d);
        if (r < 0 || d->code != 0)
                return r;
        r = take_lock(a, q, d, &lock, &before);
        if (r < 0 || d->code != 0)
                return r;
        if (strncmp(before.verb, NOTE_TYPED, strlen(NOTE_TYPED)) == 0)
                left = before.verb + strlen(NOTE_TYPED);
        r = driver->forget_inputs(driver->world, a->name);
        if (r == 0)
                r = run_protocol(a, q, begin, lock, left, d);
        if (r < 0)
                return r;
        /* What may still stand in the box keeps its name. */
        if (d->result == DELIVERY_BLOCKED && *left)
                return lock_note(lock, before.verb);
        return d->result == DELIVERY_UNCERTAIN ? 0 : lock_note(lock, "done");
}

/* --- log -------------------------------------------------------------------------------------- */

static const char *result_word(const Delivered *d) {
        switch (d->result) {
        case DELIVERY_SUBMITTED:
        case DELIVERY_QUEUED:
        case DELIVERY_TYPED:
        case DELIVERY_UNCERTAIN:
                return delivery_result_to_string(d->result);
        case DELIVERY_NONE:
        case DELIVERY_BLOCKED:
        case DELIVERY_NOT_READY:
        case DELIVERY_NOT_DELIVERED:
        case _DELIVERY_RESULT_MAX:
                break;
        }
        return "refused";
}

static int write_log(const AgentLook *a, const DeliverRequest *q, const Delivered *d) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *text = NULL, *line = NULL, *path = NULL;
        int r;

        json_open_object(&b, NULL);
        json_put_uint(&b, "at_usec", clock_realtime_usec());
        json_put_string(&b, "id", d->id);
        json_put_string(&b, "verb", q->verb);
        json_put_string(&b, "from", q->label);
        json_put_string(&b, "to", a->name);
        json_put_uint(&b, "bytes", d->bytes);
        json_put_string(&b, "sha256", d->sha256);
        json_put_string(&b, "result", result_word(d));
        json_put_string(&b, "cause", d->cause);
        json_put_uint(&b, "ms", d->took_usec / USEC_PER_MSEC);
        json_close(&b);
        r = json_finish_text(&b, JSON_PLAIN, &text);
        if (r == 0)
                r = path_join(a->c->paths->state, "sends.jsonl", &path);
        if (r < 0)
                return r;
        if (format_text(&line, "%s\n", text) < 0)
                return -ENOMEM;
        return lines_append(path, line, LOG_MAX);
}

int agent_deliver(AgentLook *a, const DeliverRequest *request, Delivered *ret) {
        uint64_t begin = clock_monotonic_usec();
        uint32_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        (void)snprintf(ret->id, sizeof(ret->id), "%08" PRIx32, random);
        ret->bytes = request->size;
        sha256_hex(request->body, request->size, ret->sha256);
        r = deliver(a, request, begin, ret);
        a->c->typed = ret->typed;
        if (r < 0 && !ret->typed)
                return r;
        if (r < 0 && ret->result == DELIVERY_NONE) {
                ret->result = DELIVERY_UNCERTAIN;
                ret->code = EXIT_UNKNOWN;
                ret->cause = "not-confirmed";
        }
        ret->took_usec = clock_monotonic_usec() - begin;
        r = write_log(a, request, ret);
        if (r < 0)
                complain("%s: it could not be noted in the log of messages: %s", request->verb,
                                strerror(-r));
        return 0;
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_safe(FILE *to, const char *s) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        utf8_add_safe(&b, s, strlen(s));
        fputs(strbuf_text(&b), to);
}

void agent_deliver_print(const AgentLook *a, const DeliverRequest *q, const Delivered *d) {
        char took[32];

        (void)format_duration(took, sizeof(took), d->took_usec);
        for (char **change = d->message.changes; change && *change; change++)
                complain("%s: %s", q->verb, *change);
        switch (d->result) {
        case DELIVERY_SUBMITTED:
                printf("Submitted to %s: #%s, %zu bytes in %s (exit 0)\n", a->name, d->id, d->bytes,
                                took);
                return;
        case DELIVERY_QUEUED:
                printf("Queued by %s, which is at work: #%s, %zu bytes in %s (exit 0)\n", a->name,
                                d->id, d->bytes, took);
                return;
        case DELIVERY_TYPED:
                printf("Typed into %s's input box, not submitted: #%s, %zu bytes in %s (exit 0)\n",
                                a->name, d->id, d->bytes, took);
                return;
        case DELIVERY_NONE:
        case DELIVERY_BLOCKED:
        case DELIVERY_NOT_READY:
        case DELIVERY_NOT_DELIVERED:
        case DELIVERY_UNCERTAIN:
        case _DELIVERY_RESULT_MAX:
                break;
        }
        fprintf(stderr, "mosaic: %s: %s: %s", q->verb, a->name, d->why ? d->why : strerror(ENOMEM));
        if (d->evidence && *d->evidence) {
                fprintf(stderr, d->line > 0 ? "; line %u says: " : "; its title says: ", d->line);
                print_safe(stderr, d->evidence);
        }
        fprintf(stderr, "; %s (exit %d)\n",
                        d->result == DELIVERY_UNCERTAIN
                                        ? "the text was typed once and will not be typed again: "
                                          "look at its screen first"
                                        : "nothing was typed",
                        d->code);
}

void agent_deliver_put(
                JsonBuilder *b, const AgentLook *a, const DeliverRequest *q, const Delivered *d) {
        json_put_string(b, "agent", a->name);
        json_put_string(b, "id", d->id);
        json_put_string(b, "from", q->label);
        json_put_uint(b, "bytes", d->bytes);
        json_put_string(b, "sha256", d->sha256);
        json_put_string(b, "result", result_word(d));
        json_put_string(b, "cause", d->cause);
        json_put_string(b, "why", d->why);
        json_put_strv(b, "changes", d->message.changes);
        json_open_object(b, "evidence");
        json_put_string(b, "state", screen_state_to_string(d->state));
        json_put_string(b, "sign", screen_sign_to_string(d->sign));
        json_put_uint_or_null(b, "line", d->line);
        json_put_string(b, "text", d->evidence);
        json_close(b);
        json_put_uint(b, "presses", d->presses);
        json_open_object(b, "took_ms");
        json_put_uint(b, "ready", d->ready_usec / USEC_PER_MSEC);
        json_put_uint(b, "echo", d->echo_usec / USEC_PER_MSEC);
        json_put_uint(b, "confirm", d->confirm_usec / USEC_PER_MSEC);
        json_put_uint(b, "all", d->took_usec / USEC_PER_MSEC);
        json_close(b);
}
