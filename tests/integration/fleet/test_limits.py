#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Limits bite where the manager has the controllers, and are said to be not enforced where it has not."""

import os
import re

import harness
from harness import Fleet, wait_for


class LimitsEnforced(Fleet):
    def setUp(self):
        super().setUp()
        missing = {'memory', 'pids', 'cpu'} - self.bed.manager_controllers()
        if missing:
            harness.skip('limits-enforced', 'this machine gives a user manager no %s controller' %
                         ', '.join(sorted(missing)), permitted=True)

    def screen_says(self, name, text, timeout=15):
        wait_for(lambda: text in self.screen(name), timeout, lambda: '%r on %r' % (text, self.screen(name)))

    def test_memory(self):
        agents = {'h': self.agent('h', 'hog', limits={'memory': '80M'}), 'a': self.agent('a')}
        before = self.bring_up(agents)
        self.screen_says('h', 'h is up')
        self.type('h', 'memory 8')
        self.screen_says('h', 'took memory')
        self.type('h', 'memory 400')
        wait_for(lambda: not before['h'].alive(), 20, 'the kernel ends it')
        after = self.wait_agents(agents)
        self.assertEqual(after['a'].key, before['a'].key)
        self.assertEqual(len(self.servers()), 1)
        wait_for(lambda: self.starts('h') == 2, 15, lambda: 'two starts, not %d' % self.starts('h'))
        self.in_sync()

    def test_tasks(self):
        agents = {'h': self.agent('h', 'hog', limits={'tasks': 12})}
        self.bring_up(agents)
        self.screen_says('h', 'h is up')
        self.type('h', 'tasks 40')
        self.screen_says('h', 'made 11 tasks')

    def test_verify_says_they_are_enforced(self):
        self.bring_up({'h': self.agent('h', 'hog', limits={'memory': '80M', 'tasks': 50, 'cpu': '100%'})})
        r = self.fleet('verify', code=0)
        self.assertNotRegex(r.out + r.err, r'(?i)not enforced')
        got = self.show(self.unit('h'), 'MemoryMax', 'TasksMax', 'CPUQuotaPerSecUSec')
        self.assertEqual(got, {'MemoryMax': str(80 << 20), 'TasksMax': '50', 'CPUQuotaPerSecUSec': '1s'})


    def kernels(self, pid):
        """What the kernel holds a process to: tasks and bytes of memory, in either layout of cgroups."""
        found = {}
        for line in open('/proc/%d/cgroup' % pid):
            _, controllers, path = line.strip().split(':', 2)
            for controller, old, new in (('pids', 'pids.max', 'pids.max'), ('memory', 'memory.limit_in_bytes', 'memory.max')):
                for name in (['/sys/fs/cgroup/%s%s/%s' % (controller, path, old)] if controller in controllers.split(',') else
                             ['/sys/fs/cgroup%s/%s' % (path, new)] if not controllers else []):
                    if os.path.exists(name):
                        found[controller] = open(name).read().strip()
        return found

    def test_a_live_change_reaches_the_kernel(self):
        """systemd 256 and later does not apply it by a reload alone."""
        agents = {'h': self.agent('h', 'hog', limits={'memory': '80M', 'tasks': 50}), 'a': self.agent('a')}
        before = self.bring_up(agents)
        pid = before['h'].pid
        self.assertEqual(self.kernels(pid), {'memory': str(80 << 20), 'pids': '50'})
        for memory, tasks in ((120, 60), (70, 40)):
            agents['h']['limits'] = {'memory': '%dM' % memory, 'tasks': tasks}
            self.roster(agents)
            self.apply()
            wanted = {'memory': str(memory << 20), 'pids': str(tasks)}
            wait_for(lambda: self.kernels(pid) == wanted, 10, lambda: (self.kernels(pid), wanted))
        self.assertEqual(self.pids(), {n: p.key for n, p in before.items()})
        self.assertNotIn('app-mosaic.slice', self.bed.systemctl('list-units', '--all').out)

    def user_reloads(self):
        """As a person does, and lets systemd 256 and later apply what it read."""
        self.bed.systemctl('daemon-reload', check=True)
        self.bed.systemctl('start', 'app-test.slice', check=True)
        self.bed.systemctl('stop', 'app-test.slice', check=True)

    def test_another_file_that_allows_more_is_told(self):
        """One that sorts behind ours wins, and is the user's: verify says what is so."""
        before = self.bring_up({'h': self.agent('h', 'hog', limits={'memory': '80M', 'tasks': 50, 'cpu': '100%'})})
        other = self.unit('h') + '.d/90-mine.conf'
        self.bed.write('.config/systemd/user/' + other, '[Service]\nMemoryMax=1G\nTasksMax=infinity\nCPUQuota=250%\n')
        self.user_reloads()
        note = (r'(?m)^note +limits .*memory of h is 1.0G, not 80.0M; cpu of h is 250%, not 100%; '
                'tasks of h is without limit, not 50$')
        wait_for(lambda: re.search(note, self.fleet('verify', code=0).out), 10, lambda: self.results[-1])
        self.assertIn('= systemctl --user cat ' + self.unit('h'), self.results[-1].out)
        # One that allows less keeps the agent within its limits.
        self.bed.write('.config/systemd/user/' + other, '[Service]\nMemoryMax=70M\nTasksMax=20\nCPUQuota=50%\n')
        self.user_reloads()
        wait_for(lambda: re.search(r'(?m)^ok +limits ', self.fleet('verify', code=0).out), 10, lambda: self.results[-1])
        self.assertEqual(self.pids(), {n: p.key for n, p in before.items()})


class LimitsNotEnforced(Fleet):
    controllers = False

    def test_verify_says_so(self):
        if self.bed.manager_controllers():
            harness.skip('limits-not-enforced', 'the manager has controllers that cannot be taken away',
                         permitted=True)
        before = self.bring_up({'h': self.agent('h', 'hog', limits={'memory': '80M'}), 'a': self.agent('a')})
        r = self.fleet('verify')
        self.assertRegex(r.out + r.err, r'(?i)not enforced')
        self.assertIn('h', r.out)
        self.in_sync()
        self.assertEqual(self.pids(), {n: p.key for n, p in before.items()})

    def test_nothing_is_said_without_limits(self):
        self.bring_up(['a'])
        r = self.fleet('verify', code=0)
        self.assertNotRegex(r.out + r.err, r'(?i)not enforced')


class LimitsDirect(Fleet):
    supervisor = 'direct'

    def test_verify_says_so(self):
        self.bring_up({'h': self.agent('h', 'hog', limits={'memory': '80M'})})
        r = self.fleet('verify')
        self.assertRegex(r.out + r.err, r'(?i)not enforced')


if __name__ == '__main__':
    harness.main()
