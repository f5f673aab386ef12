#!/bin/sh
# SPDX-License-Identifier: MIT
#
# start-agent-session.sh NAME: what mosaic-agent@NAME.service runs. It becomes the launcher, which takes
# the terminal of the agent's pane over and becomes the agent: so the agent is systemd's own child.
#
# Installed and updated by `mosaic fleet install-systemd`; a file that you changed is kept, and the new one
# lands beside it as start-agent-session.sh.new.

set -eu

launcher=${MOSAIC_LIBEXEC_DIR:-}/mosaic-launcher

if [ "$#" -ne 1 ]; then
        echo "usage: start-agent-session.sh NAME" >&2
        exit 64
fi
if [ ! -x "$launcher" ]; then
        echo "start-agent-session.sh: there is no $launcher; run \`mosaic fleet install-systemd\`" >&2
        exit 178 # a retry cannot help, and the unit does not make one
fi
exec "$launcher" "$1"
