#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""drivers/systemd/manager against a real user manager: what it sees, what its jobs report, and what it says
when the manager hangs, is replaced or dies."""

import os
import signal
import threading
import time

import fixture
from fixture import wait_for


class Manager(fixture.Systemd):
    def unit_facts(self, *args):
        return {u['agent']: u for u in self.facts(self.probe('observe', *args), 'unit')}

    def test_states(self):
        self.plain_units()
        self.bed.write(self.units + '/mosaic-fleet.service', '[Service]\nExecStart=sleep infinity\n')
        self.bed.write(self.units + '/mosaic-agent@back.service.d/x.conf',
                       '[Service]\nRestart=always\nRestartSec=1h\n')
        # Another fleet's, a name no roster can have, and one that only begins like ours.
        for name in ('mosaic-1a2b3c4d-agent@', 'mosaic-agentx@'):
            self.bed.write(self.units + '/' + name + '.service', '[Service]\nExecStart=sleep infinity\n')
        self.bed.systemctl('daemon-reload', check=True)
        out = self.probe('observe', 'all')
        self.assertIn('manager: state=present', out)
        self.assertIn('holder: state=inactive since=0', out)
        self.assertNotIn('unit:', out)
        self.bed.systemctl('start', 'mosaic-agent@up', 'mosaic-agent@dead', 'mosaic-agent@back', 'mosaic-tmux-holder',
                           'mosaic-fleet', 'mosaic-1a2b3c4d-agent@up', 'mosaic-agentx@up', 'mosaic-agent@No_Name',
                           check=True)
        for name in ('dead', 'back'):
            os.kill(int(self.show('mosaic-agent@' + name, 'MainPID')), signal.SIGKILL)
        wait_for(lambda: self.show('mosaic-agent@dead', 'ActiveState') == 'failed')
        wait_for(lambda: self.show('mosaic-agent@back', 'SubState') == 'auto-restart')
        out = self.probe('observe')
        self.assertIn('holder: state=active since=1', out)
        self.assertIn('controller: state=active', out)
        units = self.unit_facts()
        self.assertEqual(sorted(units), ['back', 'dead', 'up'])
        self.assertEqual(units['up']['state'], 'active')
        self.assertEqual(units['up']['details'], '0')
        self.assertEqual(units['back']['state'], 'restarting')
        dead = units['dead']
        self.assertEqual((dead['state'], dead['details'], dead['result'], dead['pid']), ('failed', '1', 'signal', '0'))
        self.assertEqual(dead['changed'], '1')
        self.assertEqual(units['back']['invocation'], self.show('mosaic-agent@back', 'InvocationID'))
        up = self.unit_facts('all')['up']
        self.assertEqual((up['details'], up['pid'], up['result']),
                         ('1', self.show('mosaic-agent@up', 'MainPID'), 'success'))
        if 'memory' in self.bed.manager_controllers():
            self.assertEqual(up['memory'], 'known')

    def test_masked(self):
        self.plain_units()
        self.bed.systemctl('mask', 'mosaic-agent@a', check=True)
        self.bed.systemctl('mask', '--runtime', 'mosaic-agent@b', check=True)
        units = self.unit_facts()
        self.assertEqual({n: u['masked'] for n, u in units.items()}, {'a': '1', 'b': '1'})
        job = self.facts(self.probe('jobs', 'start', '5000', 'mosaic-agent@a.service'), 'job')[0]
        self.assertEqual((job['result'], job['error']), ('refused', 'ERFKILL'))
        self.assertIn('unmask', job['message'])

    def test_reload(self):
        self.plain_units()
        self.bed.systemctl('start', 'mosaic-agent@new', check=True)
        self.bed.write(self.units + '/mosaic-agent@new.service.d/50-mosaic.conf', '[Service]\nTasksMax=50\n')
        self.assertNotEqual(self.show('mosaic-agent@new', 'TasksMax'), '50')
        self.assertEqual(self.probe('reload'), 'ok\n')
        self.assertEqual(self.show('mosaic-agent@new', 'TasksMax'), '50')

    def test_questions_about_the_manager(self):
        self.assertRegex(self.probe('version'), r'^version: 2\d\d')
        self.assertIn('contains: 1', self.probe('path', self.units))
        self.assertIn('contains: 0', self.probe('path', '/nonesuch'))

    def test_reset_failed(self):
        self.plain_units('StartLimitIntervalSec=1h\n')
        self.bed.systemctl('start', 'mosaic-agent@a', check=True)
        os.kill(int(self.show('mosaic-agent@a', 'MainPID')), signal.SIGKILL)
        wait_for(lambda: self.show('mosaic-agent@a', 'ActiveState') == 'failed')
        self.assertEqual(self.probe('reset-failed', 'mosaic-agent@a.service', 'mosaic-agent@never.service'), 'ok\n')
        self.assertEqual(self.unit_facts(), {})

    # --- jobs ---

    def jobs(self, kind, *units, deadline=20000, timeout=60):
        out = self.probe('jobs', kind, str(deadline), *units, timeout=timeout)
        total = self.facts(out, 'jobs')[0]
        self.assertEqual(total['n'], total['reported'])
        self.assertEqual(total['n'], str(len(units)))
        self.assertEqual(total['wait'], '0')
        return total, {j['unit']: j for j in self.facts(out, 'job')}

    def test_outcomes(self):
        self.plain_units()
        s = '[Service]\nType=notify\nTimeoutStartSec=500ms\nExecStart=sleep infinity\n'
        self.bed.write(self.units + '/mosaic-late.service', s)
        self.bed.write(self.units + '/mosaic-broken.service', '[Service]\nType=oneshot\nExecStart=false\n')
        self.bed.write(self.units + '/mosaic-needs.service',
                       '[Unit]\nRequires=mosaic-broken.service\nAfter=mosaic-broken.service\n'
                       '[Service]\nExecStart=sleep infinity\n')
        self.bed.write(self.units + '/mosaic-garbled.service', '[Service]\nType=oneshot\n')
        self.bed.systemctl('daemon-reload', check=True)
        total, bad = self.jobs('start', 'mosaic-agent@a.service', 'mosaic-late.service', 'mosaic-needs.service',
                               'mosaic-garbled.service', 'nonesuch.service', 'mosaic-agent@b.service')
        self.assertEqual(total['done'], '2')
        self.assertEqual({u: (j['result'], j['error']) for u, j in bad.items()}, {
            # not "timeout": that is the job's own timeout, which these units have none of
            'mosaic-late.service': ('failed', 'EIO'),
            'mosaic-needs.service': ('dependency', 'ENOLINK'),
            'mosaic-garbled.service': ('refused', 'ENOEXEC'),
            'nonesuch.service': ('refused', 'ENOENT'),
        })
        self.assertIn('install-systemd', bad['nonesuch.service']['message'])
        # Twice the same thing, and the same unit twice, is fine.
        total, bad = self.jobs('start', 'mosaic-agent@a.service', 'mosaic-agent@a.service', 'mosaic-agent@c.service',
                               'mosaic-agent@c.service')
        self.assertEqual((total['done'], bad), ('4', {}))
        self.assertLess(self.took, 1900000)  # not by the reading of states after 2 s of silence
        total, bad = self.jobs('stop', 'mosaic-agent@a.service', 'mosaic-agent@b.service', 'mosaic-agent@never.service',
                               'mosaic-agent@c.service')
        self.assertEqual((total['done'], bad), ('4', {}))

    def test_many_at_once(self):
        self.plain_units()
        units = ['mosaic-agent@w%d.service' % i for i in range(60)]
        for kind, state in (('start', 'active'), ('stop', 'inactive')):
            total, bad = self.jobs(kind, *units)
            self.assertEqual((total['done'], bad), ('60', {}))
            self.assertEqual(self.show('mosaic-agent@w59', 'ActiveState'), state)
            # Signals, not the reading of states that steps in after 2 s of silence.
            self.assertLess(self.took, 1900000)

    def test_deadline(self):
        self.bed.write(self.units + '/mosaic-agent@.service',
                       '[Service]\nType=notify\nTimeoutStartSec=1h\nTimeoutStopSec=1s\nExecStart=sleep infinity\n')
        self.bed.systemctl('daemon-reload', check=True)
        began = time.monotonic()
        total, bad = self.jobs('start', 'mosaic-agent@a.service', 'mosaic-agent@b.service', deadline=1000)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(total['done'], '0')
        for unit in ('mosaic-agent@a.service', 'mosaic-agent@b.service'):
            self.assertEqual((bad[unit]['error'], bad[unit]['result']), ('ETIMEDOUT', 'timeout'))

    def test_canceled(self):
        self.bed.write(self.units + '/mosaic-agent@.service',
                       '[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=sleep infinity\n')
        self.bed.systemctl('daemon-reload', check=True)
        stop = threading.Timer(1, lambda: self.bed.systemctl('stop', 'mosaic-agent@a'))
        stop.start()
        _, bad = self.jobs('start', 'mosaic-agent@a.service', deadline=20000)
        stop.join()
        self.assertEqual((bad['mosaic-agent@a.service']['result'], bad['mosaic-agent@a.service']['error']),
                         ('canceled', 'ECANCELED'))

    # --- a manager in trouble ---

    def test_no_manager(self):
        self.bed.stop_manager()
        try:
            out = self.probe('observe', code=1)
            self.assertIn('source: state=absent', out)
        finally:
            self.bed.start_manager()

    def test_hung_manager(self):
        self.plain_units()
        os.kill(self.bed.manager.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            out = self.probe('observe', code=1)
            self.assertLess(time.monotonic() - began, 6)
            self.assertIn('source: state=unknown', out)
            self.assertIn('error=ETIMEDOUT', out)
        finally:
            os.kill(self.bed.manager.pid, signal.SIGCONT)
        self.assertIn('manager: state=present', self.probe('observe'))

    def test_hangs_before_the_question(self):
        """No half list, and no answer that looks like "nothing runs"."""
        self.plain_units()
        self.bed.systemctl('start', 'mosaic-agent@a', 'mosaic-tmux-holder', check=True)
        began = time.monotonic()
        out = self.probe('observe-hung', str(self.bed.manager.pid))
        self.assertLess(time.monotonic() - began, 6)
        self.assertEqual(self.facts(out, 'manager')[0]['state'], 'unknown')
        self.assertIn('did not answer', self.facts(out, 'manager')[0]['why'])
        self.assertEqual(self.facts(out, 'unit'), [])

    def test_hangs_with_jobs_on_the_way(self):
        self.plain_units('ExecStartPre=sleep 2\n')
        stop = threading.Timer(0.7, lambda: os.kill(self.bed.manager.pid, signal.SIGSTOP))
        stop.start()
        try:
            began = time.monotonic()
            _, bad = self.jobs('start', 'mosaic-agent@a.service', deadline=3000)
            # its deadline, and the time that reading the state may take
            self.assertLess(time.monotonic() - began, 12)
            self.assertEqual((bad['mosaic-agent@a.service']['result'], bad['mosaic-agent@a.service']['error']),
                             ('lost', 'ETIMEDOUT'))
        finally:
            stop.join()
            os.kill(self.bed.manager.pid, signal.SIGCONT)

    def test_reexec_loses_nothing(self):
        self.plain_units('ExecStartPre=sleep 1\n')
        units = ['mosaic-agent@r%d.service' % i for i in range(20)] + ['nonesuch.service']
        reexec = threading.Timer(0.6, lambda: self.bed.systemctl('daemon-reexec'))
        reexec.start()
        total, bad = self.jobs('start', *units, deadline=30000)
        reexec.join()
        self.assertEqual(total['alive'], '0', 'the re-execution came too late to be a test')
        self.assertEqual(total['done'], '20')
        self.assertEqual(bad['nonesuch.service']['result'], 'refused')
        self.assertEqual({self.show(u, 'ActiveState') for u in units[:20]}, {'active'})

    def test_dies_with_jobs_on_the_way(self):
        self.plain_units('ExecStartPre=sleep 5\n')
        kill = threading.Timer(0.7, self.bed.kill_manager)
        kill.start()
        try:
            _, bad = self.jobs('start', 'mosaic-agent@a.service', deadline=3000)
            self.assertEqual((bad['mosaic-agent@a.service']['result'], bad['mosaic-agent@a.service']['error']),
                             ('lost', 'ENOTCONN'))
        finally:
            kill.join()
            self.bed.start_manager()


if __name__ == '__main__':
    fixture.main()
