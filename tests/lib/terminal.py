# SPDX-License-Identifier: MIT
"""A fleet's processes without systemd: for tests of keeper and launcher.

    with terminal.Fleet() as f:
        f.start_server()
        agent = f.launch('web', ['bash', '-i'])      # as the unit would: a child of ours, Type=notify
        f.wait_screen('web', '$ ')
        f.type('web', 'echo hi'); ...

Every Fleet has a directory, a tmux server and MOSAIC_* directories of its own and leaves nothing behind.
Nothing here sleeps for a fixed time: wait_for() polls a condition up to a deadline. The default tmux
server and the caller's home are never used.

Programs are taken from $MOSAIC_LIBEXEC_DIR.
"""

import ctypes
import errno
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time

DEADLINE = 10.0
PR_SET_CHILD_SUBREAPER = 36
REFUSED = 178
TRY_AGAIN = 75


class Timeout(AssertionError):
    """A condition that did not come about."""


def wait_for(condition, what, deadline=DEADLINE, show=None):
    """Returns the first true value of condition(); show() is added to the failure."""
    end = time.monotonic() + deadline
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            seen = '' if show is None else '\n--- seen:\n%s' % show()
            raise Timeout('not within %g s: %s%s' % (deadline, what, seen))
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def libexec():
    path = os.environ.get('MOSAIC_LIBEXEC_DIR')
    if not path:
        raise SystemExit('MOSAIC_LIBEXEC_DIR is not set: run this with meson test')
    return os.path.abspath(path)


# --- processes ------------------------------------------------------------------------------------

def become_subreaper():
    """What a launcher started by us leaves behind comes to us, as it would to a user manager."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third on (the state), None if there is no such process."""
    try:
        with open('/proc/%d/stat' % pid, 'rb') as f:
            return f.read().rpartition(b') ')[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in 'ZX'


def start_time(pid):
    return int(stat_fields(pid)[19])


def cmdline(pid):
    with open('/proc/%d/cmdline' % pid, 'rb') as f:
        return f.read().split(b'\0')[:-1]


def environment(pid):
    with open('/proc/%d/environ' % pid, 'rb') as f:
        words = f.read().split(b'\0')[:-1]
    return dict(w.decode('utf-8', 'surrogateescape').split('=', 1) for w in words)


def status_field(pid, name):
    with open('/proc/%d/status' % pid) as f:
        for line in f:
            if line.startswith(name + ':'):
                return line.split(':', 1)[1].strip()
    return None


def wakeups(pid):
    return (int(status_field(pid, 'voluntary_ctxt_switches')),
            int(status_field(pid, 'nonvoluntary_ctxt_switches')))


def pss_kib(pid):
    with open('/proc/%d/smaps_rollup' % pid) as f:
        for line in f:
            if line.startswith('Pss:'):
                return int(line.split()[1])
    raise ValueError('no Pss')


def all_pids():
    return [int(d) for d in os.listdir('/proc') if d.isdigit()]


def foreground_group(pid):
    return int(stat_fields(pid)[5])


# --- a supervisor ---------------------------------------------------------------------------------

class Agent:
    """A launcher, then the agent, as systemd would have it: its own session, a notify socket, stderr
    kept. `ready` is whether READY=1 came."""

    def __init__(self, fleet, name, extra_env=None):
        self.fleet = fleet
        self.name = name
        path = os.path.join(fleet.root, 'notify-%d' % fleet.next_number())
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(path)
        self.notify.setblocking(False)
        env = dict(fleet.env, NOTIFY_SOCKET=path, INVOCATION_ID=os.urandom(16).hex())
        env.update(extra_env or {})
        self.invocation = env['INVOCATION_ID']
        self.log = open(path + '.log', 'w+b')
        self.process = subprocess.Popen(
            [os.path.join(libexec(), 'mosaic-launcher'), name], env=env, cwd='/',
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            start_new_session=True)
        self.pid = self.process.pid

    def is_ready(self):
        try:
            return self.notify.recv(4096) == b'READY=1'
        except BlockingIOError:
            return False

    def messages(self):
        self.log.flush()
        with open(self.log.name, 'rb') as f:
            return f.read().decode('utf-8', 'replace')

    def wait_ready(self):
        def look():
            if self.is_ready():
                return True
            if self.process.poll() is not None:
                raise AssertionError('%s ended with %s before it was ready:\n%s' % (
                    self.name, self.process.returncode, self.messages()))
            return False
        wait_for(look, '%s says READY=1' % self.name, 30, self.messages)
        wait_for(self.is_past_exec, 'the exec')
        return self

    def is_past_exec(self):
        try:
            return os.readlink('/proc/%d/exe' % self.pid) != os.path.join(libexec(), 'mosaic-launcher')
        except FileNotFoundError:
            return True  # it has ended

    def wait_end(self, deadline=DEADLINE):
        """Exit status, or minus the signal."""
        wait_for(lambda: self.process.poll() is not None, '%s ends' % self.name, deadline)
        return self.process.returncode

    def kill(self, sig=signal.SIGKILL):
        os.kill(self.pid, sig)

    def close(self):
        if self.process.poll() is None:
            # everything of its session, as a cgroup's kill would
            for pid in all_pids():
                try:
                    if os.getsid(pid) == self.pid:
                        os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait(DEADLINE)
        self.notify.close()
        self.log.close()


# --- a fleet --------------------------------------------------------------------------------------

class Fleet:
    def __init__(self, supervisor='systemd', fleet_id='default', width=80, height=24):
        programs = libexec()
        self.root = tempfile.mkdtemp(prefix='mosaic-terminal-')
        self.number = 0
        self.fleet_id = fleet_id
        self.socket = os.path.join(self.root, 'tmux', 'socket')
        self.home = os.path.join(self.root, 'home')
        self.state = os.path.join(self.root, 'state')
        self.runtime = os.path.join(self.root, 'runtime')
        self.work = os.path.join(self.root, 'work')
        self.agents = []
        self.server_pid = None
        for d in (self.home, self.state, os.path.join(self.state, 'specs'), self.runtime, self.work,
                  os.path.dirname(self.socket)):
            os.mkdir(d, 0o700)
        self.env = {
            'HOME': self.home, 'USER': 'tester', 'LOGNAME': 'tester', 'SHELL': '/bin/sh',
            'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'LANG': 'C.UTF-8',
            'MOSAIC_HOME': self.home, 'MOSAIC_STATE_DIR': self.state,
            'MOSAIC_RUNTIME_DIR': self.runtime, 'MOSAIC_LIBEXEC_DIR': programs,
            'MOSAIC_FLEET': fleet_id,
        }
        self.write_json('fleet.json', {
            'version': 1, 'supervisor': supervisor, 'tmux_socket': self.socket,
            'tmux_tmpdir': self.root, 'width': width, 'height': height, 'history': 2000})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for a in self.agents:
            a.close()
        if self.server_pid and alive(self.server_pid):
            os.kill(self.server_pid, signal.SIGKILL)
            wait_for(lambda: not alive(self.server_pid), 'the tmux server ends')
        # Keepers end when their terminal goes; nothing of this fleet may be left, and if something is,
        # the test fails without leaving it to the next one.
        try:
            wait_for(lambda: not self.processes(), 'all processes of the fleet end', 30,
                     lambda: '\n'.join('%d %s' % (p, cmdline(p)) for p in self.processes()))
        finally:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            shutil.rmtree(self.root, ignore_errors=True)

    def processes(self):
        """Living processes that carry our runtime directory in their environment or arguments."""
        mark = self.root.encode()
        found = []
        for pid in all_pids():
            if pid == os.getpid():
                continue
            try:
                with open('/proc/%d/environ' % pid, 'rb') as f:
                    text = f.read()
                with open('/proc/%d/cmdline' % pid, 'rb') as f:
                    text += f.read()
            except OSError:
                continue
            if mark in text and alive(pid):
                found.append(pid)
        return found

    def next_number(self):
        self.number += 1
        return self.number

    # --- files

    def write_json(self, name, value):
        path = os.path.join(self.state, name)
        with open(path + '.new', 'w') as f:
            json.dump(value, f)
        os.rename(path + '.new', path)

    def read_json(self, *names):
        try:
            with open(os.path.join(*names)) as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.root, name)
        with open(path, 'w', newline='') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def spec(self, name, argv, **more):
        spec = {
            'version': 1, 'name': name, 'argv': argv, 'workdir': self.work, 'env': [],
            'env_pass': ['PATH', 'LANG'], 'env_files': [], 'credentials': [],
            'success_exit_status': [], 'stop_timeout_usec': 2000000,
            'restart_fingerprint': 'a' * 64, 'live_fingerprint': 'b' * 64, 'resolved': 'c' * 64}
        spec.update(more)
        self.write_json('specs/%s.json' % name, spec)
        return spec

    def run_record(self, name):
        return self.read_json(self.runtime, 'run', name + '.json')

    def stop_record(self, name):
        return self.read_json(self.state, 'stops', name + '.json')

    # --- processes

    def helper(self, *arguments, **env):
        """Runs mosaic-launcher to its end."""
        return subprocess.run([os.path.join(libexec(), 'mosaic-launcher'), *arguments],
                              env=dict(self.env, **env), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def start_server(self):
        result = self.helper('--holder')
        if result.returncode != 0:
            raise AssertionError('the holder failed (%d): %s' % (result.returncode, result.stderr))
        self.server_pid = int(self.tmux('display-message', '-p', '#{pid}'))
        return self.server_pid

    def kill_server(self, sig=signal.SIGKILL):
        os.kill(self.server_pid, sig)
        wait_for(lambda: not alive(self.server_pid), 'the tmux server ends')

    def launch(self, name, argv=None, **more):
        if argv is not None:
            self.spec(name, argv, **more)
        agent = Agent(self, name)
        self.agents.append(agent)
        return agent

    # --- tmux

    def tmux(self, *arguments, check=True):
        env = {k: v for k, v in self.env.items() if k in ('PATH', 'HOME', 'LANG')}
        result = subprocess.run(['tmux', '-N', '-S', self.socket, *arguments], env=env,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        if check and result.returncode != 0:
            raise AssertionError('tmux %s: %s' % (' '.join(arguments), result.stderr))
        return result.stdout.rstrip('\n')

    def show(self, name, form):
        return self.tmux('display-message', '-p', '-t', '=%s:' % name, form)

    def sessions(self):
        return self.tmux('list-sessions', '-F', '#{session_name}').split('\n')

    def marker(self, name):
        return self.tmux('show-options', '-q', '-v', '-t', '=%s:' % name, '@mosaic')

    def keeper_pid(self, name):
        return int(self.show(name, '#{pane_pid}'))

    def screen(self, name, history=False):
        return self.tmux('capture-pane', '-p', '-t', '=%s:' % name,
                         *(['-S', '-'] if history else []))

    def wait_screen(self, name, text, deadline=DEADLINE, history=False):
        if isinstance(text, str):
            text = re.compile(re.escape(text))
        return wait_for(lambda: text.search(self.screen(name, history)),
                        '%r on the screen of %s' % (text.pattern, name), deadline,
                        lambda: self.screen(name, history))

    def keys(self, name, *keys):
        self.tmux('send-keys', '-t', '=%s:' % name, *keys)

    def type(self, name, line):
        self.tmux('send-keys', '-l', '-t', '=%s:' % name, '--', line)
        self.keys(name, 'Enter')

    def cursor(self, name):
        x, y = self.show(name, '#{cursor_x} #{cursor_y}').split()
        return int(x), int(y)

    # --- keepers

    def keeper(self, name):
        return Keeper(os.path.join(self.runtime, 'keep', name))

    def make_session(self, name):
        """As the controller makes it, then waits for the keeper."""
        path = os.path.join(libexec(), 'mosaic-keeper')
        self.tmux('new-session', '-d', '-s', name, '-x', '80', '-y', '24', path, name, ';',
                  'set-option', '-F', '-t', '=%s:' % name, '@mosaic',
                  '%s:%s:#{session_id}' % (self.fleet_id, name))
        self.wait_keeper(name)

    def wait_keeper(self, name):
        def answers():
            try:
                self.keeper(name).close()
                return True
            except OSError:
                return False
        wait_for(answers, 'the keeper of %s listens' % name)


class Keeper:
    """A connection to a keeper, one packet a request."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        # With a time-out of Python's the socket would not block, and a full queue be an error.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                               struct.pack('ll', int(DEADLINE), 0))
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, request):
        self.socket.send(request.encode())

    def receive(self, deadline=DEADLINE):
        self.socket.settimeout(deadline)
        return self.socket.recv(8192).decode('utf-8', 'replace')

    def call(self, request, deadline=DEADLINE):
        self.send(request)
        return self.receive(deadline)


# --- a client in a terminal -----------------------------------------------------------------------

class Client:
    """A real `tmux attach` in a terminal of its own."""

    def __init__(self, fleet, name, width=100, height=30):
        self.fleet = fleet
        self.output = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {k: v for k, v in fleet.env.items() if k in ('PATH', 'HOME', 'LANG')}
            env['TERM'] = 'xterm-256color'
            os.execvpe('tmux', ['tmux', '-N', '-S', fleet.socket, 'attach', '-t', '=%s:' % name],
                       env)
        fcntl.fcntl(self.fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self.resize(width, height)
        wait_for(lambda: self.pump() or str(self.pid) in
                 fleet.tmux('list-clients', '-F', '#{client_pid}').split('\n'),
                 'the client is attached', show=lambda: self.output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def pump(self):
        """Reads what there is, so that the client never blocks."""
        while self.fd >= 0 and select.select([self.fd], [], [], 0)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                data = b''
            if not data:
                break
            self.output += data
        return False

    def resize(self, width, height):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', height, width, 0, 0))

    def write(self, data):
        os.write(self.fd, data)

    def wait_output(self, text, deadline=DEADLINE):
        wait_for(lambda: self.pump() or text in self.output, '%r at the client' % text, deadline,
                 lambda: self.output[-2000:])

    def detach(self):
        # Keys that come within a millisecond of others tmux takes for pasted text: so one after the
        # other, and again if the first was too close to what was typed before.
        def prefix():
            return self.pump() or '%d 1' % self.pid in self.fleet.tmux(
                'list-clients', '-F', '#{client_pid} #{client_prefix}').split('\n')
        for attempt in range(10):
            self.write(b'\x02')
            try:
                wait_for(prefix, 'the prefix key is heeded', 1)
                break
            except Timeout:
                if attempt == 9:
                    raise
        self.write(b'd')
        wait_for(lambda: self.pump() or not alive(self.pid), 'the client is gone')
        self.close()

    def close(self):
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
