#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`fleet preflight`: what it says, that it is safe next to a live fleet, and that nothing of it stays."""

import json
import os
import re
import select
import signal
import time

import harness
from harness import BLOCKED, Fleet
from talk import Talk

STEPS = ['install', 'start', 'start-again', 'exact-target', 'restart', 'stop', 'stop-again', 'start-after-stop', 'gone',
         'untouched']
# A look at the live fleet changes nothing; these belong to the bed and its manager. A tmux that was built with
# systemd (3.4 and later) asks it for a scope for each pane, and that starts the bed's bus.
NOISE = [r'(new|lost|changed) unit: (dev-|\S+\.(mount|device|swap|scope)|app-tmux\.slice|session\.slice|dbus\.)',
         r'/systemd/(generator|transient|units)', r'dbus-daemon --session .*/dbus\.service', r'/run/dbus-1\b']


class Preflight(Fleet):
    def setUp(self):
        super().setUp()
        # What is left in the directory for temporary files is seen too.
        self.bed.mkdir('tmp')
        self.env = {'TMPDIR': self.bed.home + '/tmp', 'NO_COLOR': '1'}

    def checks(self, code=0, **more):
        document = json.loads(self.fleet('preflight', '--json', code=code, env=self.env, **more).out)
        self.assertEqual(document['summary']['exit'], code)
        self.assertEqual(document['format'], 'mosaic.fleet.preflight')
        self.assertTrue(all(c['message'] for c in document['checks']))
        return {c['name']: c for c in document['checks']}

    def states(self, checks, names=STEPS):
        return {n: checks[n]['state'] for n in names}

    def test_beside_a_live_fleet(self):
        before = self.bring_up(['web', 'db'])
        pids, sessions, snapshot = self.pids(), self.sessions(), self.bed.snapshot()
        checks = self.checks()
        self.assertEqual(self.states(checks), dict.fromkeys(STEPS, 'ok'))
        self.assertEqual(checks['live-plan']['state'], 'ok')
        self.assertRegex(checks['live-plan']['message'], '2 agents')
        self.assertEqual((self.pids(), self.sessions()), (pids, sessions))
        self.assertEqual(snapshot.diff(self.bed.snapshot(), ignore=NOISE), [])
        self.in_sync()
        self.assertEqual(set(before), {'web', 'db'})

    def test_one_line_for_each_check(self):
        r = self.fleet('preflight', code=0, env=self.env)
        lines = r.out.splitlines()
        for name in STEPS:
            self.assertEqual(len([l for l in lines if re.match(r'ok +%s +\S' % name, l)]), 1, (name, r))
        self.assertRegex(lines[-1], r'^\d+ checks, none failed \(exit 0\)$')

    def test_a_plan_that_disrupts_is_no_go(self):
        self.bring_up(['web', 'db'])
        pids = self.pids()
        self.roster({'web': self.agent('web', env={'NEW': '1'}), 'db': self.agent('db')})
        checks = self.checks(code=BLOCKED)
        self.assertEqual(checks['live-plan']['state'], 'failed')
        self.assertEqual(checks['live-plan']['help'], 'mosaic fleet plan')
        self.assertEqual(self.states(checks), dict.fromkeys(STEPS, 'ok'))
        self.assertEqual(self.pids(), pids)

    def test_a_broken_program_is_found(self):
        """Without the launcher nothing starts: that is said, the rest is not tried, and nothing stays."""
        launcher = self.opt + '/libexec/mosaic/mosaic-launcher'
        os.rename(launcher, launcher + '.away')
        self.addCleanup(os.rename, launcher + '.away', launcher)
        # The parts are missing wherever they are looked for.
        self.env['MOSAIC_LIBEXEC_DIR'] = self.opt + '/libexec/mosaic'
        before = self.bed.snapshot()
        checks = self.checks(code=BLOCKED)
        self.assertEqual(checks['parts']['state'], 'failed')
        self.assertEqual(checks['start']['state'], 'failed')
        self.assertRegex(checks['start']['message'], r"'mosaic fleet start' ended with \d+: \S")
        self.assertEqual(checks['restart']['state'], 'unknown')
        self.assertEqual(checks['gone']['state'], 'ok')
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=NOISE), [])

    def test_a_tmpdir_that_will_not_do(self):
        """One that is not there, cannot be written, is too long for sockets, or cannot stand in files: then /tmp."""
        self.bed.mkdir('closed', 0o500)
        for name in ('nowhere', 'closed', 'x' * 60, 'with"quote'):
            path = self.bed.path_of(name)
            if name not in ('nowhere', 'closed'):
                self.bed.mkdir(name)
            before, self.env['TMPDIR'] = self.bed.snapshot(), path
            if name == 'closed':
                checks = self.checks()
                self.assertEqual(self.states(checks), dict.fromkeys(STEPS, 'ok'), name)
            else:
                code, seen = self.interrupt_at('install', signal.SIGTERM)
                self.assertRegex(seen, r'ok +install ', name)
                self.assertRegex(seen, r'ok +gone ', name)
            self.assertEqual(before.diff(self.bed.snapshot(), ignore=NOISE), [], name)

    def interrupt_at(self, name, how):
        """Interrupts once the line of this check is on the terminal; returns all that was printed."""
        p, ours = self.bed.pty([self.program, 'fleet', 'preflight'], env=self.env)
        seen, sent, deadline = '', False, time.monotonic() + 60
        try:
            while p.poll() is None or select.select([ours], [], [], 0)[0]:
                self.assertLess(time.monotonic(), deadline, 'it does not end: %r' % seen)
                if select.select([ours], [], [], 0.2)[0]:
                    try:
                        seen += os.read(ours, 65536).decode()
                    except OSError:
                        break
                if not sent and re.search(r'(ok|note) +%s ' % name, seen):
                    sent = True
                    if how == 'key':
                        os.write(ours, b'\x03')
                    else:
                        os.kill(p.pid, how)
            p.wait()
        finally:
            os.close(ours)
        return p.returncode, seen

    def test_interrupted_nothing_stays(self):
        self.bring_up(['web'])
        pids, before = self.pids(), self.bed.snapshot()
        cut_short = 0
        for name, how in (('tmux', 'key'), ('install', 'key'), ('start', 'key'), ('exact-target', signal.SIGTERM),
                          ('stop', signal.SIGHUP)):
            code, seen = self.interrupt_at(name, how)
            # The last steps take some milliseconds: it may have ended before the signal came.
            cut_short += 'unknown' in seen
            self.assertEqual(code, 1 if 'interrupted' in seen else 0, seen)
            self.assertRegex(seen, r'ok +gone ')
            self.assertEqual(before.diff(self.bed.snapshot(), ignore=NOISE), [], seen)
        self.assertGreaterEqual(cut_short, 2)
        self.assertEqual(self.pids(), pids)

    def test_killed_the_next_one_takes_it_away(self):
        """With -9 nothing can be cleaned up: doctor tells, the next preflight does it; a live one is not met."""
        self.bring_up(['web'])
        pids, before = self.pids(), self.bed.snapshot()
        stopped, terminal = self.bed.pty([self.program, 'fleet', 'preflight'], env=self.env)
        self.addCleanup(os.close, terminal)
        seen = ['']

        def has_said(pattern):
            while select.select([terminal], [], [], 0)[0]:
                try:
                    seen[0] += os.read(terminal, 65536).decode()
                except OSError:
                    break
            return re.search(pattern, seen[0])
        harness.wait_for(lambda: has_said(r'ok +start '), 60, lambda: 'it starts: %r' % seen)
        os.kill(stopped.pid, signal.SIGSTOP)
        for name in ('start',):
            code, said = self.interrupt_at(name, signal.SIGKILL)
            self.assertEqual(code, -9, said)
            left = [n for n in os.listdir(self.bed.home + '/tmp') if n.startswith('mosaic-preflight-')]
            self.assertEqual(len(left), 2, left)
            r = self.mosaic('doctor', env=self.env, code=0)
            self.assertEqual(len(re.findall(r'^note +stale-preflight .*/tmp/mosaic-preflight-', r.out, re.M)), 1, r)
            self.assertIn('= mosaic fleet preflight', r.out)
            checks = self.checks()
            self.assertIn('was taken down', checks['stale-preflight']['message'])
            self.assertEqual(self.states(checks), dict.fromkeys(STEPS, 'ok'))
            self.assertNotIn('stale-preflight', self.mosaic('doctor', env=self.env, code=0).out)
        os.kill(stopped.pid, signal.SIGCONT)
        harness.wait_for(lambda: has_said('zzz') or stopped.poll() is not None, 60, lambda: 'its end: %r' % seen)
        self.assertEqual(stopped.returncode, 0, seen)
        # Looks like one, and is none: a person's directory, and a link.
        os.symlink(self.bed.home, self.bed.home + '/tmp/mosaic-preflight-link')
        self.bed.mkdir('tmp/mosaic-preflight-mine', 0o700)
        self.bed.write('tmp/mosaic-preflight-mine/owner', '1 preflight-not\n', 0o600)
        self.assertNotIn('stale-preflight', self.checks())
        self.assertEqual(self.bed.read('tmp/mosaic-preflight-mine/owner'), '1 preflight-not\n')
        os.unlink(self.bed.home + '/tmp/mosaic-preflight-link')
        self.bed.run(['rm', '-r', 'tmp/mosaic-preflight-mine'], cwd=self.bed.home)
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=NOISE), [])
        self.assertEqual(self.pids(), pids)


class PreflightDirect(Preflight):
    supervisor = 'direct'


class PreflightLive(Talk):
    """`--live NAME`: a real message to an agent of the live fleet, once."""

    def live(self, name, code):
        document = json.loads(self.fleet('preflight', '--live', name, '--json', code=code).out)
        checks = {c['name']: c for c in document['checks']}
        self.assertEqual(self.states_of(checks), dict.fromkeys(STEPS, 'ok'))
        return checks['live-message']

    @staticmethod
    def states_of(checks):
        return {n: checks[n]['state'] for n in STEPS}

    def test_a_message_arrives_once(self):
        self.composers('web', 'db')
        check = self.live('web', code=0)
        self.assertEqual(check['state'], 'ok', check)
        self.assertRegex(check['message'], r'^web has a message of \d+ bytes: (submitted|queued)$')
        self.assertEqual(len(self.texts('web')), 1)
        self.assertIn(b'mosaic fleet preflight', self.texts('web')[0])
        self.assertEqual(self.texts('db'), [])
        self.assertNotIn('live-message', self.fleet('preflight', code=0).out)
        self.assertEqual(len(self.texts('web')), 1)

    def test_one_that_cannot_take_it(self):
        self.composers('web')
        self.fleet('stop', 'web', code=0)
        check = self.live('web', code=BLOCKED)
        self.assertEqual((check['state'], check['help']), ('failed', 'mosaic agent status'))
        self.assertEqual(self.live('nobody', code=BLOCKED)['state'], 'failed')
        self.fleet('preflight', '--live', 'Not a name', code=harness.USAGE)
        self.assertEqual(self.texts('web'), [])


class PreflightAlone(Fleet):
    """Where there is no fleet, and nobody has touched the default server."""
    profile_first = False
    default_server = None

    def test_on_a_machine_without_a_fleet(self):
        before = self.bed.snapshot()
        r = self.fleet('preflight', '--json', code=0)
        checks = {c['name']: c for c in json.loads(r.out)['checks']}
        self.assertEqual({n: checks[n]['state'] for n in STEPS}, dict.fromkeys(STEPS, 'ok'))
        self.assertEqual((checks['live-plan']['state'], checks['units']['state']), ('note', 'note'))
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=NOISE), [])


if __name__ == '__main__':
    harness.main()
