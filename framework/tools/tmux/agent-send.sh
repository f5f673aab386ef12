#!/bin/sh
# SPDX-License-Identifier: MIT
#
# agent-send.sh [-L SOCKET] [-S SOURCE-LABEL] AGENT [BODY]: sends a message to an agent of the fleet. Without
# BODY it is read from standard input, which is the better way: an argument is visible in the process list.
#
# All there is to delivery is in `mosaic agent send`; its exit codes are passed on (0 submitted or queued,
# 3 a person is needed, 4 not delivered, 6 typed but not confirmed, 7 not ready in time, 64 usage, 65 body
# refused). Sent from inside an agent, the message carries that agent's name as its source.
#
# Installed and updated by `mosaic fleet install-systemd`, which keeps a changed copy and says so.

set -eu

name=${0##*/}

usage() {
        echo "usage: $name [-L SOCKET] [-S SOURCE-LABEL] AGENT [BODY]" >&2
        exit 64
}

socket='' label=''
while getopts L:S: option; do
        case $option in
        L) socket=$OPTARG ;;
        S) label=$OPTARG ;;
        *) usage ;;
        esac
done
shift $((OPTIND - 1))
if [ "$#" -lt 1 ] || [ "$#" -gt 2 ]; then
        usage
fi

# AGENT may be written as tmux writes an exact target.
agent=${1#=}
agent=${agent%:}
case $agent in
'' | -* | *[!a-z0-9-]*)
        echo "$name: '$1' is not the name of an agent" >&2
        exit 64
        ;;
esac
shift
if [ "$#" -eq 0 ] && [ -t 0 ]; then
        echo "$name: no body: give it as an argument or on standard input" >&2
        exit 64
fi

if [ -z "$label" ] && [ -n "${MOSAIC_AGENT:-}" ]; then
        label=$(uname -n):$MOSAIC_AGENT
fi
body_given=$#
body=${1:-}

set -- agent send "$agent" --stdin
if [ -n "$socket" ]; then
        set -- "$@" --socket "$socket"
fi
if [ -n "$label" ]; then
        set -- "$@" --source-label "$label"
fi

# The cleaned environment of an agent may lack the directory that an operator's PATH has.
mosaic=mosaic
if ! command -v mosaic >/dev/null; then
        for mosaic in /usr/local/bin/mosaic /usr/bin/mosaic "${HOME:-}/.local/bin/mosaic" ''; do
                [ ! -x "$mosaic" ] || break
        done
        if [ -z "$mosaic" ]; then
                echo "$name: there is no mosaic in PATH" >&2
                exit 1
        fi
fi

if [ "$body_given" -eq 0 ]; then
        exec "$mosaic" "$@"
fi
printf '%s' "$body" | "$mosaic" "$@"
