/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * READY=1 to the service manager. The protocol of sd_notify(3) is one datagram and documented as
 * stable; linking libsystemd for it would cost each start of an agent more than the launcher does.
 */

#include "model/base/cleanup.h"

/* 0: nobody asked to be told ($NOTIFY_SOCKET is not set); 1: told; or a negative errno. */
_must_check_ int notify_ready(void);
