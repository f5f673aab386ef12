# SPDX-License-Identifier: MIT
"""A controller in a bed, and what it said: for the scenarios of `mosaic fleet watch`."""

import json
import os
import signal
import time

from harness import wait_for


class Controller:
    """`mosaic fleet watch --json` in the foreground; its events are read from a file."""

    def __init__(self, fleet, *args, env=None, resync='60s', prefix=()):
        self.fleet = fleet
        self.path = fleet.bed.path_of('watch-%d.log' % time.monotonic_ns())
        self.errors = self.path + '.err'
        with open(self.path, 'wb') as out, open(self.errors, 'wb') as err:
            self.process = fleet.bed.popen(
                list(prefix) + [fleet.program, 'fleet', 'watch', '--json', '--resync', resync] + list(args),
                stdout=out, stderr=err, env=env)
        self.pid = self.process.pid
        fleet.addCleanup(self.end)

    def events(self, kind=None):
        found = []
        with open(self.path, encoding='utf-8', errors='surrogateescape') as f:
            for line in f:
                if line.endswith('\n'):
                    e = json.loads(line)
                    if kind is None or e['event'] == kind:
                        found.append(e)
        return found

    def said(self):
        with open(self.errors, encoding='utf-8', errors='replace') as f:
            return f.read()

    def describe(self):
        return 'controller said:\n%s%s' % ('\n'.join(json.dumps(e) for e in self.events()[-12:]), self.said())

    def state(self):
        """What it says of itself, through `status`; None while it does not."""
        r = self.fleet.fleet('status', '--json')
        try:
            return json.loads(r.out).get('controller')
        except ValueError:
            return None

    def file(self):
        text = self.fleet.bed.read(os.path.join(self.fleet.bed.run_dir, 'mosaic/default/controller.json'))
        return json.loads(text) if text else None

    def wait_passes(self, n=1, timeout=15):
        """Until @n more passes have ended than had when this was called."""
        before = (self.file() or {}).get('passes', 0)
        wait_for(lambda: (self.file() or {}).get('passes', 0) >= before + n, timeout, self.describe)

    def wait_converged(self, timeout=20, reason='in_sync'):
        def is_so():
            f = self.file()
            return f and f['pid'] == self.pid and any(
                c['type'] == 'Converged' and c['reason'] == reason for c in f['conditions'])
        wait_for(is_so, timeout, self.describe)

    def condition(self, kind):
        for c in (self.file() or {}).get('conditions', ()):
            if c['type'] == kind:
                return c
        return None

    def wait_condition(self, kind, reason, timeout=15):
        wait_for(lambda: (self.condition(kind) or {}).get('reason') == reason, timeout,
                 lambda: '%s is %s: %s\n%s' % (kind, reason, self.condition(kind), self.describe()))

    def ask(self):
        """SIGHUP: look now; returns when that was done."""
        before = self.file()['passes']
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: self.file()['passes'] > before, 15, self.describe)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)
        return self.process.wait(60)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        return self.process.returncode
