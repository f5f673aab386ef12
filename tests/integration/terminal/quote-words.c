/* SPDX-License-Identifier: MIT */

/* Prints, for `tmux source-file -`, one `set-option -g @wordN WORD` for each argument. */

#include <stdio.h>

#include "drivers/tmux/command.h"

int main(int argc, char *argv[]) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        for (int i = 1; i < argc; i++) {
                strbuf_addf(&b, "set-option -g @word%d ", i);
                tmux_quote(&b, argv[i]);
                strbuf_add(&b, "\n");
        }
        return b.failed || fputs(strbuf_text(&b), stdout) == EOF;
}
