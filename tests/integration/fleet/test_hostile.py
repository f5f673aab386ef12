#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Text of a roster is data wherever it goes: no shell, no tmux format, no unit specifier ever runs it."""

import glob
import json
import os

import harness
from harness import BLOCKED, INVALID, NOT_CONVERGED, Fleet, wait_for

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
        names = ['x#(touch ~/PWN)', '#{session_name}', 'a b', "it's", '$HOME', '%h', 'a;b', 'é', '--', '=x', 'tail;', 'sp ',
                 'tail#', '~', 'gone']
        agents = {}
        for i, n in enumerate(names):
            self.bed.mkdir('work/dirs/' + n)
            agents['d%d' % i] = {'runtime': 'dump', 'workdir': '~/work/dirs/' + n}
        self.bring_up(agents)
        for i, n in enumerate(names):
            self.assertEqual(self.dump('d%d' % i)['cwd'], self.latin(self.bed.home + '/work/dirs/' + n))
        self.assertEqual(self.planted(), [])
        self.in_sync()
        # Directories that are none, or not to be entered, keep their agents down and nobody else; so does
        # one that goes away.
        before = {n: k for n, k in self.pids().items() if n != 'd14'}
        os.mkdir(self.bed.home + '/work/closed', 0o700)
        os.mkfifo(self.bed.home + '/work/fifo')
        os.symlink('nowhere', self.bed.home + '/work/dangling')
        self.bed.write('work/file', '')
        for n in ('closed', 'fifo', 'dangling', 'file', 'missing'):
            agents['b-' + n] = {'runtime': 'dump', 'workdir': '~/work/' + n}
        self.roster(agents)
        self.fleet('apply', '--yes', code=BLOCKED)
        self.fleet('stop', 'd14', code=0)
        os.rmdir(self.bed.home + '/work/dirs/gone')
        self.fleet('start', 'd14', code=(BLOCKED, NOT_CONVERGED))
        self.assertEqual(self.pids(), before)

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
        """Three secrets, by the three ways there are, and every output of every verb that has one."""
        secrets = ['hush-hush-0815', 'psst-file-4711', 'psst-pass-2342']
        self.bed.write('.config/mosaic/secrets/token', secrets[0] + '\n', 0o600)
        self.bed.write('.config/mosaic/secrets/env', 'FROM_FILE="%s"\n' % secrets[1], 0o600)
        if self.supervisor == 'systemd':
            self.bed.systemctl('set-environment', 'FROM_OUTSIDE=' + secrets[2], check=True)
        agents = {'d': self.agent('d', 'dump', credentials={'API_TOKEN': {'file': '~/.config/mosaic/secrets/token'}},
                                  env_files=['~/.config/mosaic/secrets/env'], env_pass=['FROM_OUTSIDE']),
                  'c': self.agent('c', 'composer', credentials={'API_TOKEN': {'file': '~/.config/mosaic/secrets/token'}})}
        self.roster(agents)
        outside = {'FROM_OUTSIDE': secrets[2]}
        self.apply(env=outside)
        self.wait_agents(agents)
        env = self.dump('d')['env']
        self.assertEqual([env[n] for n in ('API_TOKEN', 'FROM_FILE', 'FROM_OUTSIDE')], secrets)
        watch = self.bed.popen([self.program, 'fleet', 'watch', '--json'], env=outside)
        wait_for(lambda: os.path.exists(self.bed.run_dir + '/mosaic/default/controller.json'), 20, 'the controller')
        said = []
        for verb in ('fleet plan', 'fleet apply --yes', 'fleet verify', 'fleet status', 'fleet config', 'fleet explain d',
                     'fleet validate', 'fleet plan --detailed', 'agent roster', 'agent status d', 'agent probe d',
                     'agent status', 'agent send c --message x --timeout 1s', 'agent tail d -n 50', 'doctor', 'version',
                     'fleet restart d', 'fleet stop d', 'fleet start d', 'fleet init --profile minimal'):
            for more in ([], ['--json']):
                r = self.mosaic(*verb.split(), *more, env=outside)
                said.append((verb, r.out + r.err))
        r = self.fleet('plan', '--out', self.bed.home + '/plan.json')
        self.wait_agents(agents)
        watch.terminate()
        said.append(('watch', b''.join(watch.communicate(timeout=20)).decode()))
        if self.supervisor == 'systemd':
            said.append(('manager', self.bed.manager_log() or ''))
            said.append(('journal', self.bed.run(['journalctl', '--no-pager', '-q', '_UID=%d' % self.bed.uid]).out))
        for p in self.bed.processes():
            said.append(('process %d' % p.pid, ' '.join(p.argv)))
        for top in (self.bed.home, self.bed.run_dir):
            for d, _, files in os.walk(top):
                for f in files:
                    path = os.path.join(d, f)
                    if 'secrets' not in path and '/dump/' not in path and os.path.isfile(path):
                        said.append((path, self.bed.read(path) or ''))
        for what, text in said:
            for secret in secrets:
                self.assertNotIn(secret, text, what)
        self.assertGreater(len([w for w, text in said if text]), 50)

    def test_files_and_directories_are_private(self):
        self.bring_up({'a': self.agent('a', restart={'policy': 'on-failure'}), 'c': self.agent('c', 'composer')})
        watch = self.bed.popen([self.program, 'fleet', 'watch'])
        wait_for(lambda: os.path.exists(self.bed.run_dir + '/mosaic/default/controller.json'), 20, 'the controller')
        self.mosaic('agent', 'send', 'c', '--message', 'x', '--timeout', '1s')
        self.fleet('stop', 'a', code=0)
        plan = self.bed.home + '/plan.json'
        self.fleet('plan', '--out', plan)
        self.assertEqual(os.stat(plan).st_mode & 0o777, 0o600)
        for top in (self.bed.home + '/.local/state/mosaic', self.bed.run_dir + '/mosaic'):
            self.assertTrue(os.path.isdir(top), top)
            for d, dirs, files in os.walk(top):
                self.assertEqual(os.stat(d).st_mode & 0o777, 0o700, d)
                for f in files:
                    st = os.lstat(os.path.join(d, f))
                    self.assertEqual(st.st_mode & 0o077, 0, os.path.join(d, f))
        watch.terminate()
        watch.wait()

    def test_names_that_look_like_something(self):
        """To tmux a name is also a prefix and a pattern, a key or a target; to systemd an instance."""
        names = ['we', 'web', 'web2', 'default', 'mosaic-watch', 'mosaic-fleet', 'enter', 'c-c', 'sigterm', 'guest', 'a--']
        before = {n: p.key for n, p in self.bring_up(names).items()}
        self.fleet('stop', 'we', code=0)
        self.fleet('restart', 'web', code=0)
        self.assertEqual({n: k for n, k in self.pids().items() if n != 'web'},
                         {n: k for n, k in before.items() if n not in ('we', 'web')})
        self.roster([n for n in names if n not in ('web', 'we')])
        self.apply('--allow-remove', '1')
        self.assertEqual(self.pids(), {n: k for n, k in before.items() if n not in ('we', 'web')})

    def test_commands(self):
        """No shell ever makes something of a command, and what cannot run keeps nothing else from running."""
        write = self.bed.write
        write('work/plain', '#!/bin/sh\ntouch ~/PWN\n', 0o644)
        write('work/bare', 'touch ~/PWN\n', 0o755)
        write('work/loader', '#!/nowhere/sh\n', 0o755)
        write('work/here/prog', '#!/bin/sh\ntouch ~/PWN\n', 0o755)
        os.mkfifo(self.bed.home + '/work/fifo')
        os.chown(self.bed.home + '/work/fifo', self.bed.uid, self.bed.gid)
        commands = {
            'word': ['true;touch${IFS}~/PWN'], 'line': ['touch ~/PWN'], 'option': ['-c', 'touch ~/PWN'], 'unit': ['%n'],
            'plain': [self.bed.home + '/work/plain'], 'bare': [self.bed.home + '/work/bare'],
            'loader': [self.bed.home + '/work/loader'], 'folder': [self.bed.home + '/work'],
            'fifo': [self.bed.home + '/work/fifo'], 'named': ['prog'], 'format': ['#(touch ~/PWN)'],
            'long': [self.agents_dir + '/steady', 'x' * 200000],
        }
        runtimes = {**self.runtimes(), **{'r-' + n: {'command': c} for n, c in commands.items()}}
        agents = {n: {'runtime': 'r-' + n, 'workdir': '~/work/here'} for n in commands}
        agents['many'] = self.agent('many', 'dump', args=['x'] * 10000)
        agents['good'] = self.agent('good')
        self.roster(agents, runtimes=runtimes)
        self.fleet('apply', '--yes', code=INVALID)  # a line of 200,000 bytes, 10,000 words
        runtimes['r-long']['command'] = [self.agents_dir + '/nowhere', 'x' * 32768]
        agents['many']['args'] = ['x'] * 256
        self.roster(agents, runtimes=runtimes)
        self.fleet('apply', '--yes', code=(BLOCKED, NOT_CONVERGED))
        wait_for(lambda: set(self.running()) == {'many', 'good'}, 20, lambda: sorted(self.running()))
        self.assertEqual(len(self.dump('many')['argv']), 256)
        self.fleet('stop', code=0)
        self.assertEqual(self.planted(), [])

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

    def test_closed_streams(self):
        """What the program prints goes nowhere then, and into no file, lock or terminal that it opens."""
        self.bring_up(['a'])
        for closing in ('>&-', '>&- 2>&-', '<&- >&- 2>&-'):
            before = self.pids()
            r = self.bed.run(['sh', '-c', 'exec "$0" fleet restart ' + closing, self.program])
            self.assertEqual(r.code, 1, r)
            self.assertNotEqual(self.pids(), before)
            for top in (self.bed.home + '/.local/state', self.bed.run_dir + '/mosaic/default/run'):
                for d, _, files in os.walk(top):
                    for f in files:
                        self.assertNotIn('Observed', self.bed.read(os.path.join(d, f)) or '', f)
            self.assertNotIn('mosaic:', self.screen('a'))
            self.in_sync()


class HostileSystemd(Hostile, Fleet):
    pass


class HostileDirect(Hostile, Fleet):
    supervisor = 'direct'

    def test_rosters_that_are_refused(self):
        """Each is refused quickly and with a sentence, and what runs does not notice."""
        before = {n: p.key for n, p in self.bring_up(['a']).items()}
        good = self.bed.read('.config/mosaic/fleet/roster.yaml')
        head = 'version: 1\ndefaults: {runtime: shell}\nagents:\n'
        bomb = 'a: &a [x, x]\n' + ''.join('%s: &%s [*%s, *%s]\n' % (chr(98 + i), chr(98 + i), chr(97 + i), chr(97 + i))
                                         for i in range(20))
        names = ['x#(touch PWN)', '##(touch PWN)', 'a;', ';', '-t', '--', '=web', '$0', '@1', '%1', '{last}', '!', '~', '.',
                 '..', '../../x', 'a:b.c', 'a b', 'a/b', 'a%h', 'a\\x2db', 'a@b', 'a\\nb', 'a' * 256, '\u202egpj', 'é',
                 'e\u0301', 'Web', '_holder', '', 'a\\0b']
        keys = ['', 'A B', 'A=B', ' A', 'A\\n', '1A', 'TMUX', 'TMUX_PANE', 'XDG_RUNTIME_DIR', 'NOTIFY_SOCKET', 'MOSAIC_X',
                'LD_PRELOAD', 'LD_LIBRARY_PATH', 'BASH_ENV', 'A\\0']
        dirs = ['x', './x', '../x', '', '~x/y', '$HOME/x', 'a\\nb', '~/a\\nb', '/a\\tb', '~/x\\0']
        rosters = [bomb, 'a: &a [*a]\n', head + '  a: {<<: {}}\n', '[' * 65, '[' * 5000, 'a: |-\n' + '\n' * 65000,
                   ''.join('k%d: 1\n' % i for i in range(16000)), b'%\x83', b'%\xa6"', b'\xef\xbb\xbf', good.encode('utf-16'),
                   good + '---\n' + good, '%YAML 1.1\n---\n' + good, head + '  a: !!python/object:os.system {}\n',
                   head + '  a: !!binary ""\n', good + 'version: 1\n', head + '  a: {}\n  "\\u0061": {}\n',
                   'version: 0x2\nagents: {}\n', 'version: 1e400\nagents: {}\n', 'version: "1"\nagents: {}\n',
                   'version: 9223372036854775808\nagents: {}\n', 'version: .nan\nagents: {}\n', good + 'unknown: 1\n',
                   head + '  a: {after: [b]}\n  b: {after: [a]}\n', b'\0', good.encode() + b'# \0\n', '', 'x', b'\xff' * 100]
        rosters += [head + '  "%s": {}\n' % n for n in names]
        rosters += [head + '  a: {env: {"%s": x}}\n' % k for k in keys]
        rosters += [head + '  a: {workdir: "%s"}\n' % d for d in dirs]
        for text in rosters:
            self.bed.write('.config/mosaic/fleet/roster.yaml', text, 0o600)
            r = self.fleet('validate', timeout=10)
            self.assertEqual(r.code, INVALID, text[-60:])
            self.assertLess(r.wall, 5, text[:60])
            for bad in ('\x1b', '\u202e', '\x9b'):
                self.assertNotIn(bad, r.out + r.err)
        for text in rosters[::9]:
            self.bed.write('.config/mosaic/fleet/roster.yaml', text, 0o600)
            self.fleet('apply', '--yes', code=INVALID)
        path = self.bed.path_of('.config/mosaic/fleet/roster.yaml')
        for target in ('/proc/self/fd/0', '/dev/zero', '/dev/stdin', self.bed.home, '/etc/shadow'):
            os.unlink(path)
            os.symlink(target, path)
            os.lchown(path, self.bed.uid, self.bed.gid)
            self.fleet('apply', '--yes', code=(1, BLOCKED, INVALID), timeout=10)
        os.unlink(path)
        self.bed.write('.config/mosaic/fleet/roster.yaml', good, 0o600)
        self.assertEqual(self.pids(), before)
        self.in_sync()
        self.assertEqual(self.planted(), [])


if __name__ == '__main__':
    harness.main()
