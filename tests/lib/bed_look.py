# SPDX-License-Identifier: MIT
"""Eyes of the test bed: processes as /proc has them, waiting for a condition, and what tells whether
something was touched - snapshots, canary sessions, a tripwire. Used through bed.py."""

import errno
import hashlib
import os
import re
import socket
import stat
import sys
import time


class Failed(Exception):
    """A command of the bed failed or timed out."""


def wait_for(condition, timeout=10.0, what='condition', pause=0.01):
    """Calls @condition until it returns something true, and returns that; raises after @timeout."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed('not within %.1f s: %s' % (timeout, what() if callable(what) else what))
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)


def read_text(path):
    try:
        with open(path, 'rb') as f:
            return f.read().decode('utf-8', 'replace')
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EACCES, errno.ENOTDIR):
            return None
        raise


class Process:
    """One process: (pid, start) names it for ever, even when the pid is used again."""

    def __init__(self, pid):
        text = read_text('/proc/%d/stat' % pid)
        if text is None:
            raise ProcessLookupError(pid)
        head, _, tail = text.rpartition(')')
        fields = tail.split()
        self.pid = pid
        self.comm = head.partition('(')[2]
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.session = int(fields[3])
        self.tty = int(fields[4])
        self.cpu_ticks = int(fields[11]) + int(fields[12])
        self.start = int(fields[19])
        self.argv = [a for a in (read_text('/proc/%d/cmdline' % pid) or '').split('\0')][:-1]
        cgroups = read_text('/proc/%d/cgroup' % pid) or ''
        lines = [l.split(':', 2) for l in cgroups.splitlines()]
        self.cgroup = next((l[2] for l in lines if l[1] == ''),
                           next((l[2] for l in lines if l[1] == 'name=systemd'), ''))

    @property
    def key(self):
        return (self.pid, self.start)

    def alive(self):
        try:
            p = Process(self.pid)
        except ProcessLookupError:
            return False
        return p.start == self.start and p.state not in 'ZX'

    def __repr__(self):
        return '%d %s %r in %s' % (self.pid, self.state, ' '.join(self.argv) or self.comm, self.cgroup)


def processes_of(uid):
    """All processes of a user, zombies left out."""
    found = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            if os.stat('/proc/' + entry).st_uid != uid:
                # A process that is not dumpable shows as root's; ask the kernel's own line.
                status = read_text('/proc/%s/status' % entry) or ''
                m = re.search(r'^Uid:\s+(\d+)', status, re.M)
                if not m or int(m.group(1)) != uid:
                    continue
            p = Process(int(entry))
        except (ProcessLookupError, FileNotFoundError):
            continue
        if p.state not in 'ZX':
            found.append(p)
    return sorted(found, key=lambda p: p.key)


class Snapshot:
    """Processes, files and units of a bed at one moment."""

    def __init__(self, bed):
        self.processes = {p.key: p for p in bed.processes()}
        self.files = {}
        for top in (bed.home, bed.run_dir, bed.tmux_dir):
            for d, dirs, names in os.walk(top):
                for n in dirs + names:
                    path = os.path.join(d, n)
                    try:
                        self.files[path] = self._describe(path)
                    except FileNotFoundError:
                        pass
        self.units = {}
        if bed.manager and bed.manager.poll() is None:
            text = bed.systemctl('list-units', '--all', '--plain', '--no-legend', '--full', check=True).out
            for line in text.splitlines():
                fields = line.split(None, 4)
                if len(fields) >= 4:
                    self.units[fields[0]] = ' '.join(fields[1:4])
            text = bed.systemctl('list-unit-files', '--no-legend', '--full', check=True).out
            for line in text.splitlines():
                fields = line.split()
                self.units['file ' + fields[0]] = fields[1]

    @staticmethod
    def _describe(path):
        st = os.lstat(path)
        what = '%s %o %d' % (stat.filemode(st.st_mode)[0], stat.S_IMODE(st.st_mode), st.st_uid)
        if stat.S_ISREG(st.st_mode):
            with open(path, 'rb') as f:
                what += ' ' + hashlib.sha256(f.read()).hexdigest()[:16]
        elif stat.S_ISLNK(st.st_mode):
            what += ' -> ' + os.readlink(path)
        return what

    def diff(self, later, ignore=()):
        """Sentences on what is different later. @ignore: patterns matched against each sentence."""
        said = []
        for key in sorted(set(self.processes) | set(later.processes)):
            if key not in self.processes:
                said.append('new process: %r' % later.processes[key])
            elif key not in later.processes:
                said.append('ended process: %r' % self.processes[key])
        for kind, a, b in (('file', self.files, later.files), ('unit', self.units, later.units)):
            for key in sorted(set(a) | set(b)):
                if key not in a:
                    said.append('new %s: %s (%s)' % (kind, key, b[key]))
                elif key not in b:
                    said.append('lost %s: %s (%s)' % (kind, key, a[key]))
                elif a[key] != b[key]:
                    said.append('changed %s: %s (%s, was %s)' % (kind, key, b[key], a[key]))
        return [s for s in said if not any(re.search(i, s) for i in ignore)]


class Canary:
    def __init__(self, bed, socket_name, sessions):
        self.bed, self.socket_name = bed, socket_name
        self.sessions = list(sessions)
        which = ['-L', socket_name, '-N'] if socket_name else ['-f', '/dev/null']
        for name in self.sessions:
            bed.run(['tmux'] + which + [
                'new-session', '-d', '-s', name, '-x', '90', '-y', '20', 'sh', '-c',
                'printf "%s\\n" "this is $0; nobody may touch it"; exec sleep 1000000', name], check=True)
        wait_for(lambda: all('nobody may touch it' in self._capture(n) for n in self.sessions),
                 what='canary sessions show their text')
        self.before = self._look()

    def _ask(self, *args):
        return self.bed.tmux(*args, socket_name=self.socket_name)

    def _capture(self, name):
        return self._ask('capture-pane', '-p', '-t', '=%s:' % name).out

    def _look(self):
        seen = {}
        r = self._ask('list-panes', '-a', '-F',
                      '#{session_name}\t#{pid}\t#{session_id}\t#{session_created}\t#{session_windows}\t'
                      '#{window_id}\t#{window_width}x#{window_height}\t#{pane_id}\t#{pane_pid}\t#{pane_dead}\t'
                      '#{session_attached}\t#{pane_in_mode}')
        if r.code:
            return {'server': r.err.strip()}
        for line in r.out.splitlines():
            name, rest = line.split('\t', 1)
            if name in self.sessions:
                server, _, more = rest.partition('\t')
                seen[name] = '%s %s' % (more, self._capture(name).rstrip())
                seen['server'] = repr(Process(int(server)).key)
                seen['options of ' + name] = self._ask('show-options', '-t', '=%s:' % name).out
                seen['environment of ' + name] = self._ask('show-environment', '-t', '=' + name).out
        if not self.socket_name:
            # Our own questions change nothing here; on a shared server others make sessions.
            seen['global options'] = self._ask('show-options', '-g').out
            seen['sessions'] = self._ask('list-sessions', '-F', '#{session_id} #{session_name}').out
            seen['buffers'] = self._ask('list-buffers').out
            st = os.stat(self.bed.tmux_dir + '/default')
            seen['socket'] = 'inode %d' % st.st_ino
        return seen

    def changes(self):
        """Sentences on what is not as it was."""
        now = self._look()
        return ['canary on %s: %s was %r, is %r' % (
            self.socket_name or 'the default server', k, self.before.get(k), now.get(k))
            for k in sorted(set(self.before) | set(now)) if self.before.get(k) != now.get(k)]


class Tripwire:
    def __init__(self, bed):
        self.bed = bed
        os.makedirs(bed.tmux_dir, 0o700, exist_ok=True)
        os.chown(bed.tmux_dir, bed.uid, bed.gid)
        os.chmod(bed.tmux_dir, 0o700)
        self.path = bed.tmux_dir + '/default'
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.bind(self.path)
        os.chown(self.path, bed.uid, bed.gid)
        os.chmod(self.path, 0o770)
        self.sock.listen(64)
        self.sock.setblocking(False)
        self.inode = os.stat(self.path).st_ino

    def changes(self):
        """Who connected (a connection stays queued even when its maker has gone), or took our place."""
        said = []
        while True:
            try:
                c, _ = self.sock.accept()
            except BlockingIOError:
                break
            pid = int.from_bytes(c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
            said.append('pid %d connected to the default tmux socket' % pid)
            c.close()
        if not os.path.exists(self.path) or os.stat(self.path).st_ino != self.inode:
            said.append('the default tmux socket was replaced')
        return said

    def close(self):
        self.sock.close()
