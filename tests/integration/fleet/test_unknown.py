#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What cannot be observed is never acted on, and a roster that is wrong changes nothing."""

import os
import signal
import time

import harness
from harness import BLOCKED, INVALID, UNKNOWN, Fleet, wait_for

WRONG = {
    'syntax': 'version: 1\nagents:\n  a: {runtime: shell\n  b: [\n',
    'unknown key': 'version: 1\nagents:\n  a: {runtime: shell, workdir: "~/work/a", colour: blue}\n',
    'wrong type': 'version: 1\nagents: [a, b]\n',
    'bad name': 'version: 1\nagents:\n  "A b": {runtime: shell, workdir: "~/work/a"}\n',
    'unknown runtime': 'version: 1\nagents:\n  a: {runtime: no-such, workdir: "~/work/a"}\n',
    'duplicate': 'version: 1\nagents:\n  a: {runtime: shell, workdir: "~/work/a"}\n  a: {runtime: shell, workdir: "~/work/a"}\n',
    'alias': 'version: 1\nagents:\n  a: &x {runtime: shell, workdir: "~/work/a"}\n  b: *x\n',
    'two documents': 'version: 1\nagents: {}\n---\nversion: 1\nagents: {}\n',
    'newer version': 'version: 99\nagents: {}\n',
    'not UTF-8': b'version: 1\nagents:\n  a: {runtime: shell, workdir: "~/work/\xff"}\n',
    'directive': '%YAML 1.2\n---\nversion: 1\nagents: {}\n',
    'two bytes': b'\x25\x83',
    'empty': '',
    'cycle': 'version: 1\nagents:\n  a: {runtime: shell, workdir: "~/work/a", after: [b]}\n'
             '  b: {runtime: shell, workdir: "~/work/b", after: [a]}\n',
}


class Unknown:
    def test_wrong_rosters_change_nothing(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        path = self.bed.path_of('.config/mosaic/fleet/roster.yaml')
        for name, text in WRONG.items():
            with self.subTest(roster=name):
                self.bed.write(path, text, 0o600)
                snapshot = self.bed.snapshot()
                r = self.fleet('validate', code=INVALID, timeout=10)
                if text:
                    self.assertRegex(r.out + r.err, r'roster\.yaml:\d+:\d+')
                for args in (('plan',), ('apply', '--yes'), ('verify',), ('start',), ('restart',)):
                    self.fleet(*args, code=INVALID, timeout=10)
                self.assertEqual(snapshot.diff(self.bed.snapshot(), ignore=[r'lock']), [])
                self.assertEqual(self.pids(), before)
        # A person can still stop the fleet.
        self.fleet('stop', code=(0, INVALID))

    def test_roster_gone(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        os.unlink(self.bed.path_of('.config/mosaic/fleet/roster.yaml'))
        for args in (('plan',), ('apply', '--yes'), ('start',)):
            r = self.fleet(*args)
            self.assertNotIn(r.code, (0, 2), r)
            self.assertIn('roster.yaml', r.out + r.err)
        self.assertEqual(self.pids(), before)

    def test_hung_tmux_server(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        server = self.server_pid()
        self.roster(['b', 'c'])
        os.kill(server, signal.SIGSTOP)
        try:
            for args in (('plan',), ('apply', '--yes'), ('verify',), ('start',)):
                began = time.monotonic()
                r = self.fleet(*args, code=UNKNOWN, timeout=60)
                print('# hung tmux: %s said so after %.1f s' % (args[0], time.monotonic() - began))
                self.assertIn('tmux', r.out + r.err)
            self.fleet('status', timeout=60)
            self.assertEqual({n: p.key for n, p in self.running().items()}, before)
            self.assertEqual(len(self.servers()), 1)
        finally:
            os.kill(server, signal.SIGCONT)
        # No client of ours is left behind waiting.
        wait_for(lambda: not [p for p in self.bed.processes() if p.comm.startswith('tmux: client')], 10,
                 'no tmux client is left')
        self.apply()
        self.assert_healthy(['b', 'c'])

    def test_tmux_is_not_there(self):
        self.roster(['a'])
        r = self.fleet('plan', env={'PATH': self.opt + '/bin'})
        self.assertNotEqual(r.code, 0, r)

    def test_tmux_talks_rubbish(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        for script in ('echo rubbish', 'exit 0', 'exit 3', 'printf "a\\tb\\tc\\n"', 'printf "\\t\\t\\t\\t\\t\\t\\t\\t\\t\\n"',
                       'exec sleep 1000', 'kill -9 $$', 'echo "no server running on /x" >&2; exit 1'):
            with self.subTest(tmux=script):
                self.bed.write('fake/tmux', '#!/bin/sh\n%s\n' % script, 0o755)
                env = {'PATH': self.bed.home + '/fake:' + self.bed.env()['PATH']}
                self.fleet('plan', env=env, code=UNKNOWN)
                self.apply(env=env, code=UNKNOWN)
                self.assertEqual(self.pids(), before)
        self.in_sync()

    def test_a_server_of_another_version(self):
        """After an upgrade of tmux beside a server that runs: who asks is led to the way out."""
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        self.bed.write('fake/tmux', '#!/bin/sh\n[ "$1" = -V ] && exec echo "tmux 3.4"\n'
                       'echo "protocol version mismatch (client 8, server 7)" >&2\nexit 1\n', 0o755)
        env = {'PATH': self.bed.home + '/fake:' + self.bed.env()['PATH']}
        self.assertIn('= mosaic doctor', self.fleet('plan', env=env, code=UNKNOWN).out)
        r = self.mosaic('doctor', env=env, code=BLOCKED)
        self.assertRegex(r.out, r'failed +socket .*another version')
        self.assertIn('= kill %d; mosaic fleet start' % self.server_pid(), r.out)
        self.assertEqual(self.pids(), before)
        os.kill(self.server_pid(), signal.SIGTERM)
        wait_for(lambda: not self.servers(), 10, "the server has ended")
        self.fleet('start', code=0)
        self.assert_healthy(['a', 'b'])


class UnknownSystemd(Unknown, Fleet):
    def test_manager_gone(self):
        self.bring_up(['a', 'b'])
        self.bed.kill_manager()
        left = self.pids()
        snapshot = self.bed.snapshot()
        for args in (('plan',), ('apply', '--yes'), ('verify',), ('start',)):
            r = self.fleet(*args, code=UNKNOWN, timeout=60)
            self.assertRegex(r.out + r.err, r'(?i)systemd|manager')
        self.fleet('stop', 'a', code=UNKNOWN)
        self.assertEqual(self.pids(), left)
        diff = snapshot.diff(self.bed.snapshot(), ignore=[r'lock', r'/holds'])
        self.assertEqual(diff, [])

    def test_manager_hung(self):
        self.bring_up(['a', 'b'])
        left = self.pids()
        os.kill(self.bed.manager.pid, signal.SIGSTOP)
        try:
            for args in (('plan',), ('apply', '--yes')):
                began = time.monotonic()
                self.fleet(*args, code=UNKNOWN, timeout=90)
                print('# hung manager: %s said so after %.1f s' % (args[0], time.monotonic() - began))
        finally:
            os.kill(self.bed.manager.pid, signal.SIGCONT)
        self.assertEqual(self.pids(), left)
        self.in_sync()

    def test_never_a_second_supervisor(self):
        # A machine that was set up for systemd stays so when the manager does not answer.
        self.roster(['a'])
        self.bed.stop_manager()
        self.apply(code=UNKNOWN)
        self.assertEqual(self.running(), {})
        self.assertEqual(self.servers(), [])
        self.bed.start_manager()
        self.apply()
        self.assert_healthy(['a'])

    def test_units_not_installed(self):
        self.fleet('uninstall-systemd', code=0)
        self.roster(['a'])
        r = self.apply(code=harness.BLOCKED)
        self.assertIn('install-systemd', r.out + r.err)
        self.assertEqual(self.running(), {})


class UnknownDirect(Unknown, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
