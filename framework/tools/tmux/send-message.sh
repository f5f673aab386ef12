#!/bin/sh
# SPDX-License-Identifier: MIT
#
# send-message.sh [-L SOCKET] [-S LABEL] [-T TIME] NAME [TEXT...]: for agents that message each other. As agent-send.sh,
# which has the arguments and exit codes; but an agent of a fleet that names no label sends under its own
# name, $MOSAIC_AGENT.

set -eu

if [ -n "${MOSAIC_AGENT:-}" ]; then
        set -- -S "$MOSAIC_AGENT" "$@" # a later -S wins
fi
exec "$(dirname -- "$0")/agent-send.sh" "$@"
