#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The test bed: an unprivileged user with a real `systemd --user` and a real tmux.

No systemd as PID 1 is needed. A bed is a user of its own, a home and a runtime directory in /tmp, and
a cgroup in every hierarchy that the manager wants; its end leaves no process, mount, user or file.
Several beds may live at once. What a run that was killed left behind is removed by the next one.

Command:
    tests/lib/bed.py run [OPTIONS] CMD ARG...   CMD as the bed's user beside a fresh user manager
    tests/lib/bed.py shell [OPTIONS]            the same with an interactive shell
    tests/lib/bed.py clean                      remove what dead beds left behind
    tests/lib/bed.py check                      say whether a bed can be made here, and what it has
  Options: --no-manager (no `systemd --user`), --no-controllers (manager without memory, pids, cpu),
  --path DIR (put before PATH), --env K=V, --quiet. The exit code is that of CMD; 77: no bed here (said on
  stderr as "SKIP bed: ...").

Module:
    with bed.Bed() as b:
        b.run(['systemctl', '--user', 'daemon-reload'], check=True).out
        b.popen([...]); b.pty([...]); b.write('bin/pi', '#!/bin/sh\n...', 0o755); b.processes()
        before = b.snapshot(); ...; print(before.diff(b.snapshot()))
        canary = b.canary(); ...; assert not canary.changes()
        b.restart_manager(); b.kill_manager(); b.reset()

It needs root, or sudo without a password (use bed.become_root() first thing in main).
"""

import argparse
import errno
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bed_look import (Canary, Failed, Process, Snapshot, Tripwire, processes_of,  # noqa: E402,F401
                      read_text, wait_for)

SYSTEMD = '/lib/systemd/systemd'
REGISTRY = '/run/mosaic-bed'
PREFIX = 'mosaic-bed-'
COMMENT = 'mosaic test bed'
FIRST_UID, LAST_UID = 59000, 59899
SKIP = 77
# What a manager can enforce limits with. The name=systemd and the unified hierarchy are always used.
CONTROLLERS = ('memory', 'pids', 'cpu', 'cpuacct')


class Unavailable(Exception):
    """No bed can be made here. Its text is the name of the skip and why."""


# --- cgroups --------------------------------------------------------------------------------------

class Hierarchy:
    def __init__(self, mount, v2, names):
        self.mount, self.v2, self.names = mount, v2, names

    def __repr__(self):
        return '%s (%s)' % (self.mount, 'v2' if self.v2 else ','.join(sorted(self.names)))


def hierarchies():
    found = []
    for line in (read_text('/proc/self/mountinfo') or '').splitlines():
        left, _, right = line.partition(' - ')
        kind, _, options = right.partition(' ')
        mount = left.split()[4]
        if kind == 'cgroup2':
            found.append(Hierarchy(mount, True, set()))
        elif kind == 'cgroup':
            found.append(Hierarchy(mount, False, set(options.split()[-1].split(',')) - {'rw', 'ro'}))
    return found


def _hierarchies_wanted(controllers):
    """Those a manager of ours gets a sub-cgroup in."""
    wanted = []
    for h in hierarchies():
        if h.v2 or 'name=systemd' in h.names or (controllers and h.names & set(CONTROLLERS)):
            wanted.append(h)
    return wanted


def _cgroup_pids(path):
    pids = set()
    for d, _, _ in os.walk(path):
        for line in (read_text(d + '/cgroup.procs') or '').split():
            pids.add(int(line))
    return pids


def _cgroup_remove(path, deadline):
    """Kills what is in a cgroup and removes it with everything below."""
    while os.path.isdir(path):
        kill = path + '/cgroup.kill'
        if os.path.exists(kill):
            try:
                with open(kill, 'w') as f:
                    f.write('1')
            except OSError:
                pass
        for pid in _cgroup_pids(path):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for d, _, _ in sorted(os.walk(path), key=lambda e: -len(e[0])):
            try:
                os.rmdir(d)
            except OSError:
                pass
        if os.path.isdir(path):
            if time.monotonic() >= deadline:
                raise Failed('cgroup %s cannot be removed: pids %s' % (path, _cgroup_pids(path)))
            time.sleep(0.01)


# --- registry: who is alive, who is a leftover ----------------------------------------------------

class _Global:
    """Serialises the making and removing of users and shared directories between beds."""

    def __enter__(self):
        path = REGISTRY + '/lock'
        while True:
            try:
                os.makedirs(REGISTRY, 0o755, exist_ok=True)
                self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the last bed removed the directory between the two calls
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            # The last bed removes the file, so what was waited for may no longer be the lock.
            try:
                if os.path.samestat(os.fstat(self.fd), os.stat(path)):
                    return self
            except FileNotFoundError:
                pass
            os.close(self.fd)

    def __exit__(self, *_):
        os.close(self.fd)


def _registered():
    try:
        return sorted(n for n in os.listdir(REGISTRY) if n.startswith(PREFIX))
    except FileNotFoundError:
        return []


def _held(name):
    """Whether the process that made this bed still lives (its lock dies with it)."""
    try:
        fd = os.open(REGISTRY + '/' + name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def _remove_user(name):
    try:
        pwd.getpwnam(name)
    except KeyError:
        return
    for attempt in range(50):
        r = subprocess.run(['userdel', name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        try:
            pwd.getpwnam(name)
        except KeyError:
            return
        time.sleep(0.1)
    raise Failed('userdel %s: %s' % (name, r.stderr.strip()))


def _remove_tree(path):
    """rm -r that follows no link, forces its way through directories without permissions, and does not
    mind a vanished file."""
    def again(function, failed, info):
        error = info[1]
        if isinstance(error, FileNotFoundError):
            return
        try:
            os.chmod(os.path.dirname(failed), 0o700)
            os.chmod(failed, 0o700, follow_symlinks=False) if not os.path.islink(failed) else None
            function(failed)
        except FileNotFoundError:
            pass
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path, onerror=again)


def _demolish(name):
    """Removes everything a bed of this name can have left. Called with the global lock held."""
    uid = int(name[len(PREFIX):])
    deadline = time.monotonic() + 20
    for h in hierarchies():
        _cgroup_remove(os.path.join(h.mount, name), deadline)
    # Nothing but this bed uses the uid, so what still runs under it is a leftover.
    while True:
        left = processes_of(uid)
        if not left:
            break
        for p in left:
            try:
                os.kill(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if time.monotonic() >= deadline:
            raise Failed('processes do not die: %s' % left)
        time.sleep(0.01)
    for path in ('/tmp/' + name, '/tmp/tmux-%d' % uid, '/var/lib/systemd/linger/' + name):
        _remove_tree(path)
    _remove_user(name)
    try:
        os.unlink(REGISTRY + '/' + name)
    except FileNotFoundError:
        pass


def _all_named():
    names = set(_registered())
    names.update(p.pw_name for p in pwd.getpwall() if p.pw_name.startswith(PREFIX)
                 and p.pw_gecos == COMMENT)
    names.update(n for n in os.listdir('/tmp') if n.startswith(PREFIX))
    for h in hierarchies():
        names.update(n for n in os.listdir(h.mount) if n.startswith(PREFIX))
    return sorted(n for n in names if n[len(PREFIX):].isdigit()
                  and FIRST_UID <= int(n[len(PREFIX):]) <= LAST_UID)


def _clean_locked():
    removed = []
    for name in _all_named():
        if not _held(name):
            _demolish(name)
            removed.append(name)
    return removed


def _shared_end():
    """The last bed takes away what the first one had to make."""
    if _registered():
        return
    for mark, path in (('made-systemd-system', '/run/systemd/system'), ('made-systemd', '/run/systemd')):
        if os.path.exists(REGISTRY + '/' + mark):
            try:
                os.rmdir(path)
            except OSError:
                pass
            os.unlink(REGISTRY + '/' + mark)
    # The lock file stays while others may wait on it; with nobody registered it may go.
    try:
        os.unlink(REGISTRY + '/lock')
        os.rmdir(REGISTRY)
    except OSError:
        pass


def clean():
    """Removes what dead beds left behind; returns their names."""
    with _Global():
        removed = _clean_locked()
        _shared_end()
    return removed


def become_root():
    """Runs the calling program again under sudo when it is not root; raises Unavailable where it cannot."""
    if os.geteuid() == 0:
        return
    if shutil.which('sudo') and subprocess.run(
            ['sudo', '-n', 'true'], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
        keep = ['%s=%s' % (k, v) for k, v in os.environ.items()
                if k.startswith('MOSAIC_') or k in ('PATH', 'LANG', 'TERM', 'MESON_TEST_ITERATION')]
        os.execvp('sudo', ['sudo', '-n', 'env'] + keep + [sys.executable] + sys.argv)
    raise Unavailable('bed: needs root, or sudo without a password')


def check_available(manager=True):
    """Raises Unavailable where no bed can be made."""
    if os.geteuid() != 0:
        raise Unavailable('bed: needs root, or sudo without a password')
    for program in ('useradd', 'userdel', 'tmux'):
        if not shutil.which(program, path='/usr/sbin:/usr/bin:/sbin:/bin:' + os.environ.get('PATH', '')):
            raise Unavailable('bed: %s is not installed' % program)
    if not manager:
        return
    if not os.path.exists(SYSTEMD):
        raise Unavailable('bed: %s is not installed' % SYSTEMD)
    have = _hierarchies_wanted(False)
    if not have:
        raise Unavailable('bed: no cgroup hierarchy that systemd can use is mounted')
    for h in have:
        if not os.access(h.mount, os.W_OK) or os.statvfs(h.mount).f_flag & os.ST_RDONLY:
            raise Unavailable('bed: %s is read-only' % h.mount)


# --- the bed --------------------------------------------------------------------------------------

class Result:
    def __init__(self, argv, code, out, err, wall):
        self.argv, self.code, self.out, self.err, self.wall = argv, code, out, err, wall

    def __repr__(self):
        text = '$ %s\n-> %s in %.3f s' % (' '.join(map(str, self.argv)), self.code, self.wall)
        for name, body in (('stdout', self.out), ('stderr', self.err)):
            if body:
                text += '\n%s:\n%s' % (name, body if len(body) < 6000 else body[:3000] + '\n[...]\n' + body[-3000:])
        return text


class Bed:
    """One bed; see the head of this file. @manager: run `systemd --user`. @controllers: give it the
    memory, pids and cpu controllers where the machine has them. @path: directories before PATH."""

    def __init__(self, manager=True, controllers=True, path=(), env=None):
        check_available(manager)
        self.with_manager, self.controllers = manager, controllers
        self.path, self.extra_env = list(path), dict(env or {})
        self.manager = None
        self._children = []
        self._registration = None
        with _Global():
            _clean_locked()
            self.uid = self._free_uid()
            self.name = PREFIX + str(self.uid)
            self._registration = os.open(REGISTRY + '/' + self.name,
                                         os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._registration, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.root = '/tmp/' + self.name
            self.home, self.run_dir = self.root + '/home', self.root + '/run'
            self.tmux_dir = '/tmp/tmux-%d' % self.uid
            try:
                self._make()
            except BaseException:
                _demolish(self.name)
                os.close(self._registration)
                _shared_end()
                raise
        try:
            if manager:
                self.start_manager()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _free_uid():
        used = {p.pw_uid for p in pwd.getpwall()}
        named = set(_all_named())
        for uid in range(FIRST_UID, LAST_UID + 1):
            if uid not in used and PREFIX + str(uid) not in named and \
                    not os.path.lexists('/tmp/tmux-%d' % uid) and not processes_of(uid):
                return uid
        raise Unavailable('bed: no free uid in %d..%d' % (FIRST_UID, LAST_UID))

    def _make(self):
        for mark, path in (('made-systemd', '/run/systemd'), ('made-systemd-system', '/run/systemd/system')):
            if self.with_manager and not os.path.isdir(path):
                os.mkdir(path, 0o755)
                open(REGISTRY + '/' + mark, 'w').close()
        for attempt in range(50):
            r = subprocess.run(
                ['useradd', '--system', '--no-create-home', '--home-dir', self.home, '--uid', str(self.uid),
                 '--user-group', '--shell', '/bin/bash', '--comment', COMMENT, self.name],
                stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if r.returncode == 0:
                break
            if r.returncode != 1:  # 1: the password file is locked by somebody else
                break
            time.sleep(0.1)
        if r.returncode:
            raise Unavailable('bed: useradd: %s' % r.stderr.strip())
        self.gid = pwd.getpwnam(self.name).pw_gid
        os.mkdir(self.root, 0o755)
        self._make_dirs()
        self._make_cgroups()

    def _make_dirs(self):
        for d in (self.home, self.run_dir):
            os.mkdir(d, 0o700)
            os.chown(d, self.uid, self.gid)

    def _make_cgroups(self):
        """NAME/session holds what is run by hand, NAME/manager belongs to the user and is the manager's."""
        self._hierarchies = _hierarchies_wanted(self.controllers)
        for h in self._hierarchies:
            top = os.path.join(h.mount, self.name)
            if h.v2 and self.controllers:
                self._enable(h.mount)
            os.makedirs(top, exist_ok=True)
            if h.v2 and self.controllers:
                self._enable(top)
            os.makedirs(top + '/session', exist_ok=True)
            self._own(top + '/manager')

    def _own(self, path):
        os.makedirs(path, exist_ok=True)
        os.chown(path, self.uid, self.gid)
        for name in ('cgroup.procs', 'tasks', 'cgroup.threads', 'cgroup.subtree_control'):
            try:
                os.chown(path + '/' + name, self.uid, self.gid)
            except FileNotFoundError:
                pass

    @staticmethod
    def _enable(path):
        have = (read_text(path + '/cgroup.controllers') or '').split()
        on = (read_text(path + '/cgroup.subtree_control') or '').split()
        for c in CONTROLLERS:
            if c in have and c not in on:
                try:
                    with open(path + '/cgroup.subtree_control', 'w') as f:
                        f.write('+' + c)
                except OSError:
                    pass  # a container's own root with processes in it: the manager has none, and says so

    def close(self):
        """Ends every process of the bed and removes all it made. May be called again."""
        if self._registration is None:
            return
        for p in self._children:
            if p.poll() is None:
                p.kill()
        with _Global():
            try:
                _demolish(self.name)
            finally:
                for p in self._children + ([self.manager] if self.manager else []):
                    for stream in (p.stdin, p.stdout, p.stderr):
                        if stream:
                            stream.close()
                    p.wait()
                os.close(self._registration)
                self._registration = None
                self.manager = None
                self._children = []
            _shared_end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- running things ---

    def env(self, extra=None):
        e = {
            'HOME': self.home, 'USER': self.name, 'LOGNAME': self.name, 'SHELL': '/bin/bash',
            'PATH': ':'.join([self.home + '/bin'] + self.path + ['/usr/local/bin', '/usr/bin', '/bin']),
            'XDG_RUNTIME_DIR': self.run_dir, 'LANG': 'C.UTF-8', 'TERM': 'xterm-256color',
            'PAGER': 'cat',  # nobody sits there who could turn a page
        }
        e.update(self.extra_env)
        for k, v in (extra or {}).items():
            if v is None:
                e.pop(k, None)
            else:
                e[k] = v
        return e

    def _enter(self, where, tty=None):
        """What the child does between fork and exec: into the cgroup, then down to the user."""
        fds = []
        for h in self._hierarchies:
            path = os.path.join(h.mount, self.name, where, 'cgroup.procs')
            fds.append(path)

        def enter():
            for path in fds:
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                os.write(fd, b'0')
                os.close(fd)
            os.setgroups([self.gid])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
            os.umask(0o022)
            for s in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(s, signal.SIG_DFL)
            if tty is not None:
                fcntl.ioctl(tty, termios.TIOCSCTTY, 0)
        return enter

    def popen(self, argv, env=None, cwd=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
              stderr=subprocess.PIPE, where='session', new_session=True, **more):
        """A command as the user, not waited for. It is killed when the bed ends."""
        p = subprocess.Popen([str(a) for a in argv], env=self.env(env), cwd=cwd or self.home, stdin=stdin,
                             stdout=stdout, stderr=stderr, start_new_session=new_session,
                             preexec_fn=self._enter(where), **more)
        self._children = [c for c in self._children if c.poll() is None] + [p]
        return p

    def run(self, argv, timeout=60, input=None, check=False, **more):
        """A command as the user, waited for. Raises Failed at the timeout, and on an error code if
        @check. Text in and out is UTF-8; bytes that are not come through as surrogates."""
        if isinstance(input, str):
            input = input.encode('utf-8', 'surrogateescape')
        begin = time.monotonic()
        p = self.popen(argv, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE, **more)
        try:
            out, err = p.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                out, err = p.communicate(timeout=2)
            except subprocess.TimeoutExpired as e:
                out, err = e.output or b'', b'(a child keeps the output open)'
            raise Failed('timeout after %s s: %r' % (timeout, Result(
                argv, None, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace'),
                time.monotonic() - begin)))
        finally:
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    stream.close()
        r = Result(argv, p.returncode, (out or b'').decode('utf-8', 'surrogateescape'),
                   (err or b'').decode('utf-8', 'surrogateescape'), time.monotonic() - begin)
        if check and r.code:
            raise Failed('failed: %r' % r)
        return r

    def pty(self, argv, env=None, cwd=None, rows=40, cols=120):
        """A command on a terminal of its own: returns (Popen, file descriptor of our side)."""
        ours, theirs = os.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))
        os.set_blocking(ours, False)
        p = subprocess.Popen([str(a) for a in argv], env=self.env(env), cwd=cwd or self.home, stdin=theirs,
                             stdout=theirs, stderr=theirs, start_new_session=True,
                             preexec_fn=self._enter('session', tty=0))
        os.close(theirs)
        self._children.append(p)
        return p, ours

    def systemctl(self, *args, **more):
        return self.run(['systemctl', '--user', '--no-pager'] + list(args), **more)

    def tmux(self, *args, socket_name=None, **more):
        """A tmux client that starts no server. Without @socket_name: the user's default server."""
        which = ['-L', socket_name] if socket_name else []
        return self.run(['tmux', '-N'] + which + list(args), **more)

    # --- files ---

    def path_of(self, name):
        return name if os.path.isabs(name) else os.path.join(self.home, name)

    def mkdir(self, name, mode=0o755):
        path = self.path_of(name)
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for d in reversed(missing):
            os.mkdir(d, mode)
            os.chown(d, self.uid, self.gid)
        return self.path_of(name)

    def write(self, name, text, mode=0o644):
        """A file of the user's, replaced by rename; missing directories are made. Returns its path."""
        path = self.path_of(name)
        self.mkdir(os.path.dirname(path))
        fd, tmp = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(fd, 'wb') as f:
            f.write(text.encode('utf-8', 'surrogateescape') if isinstance(text, str) else text)
            os.fchown(f.fileno(), self.uid, self.gid)
            os.fchmod(f.fileno(), mode)
        os.rename(tmp, path)
        return path

    def read(self, name):
        return read_text(self.path_of(name))

    def linger(self, on=True):
        """What `loginctl enable-linger` leaves behind; there is no logind to ask."""
        path = '/var/lib/systemd/linger/' + self.name
        if on:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, 'w').close()
        elif os.path.exists(path):
            os.unlink(path)

    # --- the manager ---

    def start_manager(self, timeout=20):
        """Starts `systemd --user` and returns when it says READY=1 and its private socket answers."""
        # A manager removes its cgroup when it ends.
        self._make_cgroups()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        address = self.root + '/notify'
        try:
            os.unlink(address)
        except FileNotFoundError:
            pass
        notify.bind(address)
        os.chmod(address, 0o666)
        log = open(self.root + '/manager.log', 'ab')
        env = {'NOTIFY_SOCKET': address, 'TERM': None}
        self.manager = subprocess.Popen(
            [SYSTEMD, '--user', '--log-target=console', '--log-level=info'], env=self.env(env), cwd='/',
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=self._enter('manager'))
        log.close()
        deadline = time.monotonic() + timeout
        with notify:
            notify.settimeout(0.05)
            while True:
                try:
                    if b'READY=1' in notify.recv(4096).split(b'\n'):
                        break
                except socket.timeout:
                    pass
                if self.manager.poll() is not None:
                    raise Failed('systemd --user ended with %s:\n%s' % (self.manager.returncode, self.manager_log()))
                if time.monotonic() >= deadline:
                    raise Failed('systemd --user is not ready:\n%s' % self.manager_log())
        os.unlink(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(self.run_dir + '/systemd/private')
        # A user manager hands on its environment, but not its PATH; people set that in environment.d.
        self.systemctl('set-environment', 'PATH=' + self.env()['PATH'], check=True)

    def manager_log(self):
        return read_text(self.root + '/manager.log') or ''

    def stop_manager(self, timeout=15):
        """TERM, as at logout: it stops its units first. What outlives the timeout is killed."""
        if not self.manager:
            return
        self.manager.terminate()
        try:
            self.manager.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        self._end_of_manager()

    def _end_of_manager(self):
        deadline = time.monotonic() + 10
        for h in self._hierarchies:
            _cgroup_remove(os.path.join(h.mount, self.name, 'manager'), deadline)
        self.manager.wait()
        self.manager = None
        # As logind does; the product's runtime files must not outlive it by accident of the bed.
        shutil.rmtree(self.run_dir + '/systemd', ignore_errors=True)

    def restart_manager(self):
        """Logout and login: all units end, the runtime directory is emptied, a new manager starts."""
        self.stop_manager()
        for name in os.listdir(self.run_dir):
            _remove_tree(self.run_dir + '/' + name)
        self.start_manager()

    def kill_manager(self):
        """SIGKILL to the manager alone; its units' processes live on. start_manager() would kill them
        with its cgroup re-made, so call stop_manager() or reset() afterwards."""
        self.manager.kill()
        self.manager.wait()

    def manager_controllers(self):
        """The controllers whose limits the manager can enforce."""
        have = set()
        for h in self._hierarchies:
            top = os.path.join(h.mount, self.name, 'manager')
            if h.v2:
                have.update((read_text(top + '/cgroup.controllers') or '').split())
            else:
                have.update(n for n in h.names if n in CONTROLLERS and os.path.isdir(top))
        return have & {'memory', 'pids', 'cpu'}

    def reset(self):
        """A bed as new, without the price of a new user: no process, empty home, a fresh manager."""
        for p in self._children:
            if p.poll() is None:
                p.kill()
        if self.manager:
            self.manager.kill()
        deadline = time.monotonic() + 20
        for h in self._hierarchies:
            _cgroup_remove(os.path.join(h.mount, self.name), deadline)
        for p in self._children:
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    stream.close()
            p.wait()
        self._children = []
        if self.manager:
            self.manager.wait()
            self.manager = None
        for path in (self.home, self.run_dir, self.tmux_dir, self.root + '/manager.log'):
            _remove_tree(path)
        self.linger(False)
        self._make_dirs()
        self._make_cgroups()
        if self.with_manager:
            self.start_manager()

    # --- looking ---

    def processes(self):
        """Every process of the bed's user."""
        return processes_of(self.uid)

    def in_cgroup(self, ending):
        """Processes whose cgroup path ends so, for instance with a unit's name."""
        return [p for p in self.processes() if p.cgroup.endswith(ending)]

    def cpu_usec(self):
        """CPU time of everything that ever ran in the bed since its cgroup was made, or None."""
        for h in self._hierarchies:
            top = os.path.join(h.mount, self.name)
            m = re.search(r'^usage_usec (\d+)', read_text(top + '/cpu.stat') or '', re.M)
            if m:
                return int(m.group(1))
            text = read_text(top + '/cpuacct.usage')
            if text:
                return int(text) // 1000
        return None

    def snapshot(self):
        return Snapshot(self)

    def canary(self, socket_name=None, sessions=('canary', 'canary-two')):
        """Sessions that nothing may touch: on the default server (made here), or foreign ones on a
        server that is already there."""
        return Canary(self, socket_name, sessions)

    def tripwire(self):
        """A listener in the place of the default tmux server: whoever connects is caught."""
        return Tripwire(self)


# --- command --------------------------------------------------------------------------------------

def _main():
    parser = argparse.ArgumentParser(prog='bed.py', description='a test user with systemd --user and tmux')
    sub = parser.add_subparsers(dest='verb', required=True)
    for verb in ('run', 'shell', 'check', 'clean'):
        p = sub.add_parser(verb)
        if verb in ('run', 'shell', 'check'):
            p.add_argument('--no-manager', action='store_true')
            p.add_argument('--no-controllers', action='store_true')
            p.add_argument('--path', action='append', default=[])
            p.add_argument('--env', action='append', default=[])
            p.add_argument('--quiet', action='store_true')
        if verb == 'run':
            p.add_argument('command', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    try:
        become_root()
    except Unavailable as e:
        print('SKIP %s' % e, file=sys.stderr)
        return SKIP
    if args.verb == 'clean':
        for name in clean():
            print('removed', name)
        return 0

    def end(number, _):
        sys.exit(128 + number)
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, end)
    try:
        bed = Bed(manager=not args.no_manager, controllers=not args.no_controllers,
                  path=[os.path.abspath(p) for p in args.path],
                  env=dict(e.split('=', 1) for e in args.env))
    except Unavailable as e:
        print('SKIP %s' % e, file=sys.stderr)
        return SKIP
    with bed:
        if not args.quiet or args.verb == 'check':
            print('bed: user %s, home %s, manager %s, controllers: %s' % (
                bed.name, bed.home, bed.manager.pid if bed.manager else 'none',
                ' '.join(sorted(bed.manager_controllers())) or 'none'), file=sys.stderr)
        if args.verb == 'check':
            return 0
        command = ['/bin/bash', '-i'] if args.verb == 'shell' else args.command
        if command[:1] == ['--']:
            command = command[1:]
        if not command:
            parser.error('run: which command?')
        # The terminal is the caller's, so is Ctrl-C: the child gets it, we wait for what it does with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        p = bed.popen(command, stdin=None, stdout=None, stderr=None, new_session=False,
                      env={'TERM': os.environ.get('TERM', 'dumb')})
        code = p.wait()
        return code if code >= 0 else 128 - code


if __name__ == '__main__':
    sys.exit(_main())
