/* SPDX-License-Identifier: MIT */
#include "drivers/store/record.h"

#include <fcntl.h>
#include <string.h>

#include "drivers/os/file.h"
#include "drivers/os/paths.h"

int record_read(const char *dir, const char *file, size_t max, Json **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_join(dir, file, &path);
        return r < 0 ? r : record_read_at(AT_FDCWD, path, max, ret);
}

int record_read_at(int dir_fd, const char *file, size_t max, Json **ret) {
        _cleanup_free_ char *bytes = NULL;
        _cleanup_json_ Json *j = NULL;
        uint64_t version;
        size_t size;
        int r;

        r = file_read_own_at(dir_fd, file, max, &bytes, &size);
        if (r < 0)
                return r;
        r = json_parse(bytes, size, &j);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (json_get_uint64(j, "version", &version) < 0 || version != 1)
                return -EBADMSG;
        *ret = TAKE_PTR(j);
        return 0;
}

bool record_error_passes(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

int record_get_fingerprint(const Json *j, const char *key, char ret[FINGERPRINT_SIZE]) {
        const char *s = json_get_string(j, key);

        if (!s || strlen(s) != FINGERPRINT_SIZE - 1)
                return -EBADMSG;
        (void)stpcpy(ret, s);
        return 0;
}
