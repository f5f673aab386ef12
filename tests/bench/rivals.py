# SPDX-License-Identifier: MIT
"""Other supervisors and session managers on the same job: N `sleep` agents started, their status asked for, one of them
killed until it is back, all stopped. Each with its own defaults and in a bed of its own; what is not installed is said by
name. mosaic does the job beside them.

supervisor and pm2 give no terminal to attach to; tmuxp and tmuxinator supervise nothing: what ends stays down.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time

SOCKET = 'rival'
SLEEP = ['/bin/sleep', '1000000']


class Rival:
    name, program, version_words = None, None, ['--version']
    restarts = True

    def __init__(self, bench):
        self.b, self.bed = bench, bench.bed

    def found(self):
        """What it is called with its version; None: it is not here."""
        if not shutil.which(self.program, path=self.bed.env()['PATH']):
            return None
        r = self.bed.run([self.program] + self.version_words)
        version = re.search(r'\d+\.\d+\.\d+', r.out)
        return '%s %s' % (self.name, version[0] if version else '?')

    def tmux(self, *args):
        return ['tmux', '-N', '-L', SOCKET] + list(args)


class Mosaic(Rival):
    name, program, version_words = 'mosaic', 'mosaic', ['version']

    def prepare(self, n):
        self.b.fresh(n)
        self.start = [self.b.program, 'fleet', 'apply', '--yes']
        self.status = [self.b.program, 'fleet', 'status']
        self.stop = [self.b.program, 'fleet', 'stop']


class Supervisor(Rival):
    name, program = 'supervisor', 'supervisord'

    def prepare(self, n):
        text = '[supervisord]\nminfds=%(fds)d\nlogfile=%(d)s/log\npidfile=%(d)s/pid\nchildlogdir=%(d)s\n' \
               '[unix_http_server]\nfile=%(d)s/sock\n[supervisorctl]\nserverurl=unix://%(d)s/sock\n' \
               '[rpcinterface:supervisor]\n' \
               'supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n' % {
                   'd': self.bed.mkdir('rival'), 'fds': 8 * n + 200}
        for i in range(n):
            text += '[program:a%d]\ncommand=%s\nautorestart=true\nstartsecs=0\n' % (i, ' '.join(SLEEP))
        conf = self.bed.write('rival/conf', text)
        self.start = ['supervisord', '-c', conf]
        self.status = ['supervisorctl', '-c', conf, 'status']
        self.stop = ['supervisorctl', '-c', conf, 'shutdown']


class Pm2(Rival):
    name, program = 'pm2', 'pm2'

    def prepare(self, n):
        apps = [{'name': 'a%d' % i, 'script': SLEEP[0], 'args': SLEEP[1], 'interpreter': 'none'} for i in range(n)]
        conf = self.bed.write('rival/fleet.json', json.dumps({'apps': apps}))
        self.start = ['pm2', 'start', conf]
        self.status = ['pm2', 'list', '-m']
        self.stop = ['pm2', 'kill']


class Tmuxp(Rival):
    name, program, restarts = 'tmuxp', 'tmuxp', False

    def prepare(self, n):
        conf = self.bed.write('rival/fleet.json', json.dumps({
            'session_name': 'fleet', 'windows': [
                {'window_name': 'a%d' % i, 'window_shell': ' '.join(SLEEP), 'panes': [None]} for i in range(n)]}))
        self.start = ['tmuxp', 'load', '-d', '-L', SOCKET, conf]
        self.status = self.tmux('list-panes', '-a')
        self.stop = self.tmux('kill-server')


class Tmuxinator(Rival):
    name, program, version_words, restarts = 'tmuxinator', 'tmuxinator', ['version'], False

    def prepare(self, n):
        text = 'name: fleet\nroot: ~/\nsocket_name: %s\nattach: false\nwindows:\n' % SOCKET
        for i in range(n):
            text += '  - a%d: exec %s\n' % (i, ' '.join(SLEEP))
        conf = self.bed.write('rival/fleet.yml', text)
        self.start = ['tmuxinator', 'start', '--project-config=' + conf, '--no-attach']
        self.status = self.tmux('list-panes', '-a')
        self.stop = self.tmux('kill-server')


ALL = (Mosaic, Supervisor, Pm2, Tmuxp, Tmuxinator)


def install_pm2(directory):
    """pm2 from its registry into a temporary directory; returns the directory of its program, or None."""
    where = os.path.join(directory, 'pm2')
    if not shutil.which('npm'):
        return None
    os.makedirs(where)
    try:
        subprocess.run(['npm', 'install', '--no-fund', '--no-audit', '--prefix', where, 'pm2'], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180)
    except (subprocess.SubprocessError, OSError):
        return None
    subprocess.run(['chmod', '-R', 'a+rX', where], check=True)
    return where + '/node_modules/.bin'


def step(bench, argv, done, timeout=300):
    """Runs one command of a rival until @done; wall and CPU in ms. Its exit code is not looked at: the outcome is."""
    bench.settle()
    before, began = bench.bed.cpu_usec(), time.monotonic()
    r = bench.bed.run(argv, timeout=timeout) if argv else None
    while not done():
        if time.monotonic() - began > timeout:
            raise RuntimeError('not done within %d s: %r' % (timeout, r))
        time.sleep(0.005)
    wall = (time.monotonic() - began) * 1000
    bench.settle()
    return wall, (bench.bed.cpu_usec() - before) / 1000


def measure(bench, rival, n):
    bench.reset()
    rival.prepare(n)
    row = {}
    row['start'] = step(bench, rival.start, lambda: len(bench.sleepers()) == n)
    row['status'] = step(bench, rival.status, lambda: True)
    if rival.restarts:
        old = bench.sleepers()
        os.kill(min(old)[0], signal.SIGKILL)
        row['back'] = step(bench, None, lambda: len(bench.sleepers()) == n and bench.sleepers() != old)
    row['stop'] = step(bench, rival.stop, lambda: not bench.sleepers())
    return row
