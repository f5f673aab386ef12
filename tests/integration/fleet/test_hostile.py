#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Text of a roster is data wherever it goes: no shell, no tmux format, no unit specifier ever runs it."""

import glob
import json
import os

import harness
from harness import Fleet, wait_for

TEXTS = [
    '$(touch ~/PWN)', '`touch ~/PWN`', '; touch ~/PWN', '#(touch ~/PWN)', '##(touch ~/PWN)', '#{pid}', '%h %i %n %%',
    'a;', ';', '\\;', '-t', '--', '=web', '$0', '@1', '%1', '{last}', '!', '~', "it's", 'say "hi"', 'a\\b', '$HOME',
    '${HOME}', '*', '?', '[a-z]', 'new\nline', 'ExecStart=/bin/touch PWN', 'x\n[Service]\nExecStartPre=/bin/touch PWN',
    'tab\there', 'ümläut 字 🎈', '&& touch PWN', '| touch PWN', '> PWN', '', ' ', ' lead', 'trail ',
]


class Hostile:
    def planted(self):
        return [f for pattern in (self.bed.home + '/**/PWN*', self.bed.root + '/PWN*', '/tmp/PWN*', '/PWN*',
                                  self.bed.run_dir + '/**/PWN*')
                for f in glob.glob(pattern, recursive=True) if f.split('PWN')[-1] in ('', '1', '2')]

    def dump(self, name):
        wait_for(lambda: self.bed.read('dump/%s.json' % name), 10, 'the dump of ' + name)
        return json.loads(self.bed.read('dump/%s.json' % name))

    @staticmethod
    def latin(text):
        return text.encode().decode('latin-1')

    def test_arguments_and_environment(self):
        # In arguments {name} is a placeholder and {{ is a brace.
        agents = {'d': self.agent('d', 'dump', args=[t.replace('{', '{{') for t in TEXTS],
                                  env={'V%d' % i: t for i, t in enumerate(TEXTS)},
                                  description='#(touch ~/PWN) $(touch ~/PWN)'),
                  'a': self.agent('a')}
        self.bring_up(agents)
        d = self.dump('d')
        self.assertEqual(d['argv'], [self.latin(t) for t in TEXTS])
        for i, t in enumerate(TEXTS):
            self.assertEqual(d['env']['V%d' % i], self.latin(t))
        for verb in ('status', 'plan', 'verify'):
            r = self.fleet(verb)
            self.assertNotIn('\x1b', r.out)
            self.assertNotIn('\u202e', r.out)
        self.in_sync()
        self.fleet('restart', code=0)
        self.wait_agents(agents)
        self.fleet('stop', code=0)
        self.assertEqual(self.planted(), [])

    def test_working_directories(self):
        names = ['x#(touch ~/PWN)', '#{session_name}', 'a b', "it's", '$HOME', '%h', 'a;b', 'é', '--', '=x', 'tail;', 'sp ']
        agents = {}
        for i, n in enumerate(names):
            self.bed.mkdir('work/dirs/' + n)
            agents['d%d' % i] = {'runtime': 'dump', 'workdir': '~/work/dirs/' + n}
        self.bring_up(agents)
        for i, n in enumerate(names):
            self.assertEqual(self.dump('d%d' % i)['cwd'], self.latin(self.bed.home + '/work/dirs/' + n))
        self.assertEqual(self.planted(), [])
        self.in_sync()

    def test_roster_text_reaches_neither_tmux_nor_units(self):
        secret = 'nec-plus-ultra-4711'
        agents = {'d': self.agent('d', 'dump', args=[secret], env={'MARK': secret}, description=secret)}
        trace = self.bed.home + '/trace'
        # The server comes first: under `direct` it is a child, which strace would follow for ever.
        self.bring_up(['seed'])
        agents['seed'] = self.agent('seed')
        self.roster(agents)
        r = self.bed.run(['strace', '-f', '-qq', '-s', '4096', '-e', 'trace=execve', '-o', trace, self.program, 'fleet',
                          'apply', '--yes'], timeout=60)
        self.assertEqual(r.code, 0, r)
        self.wait_agents(['d', 'seed'])
        self.assertNotIn(secret, self.bed.read(trace))
        for path in glob.glob(self.bed.home + '/.config/systemd/user/**', recursive=True):
            if os.path.isfile(path):
                self.assertNotIn(secret, self.bed.read(path), path)
        for p in self.bed.processes():
            if p.argv and not any('/agents/dump' in a for a in p.argv):
                self.assertNotIn(secret, ' '.join(p.argv))

    def test_secrets_stay_secret(self):
        secret = 'hush-hush-0815'
        self.bed.write('.config/mosaic/secrets/token', secret + '\n', 0o600)
        agents = {'d': self.agent('d', 'dump', credentials={'API_TOKEN': {'file': '~/.config/mosaic/secrets/token'}})}
        self.bring_up(agents)
        self.assertEqual(self.dump('d')['env']['API_TOKEN'], secret)
        for args in (('plan',), ('plan', '--json'), ('status',), ('status', '--json'), ('verify',), ('apply', '--yes')):
            r = self.fleet(*args)
            self.assertNotIn(secret, r.out + r.err)
        for p in self.bed.processes():
            self.assertNotIn(secret, ' '.join(p.argv))
        for top in (self.bed.home, self.bed.run_dir):
            for d, _, files in os.walk(top):
                for f in files:
                    path = os.path.join(d, f)
                    if 'secrets' not in path and '/dump/' not in path and os.path.isfile(path):
                        self.assertNotIn(secret, self.bed.read(path) or '', path)

    def test_files_and_directories_are_private(self):
        self.bring_up({'a': self.agent('a', restart={'policy': 'on-failure'})})
        self.fleet('stop', 'a', code=0)
        for top in (self.bed.home + '/.local/state/mosaic', self.bed.run_dir + '/mosaic'):
            self.assertTrue(os.path.isdir(top), top)
            for d, dirs, files in os.walk(top):
                self.assertEqual(os.stat(d).st_mode & 0o777, 0o700, d)
                for f in files:
                    st = os.lstat(os.path.join(d, f))
                    self.assertEqual(st.st_mode & 0o077, 0, os.path.join(d, f))

    def test_a_poisoned_environment_of_the_caller(self):
        self.bed.write('evil/tmux', '#!/bin/sh\ntouch ~/PWN\n', 0o755)
        poison = {'TMUX_TMPDIR': self.bed.home + '/nowhere', 'BASH_ENV': self.bed.home + '/evil/env',
                  'ENV': self.bed.home + '/evil/env', 'IFS': 'x', 'SHELL': self.bed.home + '/evil/tmux',
                  'MOSAIC_AGENT': 'other', 'NOTIFY_SOCKET': '/nowhere', 'INVOCATION_ID': '0' * 32}
        self.bed.write('evil/env', 'touch ~/PWN\n')
        self.bring_up(['a'])
        before = self.pids()
        self.fleet('plan', env=poison, code=0)
        self.fleet('apply', '--yes', env=poison, code=0)
        self.fleet('restart', env=poison, code=0)
        self.assertNotEqual(self.pids(), before)
        self.in_sync()
        self.assertEqual(len(self.servers()), 1)
        self.assertEqual(self.planted(), [])


class HostileSystemd(Hostile, Fleet):
    pass


class HostileDirect(Hostile, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
