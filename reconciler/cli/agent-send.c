/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "drivers/os/file.h"
#include "model/base/format.h"
#include "model/base/strv.h"
#include "reconciler/agent-deliver.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

/* Exactly one agent, and one place that the message comes from. */
static int check_words(const Options *o) {
        unsigned n = (o->message != NULL) + (o->message_file != NULL) + o->message_stdin;

        if (strv_length(o->names) != 1)
                fprintf(stderr, "mosaic: send: name one agent\n");
        else if (n != 1)
                fprintf(stderr, "mosaic: send: say the message once: --message TEXT, --file FILE, "
                                "or - for standard input\n");
        else
                return 0;
        return EXIT_USAGE;
}

/* Who says which socket it is means this fleet and no other. */
static int check_socket(const Context *c, const Options *o) {
        const char *name = strrchr(c->record->tmux_socket, '/');

        name = name ? name + 1 : c->record->tmux_socket;
        if (!o->socket || strcmp(o->socket, name) == 0)
                return 0;
        return run_refuse(c, "send", EXIT_USAGE,
                        "the tmux socket of this fleet is called '%s', not '%s'; MOSAIC_HOME says "
                        "which fleet is meant",
                        name, o->socket);
}

/* One that is too long is refused. 0, exit code, negative errno. */
static int read_body(const Context *c, const Options *o, char **ret, size_t *ret_size) {
        int r;

        if (o->message) {
                *ret = strdup(o->message);
                if (!*ret)
                        return -ENOMEM;
                *ret_size = strlen(*ret);
                return 0;
        }
        r = o->message_stdin ? file_read_fd(STDIN_FILENO, MESSAGE_MAX, ret, ret_size)
                             : file_read_limited(o->message_file, MESSAGE_MAX, ret, ret_size);
        if (r == -ENOMEM || r == 0)
                return r;
        if (r == -EFBIG)
                return run_refuse(c, "send", EXIT_INVALID,
                                "the message has more than %d bytes; put it into a file and send "
                                "its path",
                                MESSAGE_MAX);
        return run_refuse(c, "send", EXIT_INTERNAL, "cannot read the message from %s: %s",
                        o->message_stdin ? "standard input" : o->message_file,
                        r == -EINVAL ? "it is not a regular file" : strerror(-r));
}

/* The label that was asked for, or this machine's operator: the same every time, asking nobody. */
static int make_label(const Context *c, const Options *o, char **ret) {
        _cleanup_free_ char *why = NULL, *label = NULL;
        char host[256] = "";
        int r;

        if (o->source_label)
                label = strdup(o->source_label);
        else if (gethostname(host, sizeof(host) - 1) < 0)
                return -errno;
        else
                (void)!format_text(&label, "%s:operator", host);
        if (!label)
                return -ENOMEM;
        r = message_check_label(label, &why);
        if (r > 0)
                return run_refuse(c, "send", EXIT_USAGE, "%s", why);
        if (r == 0)
                *ret = TAKE_PTR(label);
        return r;
}

static int print_json(const AgentLook *a, const DeliverRequest *q, const Delivered *d) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        output_put_head(&b, a->c, "send", a->roster_invalid ? NULL : a->pass.desired);
        agent_deliver_put(&b, a, q, d);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)d->code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_free_ char *body = NULL, *label = NULL;
        _cleanup_agent_look_ AgentLook agent = { 0 };
        _cleanup_delivered_ Delivered d = { 0 };
        DeliverRequest q = { .verb = "send" };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_MESSAGE, argc, argv, &o);
        if (r == 0)
                r = check_words(&o);
        if (r == 0)
                r = check_socket(c, &o);
        if (r == 0)
                r = make_label(c, &o, &label);
        if (r == 0)
                r = read_body(c, &o, &body, &q.size);
        if (r == 0)
                r = agent_look_open(&agent, c, o.names[0]);
        if (r != 0)
                return r;
        q.label = label;
        q.body = body;
        q.timeout_usec = o.timeout_usec;
        q.wait_idle = o.wait_idle;
        q.no_submit = o.no_submit;
        q.adapt = o.adapt;
        r = agent_deliver(&agent, &q, &d);
        if (r < 0)
                return r;
        if (!c->json || d.code != 0)
                agent_deliver_print(&agent, &q, &d);
        r = c->json ? print_json(&agent, &q, &d) : 0;
        return r < 0 ? r : d.code;
}

const Verb verb_agent_send = {
        .group = "agent",
        .name = "send",
        .task = TASK_AGENT,
        .synopsis = "NAME --message TEXT | --file FILE | - [OPTION...]",
        .summary = "Type a message to an agent and submit it, once",
        .words = "@agent",
        .help = "The agent reads a first line '[from LABEL to NAME #ID]' and then the message,\n"
                "byte for byte. It is typed only into an empty input box of the agent's own\n"
                "process; a draft, a dialog or another program is left alone.\n"
                "\n"
                "Options:\n"
                "      --message TEXT       The message\n"
                "      --file FILE          Read it from a file (256 KiB at most)\n"
                "      -                    Read it from standard input\n"
                "      --source-label LABEL Who it is from (HOSTNAME:operator)\n"
                "      --source LABEL       The same\n"
                "      --timeout T          Wait this long for the agent (30s)\n"
                "      --wait idle          Wait until it does not work\n"
                "      --no-submit          Type it, press no key\n"
                "      --adapt              Change what would be refused, and say so\n"
                "      --socket NAME        Only if the fleet's tmux socket is called so\n"
                "      --json               Print the result as JSON\n"
                "      --color WHEN         auto, always or never\n"
                "\n"
                "Exit status: 0 submitted or queued, 3 a person is needed, 4 it does not run,\n"
                "6 typed but not seen to be submitted, 7 not ready or locked in time, 64 usage,\n"
                "65 the message is refused.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent send web --message 'run the tests'\n"
                "  git diff | mosaic agent send review -\n",
        .run = run,
};
