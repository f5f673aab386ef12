/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Each fuzz target is one function. With -Dfuzz=enabled (clang) libFuzzer calls it; otherwise
 * tests/fuzz/replay.c calls it with every file of the corpus, as an ordinary test.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
