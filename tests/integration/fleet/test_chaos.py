#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random faults and edits against the real parts, then calm: nothing foreign was touched, nothing runs twice, and one
`start` and `apply` make everything right. MOSAIC_CHAOS=SEED:STEPS plays a run again, or a longer one."""

import os
import random
import signal
import time

import harness
from harness import Fleet, wait_for


class Chaos:
    def deeds(self):
        """What may happen: name and function."""
        return [
            ('agent killed', self.kill_agent), ('keeper killed', self.kill_keeper),
            ('session killed', lambda: self.tmux('kill-session', '-t', '=' + self.pick())),
            ('session renamed', lambda: self.tmux('rename-session', '-t', '=' + self.pick(), 'renamed%d' %
                                                  self.dice.randrange(1000))),
            ('server killed', self.kill_server), ('server told to end', lambda: self.tmux('kill-server')),
            ('roster edited', self.edit), ('roster edited', self.edit), ('roster broken', self.break_roster),
            ('apply', lambda: self.fleet('apply', '--yes', code=range(0, 66))),
            ('apply, cut short', self.cut_short), ('apply, cut short', self.cut_short),
            ('stop', lambda: self.fleet('stop', self.pick(), code=range(0, 66))),
            ('stop of all', lambda: self.fleet('stop', code=range(0, 66))),
            ('start', lambda: self.fleet('start', code=range(0, 66))),
            ('restart', lambda: self.fleet('restart', self.pick(), code=range(0, 66))),
            ('two at once', self.two_at_once), ('run files gone', self.remove_run_files),
            ('server stopped for a moment', self.pause_server),
        ]

    def pick(self):
        return self.dice.choice(self.names)

    def kill_agent(self):
        for name, p in self.running().items():
            if name == self.pick():
                os.kill(p.pid, self.dice.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)))

    def kill_keeper(self):
        r = self.tmux('list-panes', '-t', '=%s:' % self.pick(), '-F', '#{pane_pid}')
        if r.out.split():
            os.kill(int(r.out.split()[0]), signal.SIGKILL)

    def kill_server(self):
        pid = self.server_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def pause_server(self):
        pid = self.server_pid()
        if pid:
            os.kill(pid, signal.SIGSTOP)
            try:
                self.fleet('plan', code=range(0, 66))
            finally:
                os.kill(pid, signal.SIGCONT)

    def edit(self):
        agents = {}
        for name in self.names:
            if self.dice.random() < 0.85:
                agents[name] = self.agent(name)
                if self.dice.random() < 0.3:
                    agents[name]['env'] = {'ROUND': str(self.dice.randrange(3))}
                if self.dice.random() < 0.3:
                    agents[name]['restart'] = {'policy': self.dice.choice(('always', 'on-failure'))}
        self.roster(agents, defaults=self.defaults)

    def break_roster(self):
        text = self.bed.read('.config/mosaic/fleet/roster.yaml') or ''
        self.bed.write('.config/mosaic/fleet/roster.yaml', text[:self.dice.randrange(len(text) + 1)], 0o600)

    def cut_short(self):
        p = self.bed.popen([self.program, 'fleet', self.dice.choice(('apply', 'start', 'restart', 'stop'))])
        time.sleep(self.dice.uniform(0, 0.25))
        p.kill()
        p.communicate()

    def two_at_once(self):
        verbs = [self.dice.choice((['apply', '--yes'], ['start'], ['stop', self.pick()], ['restart', self.pick()]))
                 for _ in range(2)]
        procs = [self.bed.popen([self.program, 'fleet'] + v) for v in verbs]
        for p in procs:
            p.communicate(timeout=90)

    def remove_run_files(self):
        folder = self.bed.run_dir + '/mosaic/default/run'
        for f in os.listdir(folder) if os.path.isdir(folder) else ():
            if self.dice.random() < 0.5:
                os.unlink(folder + '/' + f)

    def test_faults_then_calm(self):
        seed, _, steps = os.environ.get('MOSAIC_CHAOS', '').partition(':')
        seed = int(seed or random.randrange(1 << 32))
        print('# chaos seed %d (%s)' % (seed, self.supervisor))
        self.dice = random.Random(seed)
        self.names = ['a', 'ab', 'ab-1', 'ab-10', 'b', 'c']
        self.defaults = {'restart': {'delay': '100ms'}}
        self.roster(self.agents_of(self.names), defaults=self.defaults)
        self.apply()
        self.wait_agents(self.names)
        deeds = self.deeds()
        history = []
        for _ in range(int(steps or 40)):
            what, deed = self.dice.choice(deeds)
            history.append(what)
            try:
                deed()
            except (ProcessLookupError, FileNotFoundError):
                pass
            time.sleep(self.dice.choice((0, 0, 0.02, 0.2)))
            self.running()  # fails when an agent runs twice
            self.assertLessEqual(len(self.servers()), 1, history)
            self.assertEqual(self.guard.changes(), [], history)
        # Calm.
        self.roster(self.agents_of(self.names), defaults=self.defaults)
        try:
            self.fleet('start', code=range(0, 5))
            wait_for(lambda: self.fleet('apply', '--yes').code == 0, 30, 'apply succeeds')
            self.assert_healthy(self.names)
            self.in_sync()
            self.fleet('verify', code=0)
            self.fleet('stop', code=0)
            self.assertEqual(self.running(), {})
            self.assertEqual(self.servers(), [])
        except BaseException:
            print('# history: %s' % ', '.join(history))
            raise


class ChaosSystemd(Chaos, Fleet):
    def deeds(self):
        return super().deeds() + [
            ('systemctl stop', lambda: self.bed.systemctl('stop', self.unit(self.pick()))),
            ('systemctl start', lambda: self.bed.systemctl('start', '--no-block', self.unit(self.pick()))),
            ('systemctl restart', lambda: self.bed.systemctl('restart', '--no-block', self.unit(self.pick()))),
            ('holder restarted', lambda: self.bed.systemctl('restart', '--no-block', harness.HOLDER_UNIT)),
            ('holder stopped', lambda: self.bed.systemctl('stop', harness.HOLDER_UNIT)),
            ('daemon-reload', lambda: self.bed.systemctl('daemon-reload')),
            ('daemon-reexec', lambda: self.bed.systemctl('daemon-reexec')),
            ('drop-ins gone', self.remove_dropins),
        ]

    def remove_dropins(self):
        top = self.bed.home + '/.config/systemd/user'
        for d in os.listdir(top):
            if d.endswith('.d') and self.dice.random() < 0.5:
                for f in os.listdir(top + '/' + d):
                    os.unlink(top + '/' + d + '/' + f)


class ChaosDirect(Chaos, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
