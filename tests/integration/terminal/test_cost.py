#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a standing agent costs beside itself: one keeper, 64 KiB, no wake-ups. What a start costs."""

import os
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import terminal
from terminal import Client, Fleet, wait_for

KEEPERS = 100
PSS_MAX_KIB = 64

# Prints, and reads what is typed, as fast as it can.
BUSY = '''
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
n = 0
while time.monotonic() < end:
    os.write(1, b'some output that goes on and on %d\\r\\n' % n)
    n += 1
print('DONE', flush=True)
time.sleep(1000)
'''


class Cost(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.close)
        self.fleet.start_server()

    def test_memory_of_keepers(self):
        f = self.fleet
        keeper = os.path.join(terminal.libexec(), 'mosaic-keeper')
        commands = ''.join("new-session -d -s 'k%d' -x 80 -y 24 '%s' 'k%d'\n" % (i, keeper, i)
                           for i in range(KEEPERS))
        f.tmux('source-file', f.write('commands', commands))
        keep = os.path.join(f.runtime, 'keep')
        wait_for(lambda: os.path.isdir(keep) and len(
            [n for n in os.listdir(keep) if not n.startswith('.')]) == KEEPERS, 'all keepers listen', 30)
        pids = [int(p) for p in f.tmux('list-panes', '-a', '-F', '#{pane_pid}').split('\n')]
        wait_for(lambda: all(terminal.stat_fields(p)[0] == 'S' for p in pids), 'all sleep')
        fresh = [terminal.pss_kib(p) for p in pids]
        # and after each has lent its terminal
        for i in range(KEEPERS):
            with f.keeper('k%d' % i) as k:
                self.assertEqual(k.call('T')[0], 'T')
        used = [terminal.pss_kib(p) for p in pids]
        print('PSS of a keeper, KiB: %.1f fresh, %.1f after a hand-over (maximum %d)' % (
            sum(fresh) / len(fresh), sum(used) / len(used), max(used)), file=sys.stderr)
        self.assertLessEqual(max(used), PSS_MAX_KIB)
        for p in pids:
            self.assertEqual(terminal.status_field(p, 'Threads'), '1')

    def test_no_wakeups(self):
        """Whatever the agent prints, whatever is typed, whoever attaches: the keeper sleeps on."""
        f = self.fleet
        agent = f.launch('web', [sys.executable, '-I', f.write('busy.py', BUSY), '1.0']).wait_ready()
        pids = [f.keeper_pid('web'), f.keeper_pid('_holder')]
        wait_for(lambda: all(terminal.stat_fields(p)[0] == 'S' for p in pids), 'the keepers sleep')
        # the launcher's connection closes at its exec: the last thing that wakes the keeper
        wait_for(lambda: len(os.listdir('/proc/%d/fd' % pids[0])) == 4, 'the connection is closed')
        before = [terminal.wakeups(p) for p in pids]
        with Client(f, 'web') as client:
            client.write(b'typed\r')
            client.resize(60, 20)
            f.keys('web', 'a', 'Enter', 'b')
            wait_for(lambda: client.pump() or b'DONE' in client.output, 'the agent is done', 20)
            client.detach()
        f.keys('_holder', 'x', 'C-c')
        f.wait_screen('web', 'DONE')
        self.assertEqual([terminal.wakeups(p) for p in pids], before)
        self.assertIsNone(agent.process.poll())

    def test_no_wakeups_without_agent(self):
        f = self.fleet
        f.make_session('web')
        pid = f.keeper_pid('web')
        wait_for(lambda: len(os.listdir('/proc/%d/fd' % pid)) == 4 and
                 terminal.stat_fields(pid)[0] == 'S', 'the keeper sleeps')
        before = terminal.wakeups(pid)
        f.type('web', 'typed into nothing')
        f.wait_screen('web', 'typed into nothing')
        self.assertEqual(terminal.wakeups(pid), before)

    def test_no_wakeups_of_a_supervising_keeper(self):
        f = self.fleet
        f.spec('web', ['sleep', '1000'])
        f.make_session('web')
        with f.keeper('web') as k:
            pid = int(k.call('S')[1:])
        keeper = f.keeper_pid('web')
        wait_for(lambda: len(os.listdir('/proc/%d/fd' % keeper)) == 5 and
                 terminal.stat_fields(keeper)[0] == 'S', 'the keeper sleeps')
        before = terminal.wakeups(keeper)
        f.type('web', 'typed')
        f.wait_screen('web', 'typed')
        self.assertEqual(terminal.wakeups(keeper), before)
        print('PSS of one supervising keeper alone, KiB: %d' % terminal.pss_kib(keeper),
              file=sys.stderr)
        os.kill(pid, signal.SIGKILL)

    def test_keeper_is_static_and_launcher_links_little(self):
        def needed(name):
            out = subprocess.run(['readelf', '-d', os.path.join(terminal.libexec(), name)],
                                 capture_output=True, text=True, check=True).stdout
            return set(re.findall(r'NEEDED.*\[(.*?)\.so', out))
        self.assertEqual(needed('mosaic-keeper'), set())
        sanitizers = {'libasan', 'libubsan', 'libtsan', 'liblsan', 'libm', 'libgcc_s', 'ld-linux-x86-64'}
        self.assertEqual(needed('mosaic-launcher') - sanitizers, {'libjson-c', 'libc'})

    def test_time_of_a_start(self):
        """In a kept pane, from fork to exec; beside it, the same program without us."""
        f = self.fleet
        f.spec('web', ['true'])
        f.make_session('web')
        ours, plain = [], []
        for _ in range(20):
            started = time.monotonic()
            agent = f.launch('web')
            self.assertEqual(agent.process.wait(20), 0, agent.messages())
            ours.append(time.monotonic() - started)
            started = time.monotonic()
            subprocess.run(['true'], start_new_session=True)
            plain.append(time.monotonic() - started)
        ours.sort(), plain.sort()
        print('start of `true` in a kept pane: median %.1f ms, without us %.1f ms' % (
            ours[len(ours) // 2] * 1e3, plain[len(plain) // 2] * 1e3), file=sys.stderr)


if __name__ == '__main__':
    terminal.become_subreaper()
    unittest.main()
