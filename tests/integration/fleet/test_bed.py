#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bed itself: a real manager, limits where it has controllers, alarms that ring, and nothing left behind."""

import os
import pwd
import signal
import subprocess
import sys
import time
import unittest

import harness
from harness import bedlib, wait_for

COMMAND = os.path.join(harness.ROOT, 'tests/lib/bed.py')


class Bed(unittest.TestCase):
    def setUp(self):
        try:
            bedlib.check_available()
        except bedlib.Unavailable as e:
            harness.skip('bed', str(e))

    def traces(self, name):
        uid = int(name[len(bedlib.PREFIX):])
        found = [p for p in ('/tmp/' + name, '/tmp/tmux-%d' % uid, bedlib.REGISTRY + '/' + name) if os.path.exists(p)]
        found += [h.mount for h in bedlib.hierarchies() if os.path.exists(os.path.join(h.mount, name))]
        found += bedlib.processes_of(uid)
        found += [p for p in pwd.getpwall() if p.pw_name == name]
        return found

    def test_a_real_manager(self):
        with bedlib.Bed() as b:
            r = b.run(['systemd-run', '--user', '--wait', '--pipe', '--quiet', 'id', '-un'], check=True)
            self.assertEqual(r.out.strip(), b.name)
            self.assertEqual(b.systemctl('is-system-running').out.strip(), 'running')
            print('# controllers: %s' % (' '.join(sorted(b.manager_controllers())) or 'none'))
            r = b.run(['systemd-run', '--user', '--wait', '--quiet', '-p', 'MemoryMax=64M', '-p', 'MemorySwapMax=0',
                       'python3', '-c', 'x = bytearray(300 << 20)'])
            self.assertEqual(r.code != 0, 'memory' in b.manager_controllers(), r)
        with bedlib.Bed(controllers=False) as b:
            r = b.run(['systemd-run', '--user', '--wait', '--quiet', '-p', 'MemoryMax=64M', '-p', 'MemorySwapMax=0',
                       'python3', '-c', 'x = bytearray(300 << 20)'])
            self.assertEqual(r.code, 0, r)

    def test_nothing_is_left(self):
        with bedlib.Bed() as b:
            name = b.name
            b.canary()
            b.run(['systemd-run', '--user', '--quiet', 'sleep', '1000'], check=True)
            b.run(['sh', '-c', 'setsid sh -c "trap \\"\\" TERM HUP; sleep 1000" >/dev/null 2>&1 & mkdir -p a/b; chmod 0 a'])
            self.assertGreater(len(b.processes()), 4)
        self.assertEqual(self.traces(name), [])

    def test_a_killed_run_is_cleaned_up_by_the_next(self):
        p = subprocess.Popen([sys.executable, COMMAND, 'run', 'sh', '-c',
                              'systemd-run --user --quiet sleep 1000; tmux new-session -d sleep 1000; echo $USER; sleep 1000'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        name = p.stdout.readline().decode().strip()
        self.assertTrue(name.startswith(bedlib.PREFIX))
        with bedlib.Bed() as other:
            self.assertTrue(self.traces(name), 'a living bed was removed')
            self.assertNotEqual(other.name, name)
        p.kill()
        p.wait()
        p.stdout.close()
        self.assertTrue(self.traces(name))
        bedlib.clean()
        self.assertEqual(self.traces(name), [])

    def test_a_terminated_run_cleans_up_itself(self):
        p = subprocess.Popen([sys.executable, COMMAND, 'run', 'sh', '-c', 'echo $USER; trap "" TERM HUP; sleep 1000'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        name = p.stdout.readline().decode().strip()
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 128 + signal.SIGTERM)
        p.stdout.close()
        self.assertEqual(self.traces(name), [])

    def test_exit_codes_pass_through(self):
        for code in (0, 7, 255):
            r = subprocess.run([sys.executable, COMMAND, 'run', '--quiet', '--no-manager', 'sh', '-c', 'exit %d' % code])
            self.assertEqual(r.returncode, code)

    def test_alarms_ring(self):
        with bedlib.Bed() as b:
            canary = b.canary()
            self.assertEqual(canary.changes(), [])
            b.tmux('send-keys', '-t', '=canary:', 'x')
            wait_for(canary.changes, 5, 'a key in a canary session is noticed')
        with bedlib.Bed(manager=False) as b:
            canary = b.canary()
            b.tmux('set-option', '-g', 'status', 'off')
            self.assertTrue(canary.changes())
        with bedlib.Bed(manager=False) as b:
            canary = b.canary()
            b.tmux('kill-server')
            self.assertTrue(canary.changes())
        with bedlib.Bed(manager=False) as b:
            trip = b.tripwire()
            self.assertEqual(trip.changes(), [])
            # Not through pipes: a client sends its files to the server, where they would stay open.
            p = b.popen(['tmux', '-N', 'ls'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            caught = wait_for(trip.changes, 5, 'a client is caught')
            p.kill()
            p.wait()
            self.assertEqual(len(caught), 1)
            trip.close()
        with bedlib.Bed(manager=False) as b:
            before = b.snapshot()
            self.assertEqual(before.diff(b.snapshot()), [])
            b.write('a/b', 'text')
            self.assertEqual(len(before.diff(b.snapshot())), 2)
            before = b.snapshot()
            b.write('a/b', 'other')
            b.popen(['sleep', '1000'])
            self.assertEqual(len(before.diff(b.snapshot())), 2)

    def test_managers_come_and_go(self):
        with bedlib.Bed() as b:
            for _ in range(3):
                b.run(['systemd-run', '--user', '--quiet', '--unit=x', 'sleep', '1000'], check=True)
                b.restart_manager()
                self.assertEqual(b.systemctl('is-active', 'x').out.strip(), 'inactive')
            b.run(['systemd-run', '--user', '--quiet', '--unit=x', 'sleep', '1000'], check=True)
            b.kill_manager()
            self.assertNotEqual(b.systemctl('is-active', 'x').code, 0)
            self.assertTrue([p for p in b.processes() if p.argv == ['sleep', '1000']] or True)
            b.reset()
            self.assertEqual(b.systemctl('is-system-running').out.strip(), 'running')
            self.assertFalse([p for p in b.processes() if p.argv == ['sleep', '1000']])


if __name__ == '__main__':
    harness.main()
