/* SPDX-License-Identifier: MIT */
#include "framework/assets.h"

#include <stdlib.h>
#include <string.h>

static int compare_path(const void *key, const void *element) {
        return strcmp(key, ((const Asset *)element)->path);
}

const Asset *asset_find(const char *path) {
        return bsearch(path, assets, n_assets, sizeof(Asset), compare_path);
}
