/* SPDX-License-Identifier: MIT */
#include "model/base/pointer.h"

void pointer_add(StrBuf *b, const char *part) {
        strbuf_add_char(b, '/');
        for (const char *p = part; *p; p++)
                if (*p == '~')
                        strbuf_add(b, "~0");
                else if (*p == '/')
                        strbuf_add(b, "~1");
                else
                        strbuf_add_char(b, *p);
}
