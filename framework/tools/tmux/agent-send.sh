#!/bin/sh
# SPDX-License-Identifier: MIT
#
# agent-send.sh [-L SOCKET] [-S LABEL] [-T TIME] NAME [TEXT...]: sends a message to the agent NAME. The text is
# what follows, joined by blanks, or standard input where nothing does. A thin wrapper, for scripts and
# for agents that message each other; the protocol is that of `mosaic agent send`, which it becomes.
#
#   -L SOCKET  the fleet's tmux socket must have this name: a guard against the wrong fleet
#   -S LABEL   who the message is from (HOSTNAME:operator)
#   -T TIME    how long to wait for the agent (30s)
#
# MOSAIC names the program where `mosaic` in PATH is not meant; MOSAIC_HOME says which fleet, as everywhere.
#
# Exit status: 0 submitted or queued, 3 a person is needed, 4 the agent does not run, 6 typed but not seen
# to be submitted, 7 not ready or locked in time, 64 usage, 65 the message is refused.

set -eu

# Under either name.
usage='usage: agent-send.sh | send-message.sh [-L SOCKET] [-S LABEL] [-T TIME] NAME [TEXT...]'
refuse() {
        echo "$usage" >&2
        exit 64
}

socket='' label='' time=''
while getopts :hL:S:T: option; do
        case $option in
        L) socket=$OPTARG ;;
        S) label=$OPTARG ;;
        T) time=$OPTARG ;;
        h)
                echo "$usage"
                exit 0
                ;;
        *) refuse ;;
        esac
done
shift $((OPTIND - 1))
[ "$#" -ge 1 ] || refuse
name=$1
shift

# The text never stands on a command line of ours: what was given as words goes through a pipe.
send() {
        set -- agent send "$name" -
        [ -z "$socket" ] || set -- "$@" --socket "$socket"
        [ -z "$label" ] || set -- "$@" --source-label "$label"
        [ -z "$time" ] || set -- "$@" --timeout "$time"
        exec "${MOSAIC:-mosaic}" "$@"
}

[ "$#" -gt 0 ] || send
printf '%s' "$*" | send
