/* SPDX-License-Identifier: MIT */
#include "drivers/agent/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_ready(void) {
        static const char message[] = "READY=1";
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        socklen_t size;

        if (!path || !*path)
                return 0;
        if ((path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(sa.sun_path))
                return -EINVAL;
        (void)stpcpy(sa.sun_path, path);
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        if (path[0] == '@')
                sa.sun_path[0] = '\0'; /* abstract: all bytes up to the size are the name */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&sa, size) <
                        0)
                return -errno;
        return 1;
}
