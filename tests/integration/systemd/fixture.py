# SPDX-License-Identifier: MIT
"""What the tests of drivers/systemd share: a bed, the probe (systemd-probe.c), and a stand-in for the
launcher that says what it was given."""

import os
import re
import shutil
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'fleet'))

import harness  # noqa: E402
from harness import bedlib, wait_for  # noqa: E402,F401

# Speaks for the launcher: notes its arguments and environment, says READY as the main process, and then
# sleeps, or does what $MOSAIC_HOME/act-NAME says. --holder leaves a process behind, as tmux does.
LAUNCHER = r'''#!/usr/bin/python3
import json, os, resource, signal, socket, sys, time
home = os.environ['MOSAIC_HOME']
with open(home + '/calls', 'a') as f:
    f.write(json.dumps({'argv': sys.argv[1:], 'pid': os.getpid(),
                        'nofile': resource.getrlimit(resource.RLIMIT_NOFILE),
                        'env': dict(os.environ)}) + '\n')
name = sys.argv[1]
if name == '--holder':
    if os.fork():
        os._exit(0)
    os.setsid()
    while True:
        signal.pause()
if name == '--stopped':
    sys.exit(0)
try:
    act = open(home + '/act-' + name).read().strip()
except FileNotFoundError:
    act = ''
if act == 'refuse':
    sys.exit(178)
if act != 'silent':
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'].replace('@', '\0'))
if act.startswith('exit '):
    time.sleep(0.1)
    sys.exit(int(act[5:]))
if act.startswith('kill '):
    time.sleep(0.1)
    os.kill(os.getpid(), int(act[5:]))
while True:
    signal.pause()
'''


class Systemd(unittest.TestCase):
    """A bed with the probe in it. `home_name`: the fleet's home below the user's, None: the default."""

    home_name = None
    libexec_name = 'libexec'
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        try:
            cls.bed = bedlib.Bed()
        except bedlib.Unavailable as e:
            harness.skip('bed', str(e))
        cls.addClassCleanup(cls.bed.close)
        cls.program = cls.bed.root + '/systemd-probe'
        shutil.copy(harness.PROGRAM, cls.program)
        os.chmod(cls.program, 0o755)

    def setUp(self):
        self.bed.reset()
        self.libexec = self.bed.home + '/' + self.libexec_name
        self.env = {'MOSAIC_LIBEXEC_DIR': self.libexec}
        self.home = self.bed.home + '/.config/mosaic'
        if self.home_name:
            self.home = self.bed.home + '/' + self.home_name
            self.env['MOSAIC_HOME'] = self.home
        self.units = self.bed.home + '/.config/systemd/user'
        self.bed.write(self.libexec + '/mosaic-launcher', LAUNCHER, 0o755)

    def probe(self, *args, code=0, timeout=60):
        r = self.bed.run([self.program] + list(args), env=self.env, timeout=timeout)
        self.assertNotIn('Sanitizer', r.err)
        self.assertNotIn('runtime error', r.err)
        self.assertEqual(r.code, code, repr(r))
        self.took = int((re.search(r'took (\d+) us', r.err) or [0, -1])[1])
        return r.out

    def plain_units(self, text='', holder=True):
        """Small units under our names, where the real ones would only be in the way."""
        self.bed.write(self.units + '/mosaic-agent@.service', '[Service]\nType=exec\nExecStart=sleep infinity\n' + text)
        if holder:
            self.bed.write(self.units + '/mosaic-tmux-holder.service', '[Service]\nExecStart=sleep infinity\n')
        self.bed.systemctl('daemon-reload', check=True)

    def show(self, unit, prop):
        return self.bed.systemctl('show', '-P', prop, unit, check=True).out.strip()

    def facts(self, text, kind):
        """Lines "KIND: k=v k=v ..." as dictionaries; a value goes on until the next " k="."""
        found = []
        for line in text.splitlines():
            if line.startswith(kind + ': '):
                found.append(dict(re.findall(r'(\w+)=(.*?)(?= \w+=|$)', line[len(kind) + 2:])))
        return found


main = harness.main
