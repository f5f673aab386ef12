/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON pointers (RFC 6901) as text: "/agents/web/workdir".
 */

#include "model/base/strbuf.h"

/* Appends a slash and one part, in which ~ and / are escaped. */
void pointer_add(StrBuf *b, const char *part);
