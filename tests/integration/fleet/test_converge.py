#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Apply makes the machine match the roster, touches nothing else, and says so truthfully."""

import os
import re
import time

import harness
from harness import BLOCKED, NOT_CONVERGED, PENDING, USAGE, Fleet, wait_for


class Converge:
    def cold(self, n):
        names = ['a%d' % i for i in range(n)]
        self.roster(names)
        before = self.bed.snapshot()
        self.fleet('plan', code=PENDING)
        self.assertEqual(before.diff(self.bed.snapshot()), [], 'plan changed something')
        began = time.monotonic()
        self.apply()
        print('# %s: cold apply of %d: %.2f s' % (self.supervisor, n, time.monotonic() - began))
        agents = self.assert_healthy(names)
        for name in names:
            self.wait_up(name)
            self.assertEqual(self.starts(name), 1, name)
        self.in_sync()
        self.fleet('verify', code=0)
        self.fleet('status', code=0)
        r = self.apply()
        self.assertRegex(r.out + r.err, r'(?i)in sync')
        self.assertEqual(self.pids(), {n: p.key for n, p in agents.items()})
        self.assertEqual([n for n in names if self.starts(n) != 1], [])

    def test_cold_1(self):
        self.cold(1)

    def test_cold_10(self):
        self.cold(10)

    def test_cold_50(self):
        self.cold(50)

    def test_empty_roster(self):
        self.roster({})
        self.apply()
        self.in_sync()
        self.assertEqual(self.running(), {})

    def test_add_remove_rename_and_change_together(self):
        names = ['keep-1', 'keep-2', 'keep-3', 'keep-4', 'keep-5', 'gone', 'old-name', 'changed']
        before = self.bring_up(names)
        agents = self.agents_of(['keep-1', 'keep-2', 'keep-3', 'keep-4', 'keep-5', 'new-name', 'added'])
        agents['changed'] = self.agent('changed', env={'COLOUR': 'blue'})
        self.roster(agents)
        self.fleet('plan', code=PENDING)
        self.apply()
        after = self.assert_healthy(agents)
        for n in ('keep-1', 'keep-2', 'keep-3', 'keep-4', 'keep-5'):
            self.assertEqual(after[n].key, before[n].key, n)
            self.assertEqual(self.starts(n), 1)
        self.assertNotEqual(after['changed'].key, before['changed'].key)
        self.assertEqual(self.starts('changed'), 2)
        for n in ('gone', 'old-name'):
            self.assertFalse(before[n].alive(), n)
            self.assertEqual(self.state_files(n), [])
        self.in_sync()

    def test_order_of_keys_and_comments_mean_nothing(self):
        before = {n: p.key for n, p in self.bring_up(['b', 'a', 'c']).items()}
        text = self.roster(self.agents_of(['c', 'b', 'a']))
        self.bed.write('.config/mosaic/fleet/roster.yaml', '# mine\n' + text.replace('\n', '\n\n'), 0o600)
        self.in_sync()
        self.apply()
        self.assertEqual(self.pids(), before)

    def test_description_and_labels_change_nothing(self):
        agents = self.agents_of(['a', 'b'])
        before = {n: p.key for n, p in self.bring_up(agents).items()}
        agents['a']['description'] = 'another text: $(touch PWN) #{pid}'
        agents['b']['labels'] = {'team': 'docs'}
        self.roster(agents)
        self.in_sync()
        self.apply()
        self.assertEqual(self.pids(), before)
        self.in_sync()

    def test_policy_edit_changes_no_pid(self):
        agents = self.agents_of(['a', 'b'])
        before = {n: p.key for n, p in self.bring_up(agents).items()}
        agents['a'].update(restart={'policy': 'on-failure', 'delay': '3s'}, stop_timeout='7s',
                           limits={'memory': '512M', 'tasks': 100, 'cpu': '150%'})
        self.roster(agents)
        self.fleet('plan', code=PENDING)
        self.apply()
        self.assertEqual(self.pids(), before)
        self.in_sync()
        if self.supervisor == 'systemd':
            got = self.show(self.unit('a'), 'Restart', 'RestartUSec', 'TimeoutStopUSec', 'MemoryMax', 'TasksMax',
                            'CPUQuotaPerSecUSec', 'NeedDaemonReload')
            self.assertEqual(got, {'Restart': 'on-failure', 'RestartUSec': '3s', 'TimeoutStopUSec': '7s',
                                   'MemoryMax': str(512 << 20), 'TasksMax': '100',
                                   'CPUQuotaPerSecUSec': '1.500000s', 'NeedDaemonReload': 'no'})
            self.assertEqual(self.show(self.unit('b'), 'Restart')['Restart'], 'always')
        # And back again: what is no longer asked for is gone.
        self.roster(self.agents_of(['a', 'b']))
        self.apply()
        self.assertEqual(self.pids(), before)
        if self.supervisor == 'systemd':
            got = self.show(self.unit('a'), 'Restart', 'MemoryMax')
            self.assertEqual(got, {'Restart': 'always', 'MemoryMax': 'infinity'})

    def test_restart_edit_restarts_only_that_agent(self):
        agents = self.agents_of(['a', 'b', 'c'])
        before = self.bring_up(agents)
        session = self.sessions()['b']
        for n, edit in enumerate(({'env': {'X': '1'}}, {'args': ['--one', 'two three']},
                                  {'workdir': '~/work/elsewhere'})):
            with self.subTest(edit=edit):
                self.bed.mkdir('work/elsewhere')
                agents['b'].update(edit)
                self.roster(agents)
                self.fleet('plan', code=PENDING)
                self.apply()
                after = self.wait_agents(agents)
                self.assertNotEqual(after['b'].key, before['b'].key)
                self.assertEqual([after['a'].key, after['c'].key], [before['a'].key, before['c'].key])
                self.assertEqual(self.starts('b'), n + 2)
                before = after
        self.assertEqual(self.sessions()['b'], session, 'the pane was not kept')
        self.assertEqual(os.readlink('/proc/%d/cwd' % after['b'].pid), self.bed.home + '/work/elsewhere')
        self.in_sync()

    def test_an_attached_agent_is_not_restarted(self):
        agents = self.agents_of(['a', 'b'])
        before = self.bring_up(agents)
        client, fd = self.bed.pty(['tmux', '-N', '-L', harness.SOCKET, 'attach', '-t', '=a:'])
        wait_for(lambda: self.tmux('list-clients', '-F', '#{session_name}').out.strip() == 'a', what='a client')
        agents['a']['env'] = {'X': '1'}
        agents['b']['env'] = {'X': '1'}
        self.roster(agents)
        self.assertIn('Next: mosaic fleet apply', self.fleet('plan', code=PENDING).out)
        r = self.apply(code=NOT_CONVERGED)
        self.assertRegex(r.out + r.err, r'attached')
        self.assertNotIn('Next:', self.fleet('plan', code=PENDING).out, 'what waits is not helped by another apply')
        self.assertIn('2 agents; what is left to do waits.', self.mosaic(code=0).out)
        after = self.wait_agents(agents)
        self.assertEqual(after['a'].key, before['a'].key)
        self.assertNotEqual(after['b'].key, before['b'].key)
        self.assertIsNone(client.poll(), 'the client was thrown out')
        self.apply('--force-busy', 'a')
        self.assertNotEqual(self.wait_agents(agents)['a'].key, before['a'].key)
        self.assertIsNone(client.poll(), 'the client was thrown out')
        self.tmux('detach-client', '-s', '=a', check=True)
        client.wait(5)
        os.close(fd)
        self.in_sync()

    def test_removal_cap(self):
        names = ['a%d' % i for i in range(8)]
        before = {n: p.key for n, p in self.bring_up(names).items()}
        self.roster(names[:5])
        self.fleet('plan', code=BLOCKED)
        r = self.apply(code=BLOCKED)
        self.assertIn('--allow-remove 3', r.out + r.err)
        self.assertEqual(self.pids(), before)
        for wrong in ('2', '4'):
            self.apply('--allow-remove', wrong, code=BLOCKED)
            self.assertEqual(self.pids(), before)
        self.apply('--allow-remove', '3')
        self.assert_healthy(names[:5])
        self.assertEqual(self.pids(), {n: before[n] for n in names[:5]})
        self.in_sync()

    def test_what_is_left_is_told(self):
        """Agents that this run starts count for the cap of the next: nothing is removed now."""
        names = ['a%d' % i for i in range(5)]
        before = {n: p.key for n, p in self.bring_up(names).items()}
        self.roster(names[:3] + ['b%d' % i for i in range(3)])
        r = self.apply(code=NOT_CONVERGED)
        for name in names[3:]:
            self.assertRegex(r.out, r'(?m)^ +- agent/%s +remove: ' % name)
            self.assertEqual(self.pids()[name], before[name])
        self.apply()
        self.in_sync()

    def test_one_that_left_by_name(self):
        """Held back by the cap: it is not unknown, and can be stopped."""
        self.bring_up(['a', 'b', 'c', 'd'])
        self.roster(['a', 'b'])
        self.apply(code=BLOCKED)
        for verb in ('explain', 'plan', 'start'):
            r = self.fleet(verb, 'c', code=USAGE)
            self.assertIn("no agent 'c' in the roster; it left it", r.err)
        rows = self.fleet('status', code=BLOCKED).out
        self.assertRegex(rows, r'(?m)^c +leaving +gone +active ')
        self.assertIn('the cap holds its removal back', rows)
        leaving = self.fleet_json('status', code=BLOCKED)['leaving']
        self.assertEqual([(x['name'], x['unit']) for x in leaving], [('c', 'active'), ('d', 'active')])
        self.fleet('stop', 'c', code=0)
        self.wait_agents(['a', 'b', 'd'])
        self.assertEqual(set(self.running()), {'a', 'b', 'd'})
        self.assertIn('c', self.sessions())
        self.fleet('stop', 'x', code=USAGE)

    def test_the_cap_allows_one_of_two(self):
        self.bring_up(['a', 'b'])
        self.roster(['a'])
        self.apply()
        self.assert_healthy(['a'])

    def test_an_emptied_roster_removes_nothing_by_itself(self):
        names = ['a', 'b', 'c']
        before = {n: p.key for n, p in self.bring_up(names).items()}
        self.roster({})
        self.apply(code=BLOCKED)
        self.assertEqual(self.pids(), before)
        self.apply('--allow-remove', '3')
        self.assertEqual(self.running(), {})
        self.in_sync()

    def test_family_of_prefixes(self):
        family = ['ab', 'ab-1', 'ab-10', 'ab-1-x', 'ab-2', 'a']
        before = self.bring_up(family)
        self.fleet('stop', 'ab-1', code=0)
        rest = [n for n in family if n != 'ab-1']
        self.assertEqual(self.pids(), {n: before[n].key for n in rest})
        self.assertEqual(set(self.sessions()), set(family) | {'_holder'})
        self.fleet('restart', 'ab-10', code=0)
        after = self.wait_agents(rest)
        self.assertEqual({n for n in rest if after[n].key != before[n].key}, {'ab-10'})
        self.fleet('start', 'ab-1', code=0)
        self.wait_agents(family)
        self.roster([n for n in family if n != 'ab-1'])
        self.apply()
        self.assert_healthy(rest)
        self.roster([n for n in rest if n != 'ab'])
        self.apply()
        self.assert_healthy([n for n in rest if n != 'ab'])

    def test_named_agents_only(self):
        self.roster(['a', 'b', 'c'])
        self.fleet('apply', '--yes', 'b', code=0)
        self.wait_agents(['b'])
        self.roster(['a', 'c'])
        self.fleet('apply', '--yes', 'a', code=0)
        self.wait_agents(['a', 'b'])  # a narrowed apply removes nothing
        self.fleet('apply', '--yes', 'no-such', code=USAGE)
        self.apply()
        self.wait_agents(['a', 'c'])

    def test_one_that_ends_at_once(self):
        """It is never said to be done, whatever its policy, and how it ended is told; nobody waits for what it does next."""
        runtimes = self.runtimes()
        runtimes['bad'] = {'command': ['/bin/sh', '-c', 'exit 3']}
        for policy in ('always', 'on-failure', 'never'):
            name = 'x-' + policy
            self.roster({name: self.agent(name, 'bad', restart=policy), 'good': self.agent('good')}, runtimes=runtimes)
            began = time.monotonic()
            r = self.apply('--allow-remove', '1', code=NOT_CONVERGED)
            self.assertRegex(r.out, r'failed +agent/%s .*looking again: it ended with status 3' % name)
            self.assertIn(' 1 failed,', r.out)
            if policy == 'always':  # the others wait until the one before it can be removed
                self.assertLess(time.monotonic() - began, 3)
            for verb in ('start', 'restart'):
                r = self.fleet(verb, name, code=NOT_CONVERGED)
                self.assertRegex(r.out, r'(?m)(failed +agent/%s .*looking again: it ended with status 3)|'
                                        r'~ agent/%s .*waiting' % (name, name))
            self.fleet('stop', name, code=0)
        self.assertEqual(set(self.running()), {'good'})

    def test_two_states(self):
        """With another XDG_STATE_HOME holds, specs and lock are others': nothing is changed from there."""
        self.roster(['a', 'b'])
        self.apply()
        self.fleet('stop', 'a', code=0)
        before = self.pids()
        other = {'XDG_STATE_HOME': self.bed.mkdir('elsewhere')}
        for args in (('start',), ('apply', '--yes'), ('stop', 'b'), ('install-systemd',)):
            self.assertIn('XDG_STATE_HOME leads to', self.fleet(*args, env=other, code=BLOCKED).err)
        self.assertRegex(self.fleet('status', env=other, code=(0, 2, 3)).out, 'keeps its state in')
        self.assertEqual(self.pids(), before)
        self.apply()
        self.assertEqual(self.pids(), before)

    def test_a_verb_inside_an_agent(self):
        """It would end itself half way through, and who typed it would be left down."""
        agents = {'sh': {**self.agent('sh', 'shell'), 'on_change': 'restart'}, 'other': self.agent('other')}
        self.roster(agents)
        self.apply()
        self.wait_agents(agents)

        def inside(verb):
            if os.path.exists(self.bed.path_of('code')):
                os.unlink(self.bed.path_of('code'))
            self.type('sh', '%s fleet %s >~/said 2>&1; echo $? >~/new; mv ~/new ~/code' % (self.program, verb))
            wait_for(lambda: self.bed.read('code'), 10, lambda: '%s has ended: %s' % (verb, self.bed.read('said')))
            return int(self.bed.read('code')), self.bed.read('said')

        before = self.pids()
        for verb in ('restart sh', 'restart', 'stop', 'stop sh other'):
            code, said = inside(verb)
            self.assertEqual((verb, code), (verb, BLOCKED), said)
            self.assertIn('inside sh', said)
        if self.supervisor == 'systemd':  # the stop of a unit ends its cgroup, whoever the parents are
            self.type('sh', '(setsid sh -c "%s fleet restart >~/said 2>&1; echo \\$? >~/detached" &)' % self.program)
            wait_for(lambda: self.bed.read('detached'), 10, lambda: self.bed.read('said'))
            self.assertEqual(self.bed.read('detached').strip(), str(BLOCKED), self.bed.read('said'))
        self.assertEqual(inside('restart other')[0], 0)
        self.assertEqual(self.pids()['sh'], before['sh'])
        self.assertNotEqual(self.pids()['other'], before['other'])
        agents['sh']['env'] = {'CHANGED': 'yes'}
        self.roster(agents)
        self.assertEqual(inside('apply --yes')[0], BLOCKED)
        self.assertEqual(self.pids()['sh'], before['sh'])
        self.type('sh', '%s fleet stop sh' % self.program)  # the last thing it does
        wait_for(lambda: self.is_held_down('sh') and 'other' in self.running(), 10, lambda: self.running())
        self.fleet('plan', code=0)

    def test_state_stopped(self):
        agents = self.agents_of(['a', 'b'])
        agents['b']['state'] = 'stopped'
        self.roster(agents)
        self.apply()
        self.wait_agents(['a'])
        self.in_sync()
        agents['b']['state'] = 'running'
        self.roster(agents)
        self.apply()
        self.wait_agents(['a', 'b'])
        agents['a']['state'] = 'stopped'
        self.roster(agents)
        self.apply()
        self.wait_agents(['b'])
        self.in_sync()

    def test_after_is_the_order(self):
        agents = self.agents_of(['a', 'b', 'c'])
        agents['a']['after'] = ['b']
        agents['b']['after'] = ['c']
        found = self.bring_up(agents)
        self.assertEqual(sorted(found, key=lambda n: (found[n].start, found[n].pid)), ['c', 'b', 'a'])

    def test_one_that_cannot_start_stops_no_sibling(self):
        agents = self.agents_of(['a', 'b'])
        agents['b']['runtime'] = 'broken'
        broken = self.bed.write('bin/broken', '#!/no/such/interpreter\n', 0o755)
        self.roster(agents, runtimes={**self.runtimes(), 'broken': {'command': [broken]}})
        r = self.apply(code=(0, NOT_CONVERGED, BLOCKED))  # it says ready before its exec fails
        self.wait_agents(['a'])
        self.assertRegex(r.out + r.err, r'\bb\b')
        wait_for(lambda: self.fleet('plan').code != 0, 10, 'plan sees that b does not run')

    def test_dependants_are_skipped_with_the_cause(self):
        self.bring_up(['a'])
        self.foreign = self.bed.canary(harness.SOCKET, ('b',))
        agents = self.agents_of(['a', 'b', 'c', 'd'])
        agents['c']['after'] = ['b']
        agents['d']['after'] = ['a']
        self.roster(agents)
        r = self.apply(code=(NOT_CONVERGED, BLOCKED))
        self.wait_agents(['a', 'd'])
        self.assertRegex(r.out + r.err, r'(?m)agent/c\b.*\bb\b', 'the cause of the skipped agent is not said')

    def test_hand_made_changes_are_drift(self):
        self.bring_up(['a', 'b'])
        before = self.pids()
        self.tmux('rename-session', '-t', '=a:', 'mine', check=True)
        self.fleet('plan', code=PENDING)
        self.apply()
        self.assertEqual(set(self.sessions()), {'_holder', 'a', 'b'})
        self.assertEqual(self.pids(), before)
        self.in_sync()


class ConvergeSystemd(Converge, Fleet):
    def test_a_lost_drop_in_comes_back(self):
        agents = self.agents_of(['a'], restart={'policy': 'on-failure'})
        before = {n: p.key for n, p in self.bring_up(agents).items()}
        folder = self.bed.home + '/.config/systemd/user/mosaic-agent@a.service.d'
        files = os.listdir(folder)
        self.assertTrue(files)
        text = {f: self.bed.read(folder + '/' + f) for f in files}
        for f in files:
            os.unlink(folder + '/' + f)
        self.fleet('plan', code=PENDING)
        self.apply()
        self.assertEqual({f: self.bed.read(folder + '/' + f) for f in files}, text)
        self.assertEqual(self.pids(), before)
        self.in_sync()

    def test_status_names_everybody(self):
        agents = self.bring_up(['web', 'db'])
        r = self.fleet('status', code=0)
        for name in agents:
            self.assertRegex(r.out, r'(?m)^\W*%s\b.*running' % name)
        self.assertTrue(all(len(line) <= 80 for line in r.out.splitlines()), r.out)
        self.assertNotIn('\x1b', r.out)
        text = str(self.fleet_json('status', code=0))
        for name, p in agents.items():
            self.assertTrue(re.search(r'\b%d\b' % p.pid, text), 'pid of %s is not in the JSON' % name)


class ConvergeDirect(Converge, Fleet):
    supervisor = 'direct'

    def test_one_path_for_all(self):
        """Agents have the PATH that the tmux server was started with, whoever asks for them; `plan` goes by it, and
        `doctor` names what it lacks."""
        usual = self.bed.env()['PATH']
        more = {'PATH': self.bed.home + '/more:' + usual}
        self.bed.write('more/tool', '#!/bin/sh\nexec sleep 1000000\n', 0o755)
        before = self.bring_up(['a'])
        self.roster({'a': self.agent('a', 'tool'), 'b': self.agent('b')},
                    runtimes={**self.runtimes(), 'tool': {'command': ['tool']}})
        self.assertIn('"tool" is not in the agents\' PATH', self.fleet('validate', code=0, env=more).err)
        self.apply(code=BLOCKED, env=more)
        after = self.wait_agents(['a', 'b'])
        self.assertEqual(after['a'].key, before['a'].key, 'it was ended, and cannot come back')
        with open('/proc/%d/environ' % after['b'].pid, 'rb') as f:
            self.assertIn(b'PATH=' + usual.encode(), f.read().split(b'\0'))
        said = self.mosaic('doctor', code=(0, BLOCKED), env=more).out
        self.assertRegex(said, r'note +path .*lacks of this shell.s: %s/more\n +. mosaic fleet stop && mosaic fleet start' %
                         self.bed.home)
        self.fleet('stop', code=0)
        self.fleet('start', code=0, env=more)
        self.wait_agents(['a', 'b'])
        self.assertRegex(self.mosaic('doctor', code=0, env=more).out, r'ok +path ')


if __name__ == '__main__':
    harness.main()
