/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON values as YAML that the loader reads back as the same: words without quotes where they are
 * safe, everything else as in JSON. Characters that must not reach a terminal are always escaped.
 */

#include "model/base/strbuf.h"
#include "model/json.h"

/* A string as a key or value of one line. */
void yaml_write_string(const char *text, StrBuf *b);

/* A scalar, or a list of them in brackets. */
void yaml_write_flow(const Json *value, StrBuf *b);
