/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The product-owned files, compiled into the program: everything below
 * framework/{fleet,systemd,tools} and the roster's schema. Paths are relative to framework/, for
 * example "fleet/runtimes/pi.yaml".
 */

#include <stddef.h>

typedef struct Asset {
        const char *path;
        unsigned mode;              /* 0644, or 0755 for programs */
        const unsigned char *bytes; /* followed by a NUL that is not counted */
        size_t size;
} Asset;

extern const Asset assets[]; /* sorted by path */
extern const size_t n_assets;

/* NULL if there is no such file. */
const Asset *asset_find(const char *path);
