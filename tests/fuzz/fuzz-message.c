/* SPDX-License-Identifier: MIT */

/*
 * Messages: what is accepted arrives. The pasted text goes through a terminal's bracketed paste as
 * a program reads it, and must be the label line and the body, byte for byte; what is refused is
 * refused with a sentence that is itself harmless.
 */

#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "reconciler/agent/message.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

static void check_sentence(const char *why) {
        assert(why && *why && utf8_is_valid(why, strlen(why)));
        for (const char *p = why; *p;) {
                uint32_t c;

                p += utf8_decode(p, strlen(p), &c);
                /* Text of a message may be quoted, lines and all. */
                assert(!utf8_is_unsafe(c) || c == '\n' || c == '\t' || c >= 0x200e);
        }
}

/* What a program reads between the brackets: it takes everything up to the closing one. */
static void check_paste(const Message *m) {
        static const char close[] = "\033[201~";

        assert(strlen(m->text) == m->size && utf8_is_valid(m->text, m->size));
        assert(!memmem(m->text, m->size, close, sizeof(close) - 1));
        for (size_t i = 0; i < m->size;) {
                uint32_t c;

                i += utf8_decode(m->text + i, m->size - i, &c);
                assert(c >= 0xa0 || (c >= 0x20 && c != 0x7f && c < 0x80) || c == '\n' || c == '\t');
        }
}

/* The body as it must arrive: with --adapt a CR before an LF is gone, nothing else ever is. */
static bool is_body(const MessageRequest *q, const char *got, size_t n, bool blank) {
        size_t at = 0;

        for (size_t i = 0; i < q->size; i++) {
                if (q->adapt && q->body[i] == '\r' && i + 1 < q->size && q->body[i + 1] == '\n')
                        continue;
                if (at == n || got[at++] != q->body[i])
                        return false;
        }
        return at == n || (blank && at + 1 == n && got[at] == ' ');
}

static void check_message(const MessageRequest *q, const RuntimeTalk *talk) {
        _cleanup_message_ Message m = { 0 };
        _cleanup_free_ char *why = NULL, *head = NULL;
        int r;

        r = message_compose(q, talk, &m, &why);
        assert(r == 0 || r == MESSAGE_REFUSED);
        if (r == MESSAGE_REFUSED) {
                check_sentence(why);
                assert(!m.text);
                return;
        }
        assert(asprintf(&head, "%s[from %s to %s #%s]\n",
                               talk->composer_prefix ? talk->composer_prefix : "", q->label,
                               q->agent, q->id) > 0);
        check_paste(&m);
        assert(strncmp(m.text, head, strlen(head)) == 0);
        assert(is_body(q, m.text + strlen(head), m.size - strlen(head), m.changes != NULL));
        assert(q->adapt || !m.changes);
        for (char **c = m.changes; c && *c; c++)
                check_sentence(*c);
}

static bool check_label(const char *label) {
        _cleanup_free_ char *why = NULL;
        int r = message_check_label(label, &why);

        assert(r == 0 || r == MESSAGE_REFUSED);
        if (r == MESSAGE_REFUSED) {
                check_sentence(why);
                return false;
        }
        assert(*label && strlen(label) <= LABEL_MAX && !strpbrk(label, "\n\r\033[]#'\"`$\\;&|<>"));
        check_sentence(label);
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const patterns[] = { NULL, "^/", "(?m)^[ \\t]*[/!@#]", "@[^ ]*$",
                "\\\\$", "(a+)+$" };
        Input in = INPUT(data, size);
        MessageRequest q = { .agent = "web", .id = "0123abcd" };
        RuntimeTalk talk = { 0 };
        _cleanup_free_ char *label = NULL;

        q.adapt = input_flag(&in);
        talk.composer_misreads =
                        (char *)(uintptr_t)patterns[input_choose(&in, ELEMENTSOF(patterns))];
        talk.composer_prefix = (char *)(uintptr_t)(input_flag(&in) ? " " : NULL);
        label = input_text(&in, 120);
        q.label = check_label(label) ? label : "host:operator";
        q.body = (const char *)data + in.at;
        q.size = size - in.at;
        check_message(&q, &talk);
        return 0;
}
