/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 as lower-case hex: names the content of a roster and of an agent's spec.
 */

#include <stddef.h>

#define SHA256_HEX_SIZE 65 /* 64 digits and the NUL */

void sha256_hex(const void *bytes, size_t size, char ret[static SHA256_HEX_SIZE]);
