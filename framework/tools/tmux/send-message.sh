#!/bin/sh
# SPDX-License-Identifier: MIT
#
# send-message.sh [-L SOCKET] [-S SOURCE-LABEL] AGENT [BODY]: the other name of agent-send.sh, for scripts that
# know this one.
#
# Installed and updated by `mosaic fleet install-systemd`, which keeps a changed copy and says so.

set -eu

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
exec "$here/agent-send.sh" "$@"
