#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The demonstration behind `./bootstrap demo`: a whole fleet in a throw-away home, on a tmux socket of its own,
# shown command by command, taken down again, and checked to have left nothing. Ends with 1 if anything was off.
set -u

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
PATH=$ROOT/build:$PATH
[ -x "$ROOT/build/mosaic" ] || {
        echo 'demo: there is no build/mosaic; run ./bootstrap demo' >&2
        exit 1
}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
        BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') RED=$(printf '\033[31m')
        GREEN=$(printf '\033[32m') CYAN=$(printf '\033[36m') PLAIN=$(printf '\033[0m')
else
        BOLD='' DIM='' RED='' GREEN='' CYAN='' PLAIN=''
fi

OFF=0      # how many things were not as they should be
UP=no      # is there anything to take down
UNITS=''   # where units of the demo are, under systemd
AGENT=''   # one of the agents
SOCKET=''  # of the tmux server
DEMO=$(mktemp -d /tmp/mosaic-demo.XXXXXX) || exit 1

# --- a world of its own ---------------------------------------------------------------------------

HOME=$DEMO/home
MOSAIC_HOME=$DEMO/mosaic
XDG_STATE_HOME=$DEMO/state
XDG_CACHE_HOME=$DEMO/cache
TMUX_TMPDIR=$DEMO
export HOME MOSAIC_HOME XDG_STATE_HOME XDG_CACHE_HOME TMUX_TMPDIR PATH
unset TMUX TMUX_PANE
# What is shown goes on by itself.
export MOSAIC_PAGER=
umask 077
mkdir "$HOME" "$XDG_STATE_HOME" || exit 1

if [ -n "${XDG_RUNTIME_DIR:-}" ] && command -v systemctl >/dev/null 2>&1 &&
        timeout 5 systemctl --user show --property=Version >/dev/null 2>&1; then
        # A user manager answers. It reads units from here too, and forgets them with the session, so
        # the real ~/.config stays as it is.
        XDG_CONFIG_HOME=$XDG_RUNTIME_DIR
        UNITS=$XDG_RUNTIME_DIR/systemd/user
else
        XDG_RUNTIME_DIR=$DEMO/run
        XDG_CONFIG_HOME=$DEMO/config
        mkdir "$XDG_RUNTIME_DIR" || exit 1
fi
export XDG_RUNTIME_DIR XDG_CONFIG_HOME

# --- talking --------------------------------------------------------------------------------------

heading() {
        printf '\n%s%s%s\n' "$BOLD" "$1" "$PLAIN"
        [ $# -lt 2 ] || printf '%s%s%s\n' "$DIM" "$2" "$PLAIN"
}

off() {
        OFF=$((OFF + 1))
        printf '%soff:%s %s\n' "$RED" "$PLAIN" "$1"
}

good() {
        printf '%sok%s  %s\n' "$GREEN" "$PLAIN" "$1"
}

# show CODES COMMAND...: prints the command, runs it, and expects one of the exit codes.
show() {
        expected=$1
        shift
        printf '%s$ %s%s\n' "$CYAN" "$*" "$PLAIN"
        "$@"
        code=$?
        case " $expected " in
        *" $code "*) ;;
        *) off "'$*' ended with $code, expected $expected" ;;
        esac
}

# --- looking --------------------------------------------------------------------------------------

# field NAME: a text member of the fleet's record.
field() {
        python3 - "$1" "$XDG_STATE_HOME"/mosaic/*/fleet.json <<'PYTHON'
import json, sys
print(json.load(open(sys.argv[2]))[sys.argv[1]])
PYTHON
}

# The pid of the agent, from its run file; empty when it does not run.
agent_pid() {
        python3 - "$AGENT" "$XDG_RUNTIME_DIR"/mosaic/"$(basename "$XDG_STATE_HOME"/mosaic/*)" <<'PYTHON'
import json, os, sys
try:
    pid = json.load(open(f"{sys.argv[2]}/run/{sys.argv[1]}.json"))["pid"]
    os.kill(pid, 0)
    print(pid)
except (OSError, ValueError):
    pass
PYTHON
}

# Every process whose environment or command line names this demo: "PID NAME" lines.
processes() {
        for entry in /proc/[0-9]*; do
                [ "$entry" != "/proc/$$" ] || continue
                if grep -qsF "$DEMO" "$entry/environ" "$entry/cmdline"; then
                        printf '%s %s\n' "${entry#/proc/}" "$(cat "$entry/comm" 2>/dev/null)"
                fi
        done
}

# What is left of the demo, one thing a line; nothing if all is well.
leftovers() {
        # First into a variable: the other end of a pipe would be one of them.
        running=$(processes)
        [ -z "$running" ] || printf '%s\n' "$running" | sed 's/^/process /'
        find "$DEMO" -type s | sed 's/^/socket /'
        find "$XDG_STATE_HOME" "$DEMO/run" "$DEMO/config" "$MOSAIC_HOME" -type f \
                ! -path "$MOSAIC_HOME/fleet/roster.yaml" 2>/dev/null | sed 's/^/file /'
        if [ -n "$UNITS" ]; then
                find "$UNITS" "$XDG_RUNTIME_DIR/mosaic" -path "*$ID*" 2>/dev/null | sed 's/^/file /'
                systemctl --user list-units --all --plain --no-legend "mosaic-$ID-*" | sed 's/^/unit /'
        fi
}

# --- the end, whatever happens --------------------------------------------------------------------

take_down_quietly() {
        timeout 60 mosaic fleet stop >/dev/null 2>&1 </dev/null
        timeout 60 mosaic fleet uninstall-systemd --purge >/dev/null 2>&1 </dev/null
        for signal in TERM KILL; do
                running=$(processes)
                [ -n "$running" ] || break
                printf '%s\n' "$running" | while read -r pid _; do
                        kill -s "$signal" "$pid" 2>/dev/null
                done
                sleep 1
        done
}

cleanup() {
        trap '' INT TERM HUP
        trap - EXIT
        if [ "$UP" = yes ]; then
                printf '\ntaking the demo down\n'
                take_down_quietly
        fi
        rm -rf "$DEMO"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the demonstration ----------------------------------------------------------------------------

printf '\n%sA fleet in a throw-away home%s\n' "$BOLD" "$PLAIN"
printf 'home and state: %s; nothing of yours is touched\n' "$DEMO"

heading '1. A roster' 'Four shells stand in for coding agents, so that nothing has to be installed.'
show 0 mosaic fleet init --profile demo --write
show 0 mosaic fleet validate
ID=$(basename "$XDG_STATE_HOME"/mosaic/*)
SUPERVISOR=$(field supervisor) || exit 1

if [ "$SUPERVISOR" = systemd ]; then
        heading '2. The units' 'For this user only, and for this home only.'
        UP=yes
        show 0 mosaic fleet install-systemd
else
        heading '2. The supervisor' 'No user manager of systemd answers here, so the keepers supervise.'
fi

heading '3. The plan' 'What would be done, and why. Nothing is changed; exit code 2 says so to scripts.'
show 2 mosaic fleet plan

heading '4. Apply' 'The same plan, carried out, and looked at again before it says done.'
UP=yes
show 0 mosaic fleet apply --yes
show 0 mosaic fleet verify
show 0 mosaic fleet status

heading '5. An agent dies'
SOCKET=$(field tmux_socket)
sessions=$(tmux -N -S "$SOCKET" list-sessions -F '#{session_name}' 2>/dev/null | grep -v '^_')
AGENT=$(printf '%s\n' "$sessions" | head -n 1)
PERSON=$(printf '%s\n' "$sessions" | grep -x console) || PERSON=$AGENT
before=$(agent_pid)
if [ -z "$before" ]; then
        off "no process of agent '$AGENT' was found"
else
        show 0 kill -9 "$before"
        # The signal is sent; on a busy machine the process may be there for a moment yet.
        waited=0
        while [ "$waited" -lt 100 ] && kill -0 "$before" 2>/dev/null; do
                sleep 0.1
                waited=$((waited + 1))
        done
        if [ "$SUPERVISOR" = systemd ]; then
                echo 'systemd starts it again, in the same pane:'
        else
                show 2 mosaic fleet plan
                show 0 mosaic fleet apply --yes
        fi
        after=$before waited=0
        while [ "$waited" -lt 100 ]; do
                after=$(agent_pid)
                [ -n "$after" ] && [ "$after" != "$before" ] && break
                sleep 0.1
                waited=$((waited + 1))
        done
        if [ -n "$after" ] && [ "$after" != "$before" ]; then
                good "'$AGENT' was process $before and is process $after"
        else
                off "'$AGENT' did not come back"
        fi
fi
show 0 mosaic fleet verify

heading '6. Look at it yourself'
printf 'From another terminal, with C-b d to leave:\n'
printf '  tmux -S %s \\\n      attach -t =%s:\n' "$SOCKET" "$PERSON"
printf 'To take it down by hand: mosaic fleet stop, then uninstall-systemd --purge.\n'
if [ -t 0 ] && [ -t 1 ]; then
        printf '%sPress Enter to take it down. %s' "$BOLD" "$PLAIN"
        read -r _
fi

heading '7. And gone again'
show 0 mosaic fleet stop
show 0 mosaic fleet uninstall-systemd --purge

left=$(leftovers)
if [ -n "$left" ]; then
        off 'something is left:'
        printf '%s\n' "$left" | sed 's/^/      /'
else
        UP=no
        good 'no process, session, socket, unit or file is left but the roster'
fi

if [ "$OFF" -ne 0 ]; then
        printf '\n%sthe demo was not as it should be: %s thing(s) off%s\n' "$RED" "$OFF" "$PLAIN"
        exit 1
fi
printf '\n%sThat was mosaic.%s Your own fleet: see "Five minutes" in README.md.\n' "$BOLD" "$PLAIN"
