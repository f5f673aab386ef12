#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completion in a real bash, zsh and fish, on terminals of their own: what the Tab key offers is what there is."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests/integration/fleet'))

import harness  # noqa: E402

PROGRAM = harness.PROGRAM
ROSTER = '''version: 1
runtimes: {steady: {command: [/bin/cat]}}
agents:
  web: {runtime: steady, workdir: /srv/web}
  worker-a: {runtime: steady, workdir: /srv/worker-a}
'''
# What is typed, what Tab must offer, and what it must not.
CASES = [
    ('mosaic ', ['fleet', 'completion', 'doctor', 'update', 'version'], ['plan', 'web']),
    ('mosaic fleet ', ['apply', 'plan', 'install-systemd', 'status'], ['doctor', 'web']),
    ('mosaic fleet plan ', ['web', 'worker-a'], ['apply', 'bash']),
    ('mosaic fleet plan --', ['--out', '--allow-remove', '--json', '--force-busy'], ['--purge', '--agents']),
    ('mosaic fleet plan --color ', ['auto', 'always', 'never'], ['web']),
    ('mosaic fleet plan --force-busy w', ['web', 'worker-a'], ['auto']),
    ('mosaic fleet init --profile ', ['minimal', 'local-canary', 'demo'], ['web']),
    ('mosaic fleet init --supervisor ', ['systemd', 'direct'], ['web']),
    ('mosaic fleet validate --format ', ['text', 'json', 'github'], ['web']),
    ('mosaic fleet validate ', ['a-file', 'another-file'], ['web']),
    ('mosaic fleet plan --out ', ['a-file', 'another-file'], ['web']),
    ('mosaic --color never fleet ', ['apply', 'status'], ['doctor']),
    ('mosaic completion ', ['bash', 'zsh', 'fish'], ['web']),
    ('mosaic agent ', ['attach', 'tail', 'status'], ['plan', 'web']),
    ('mosaic agent tail ', ['web', 'worker-a'], ['attach']),
    ('mosaic agent tail web --', ['--lines', '--follow'], ['--out']),
    ('mosaic fleet status ', [], ['web', 'plan']),
]


class Shells(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix='mosaic-completion-')
        self.addCleanup(shutil.rmtree, self.top)
        os.makedirs(self.top + '/bin')
        os.symlink(PROGRAM, self.top + '/bin/mosaic')
        os.makedirs(self.top + '/home/.config/mosaic/fleet')
        roster = self.top + '/home/.config/mosaic/fleet/roster.yaml'
        with open(roster, 'w') as f:
            f.write(ROSTER)
        os.chmod(roster, 0o600)
        os.makedirs(self.top + '/here')
        for name in ('a-file', 'another-file'):
            open(self.top + '/here/' + name, 'w').close()
        # A tmux in the path that tells on whoever calls it.
        self.tripped = self.top + '/tripped'
        with open(self.top + '/bin/tmux', 'w') as f:
            f.write('#!/bin/sh\necho "$*" >>%s\n' % self.tripped)
        os.chmod(self.top + '/bin/tmux', 0o755)
        self.env = {'HOME': self.top + '/home', 'MOSAIC_HOME': self.top + '/home/.config/mosaic',
                    'PATH': self.top + '/bin:/usr/bin:/bin', 'TERM': 'xterm', 'LANG': 'C.UTF-8',
                    'XDG_STATE_HOME': self.top + '/state'}
        self.cwd = self.top + '/here'
        self.addCleanup(lambda: self.assertFalse(os.path.exists(self.tripped), 'tmux was called'))

    def need(self, shell):
        if not shutil.which(shell):
            harness.skip(shell, 'is not installed')

    def script(self, shell, name):
        path = self.top + '/' + name
        with open(path, 'w') as f:
            subprocess.run([PROGRAM, 'completion', shell], env=self.env, stdout=f, check=True)
        return path

    def run_shell(self, *argv):
        r = subprocess.run(argv, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60)
        self.assertEqual((r.returncode, r.stderr), (0, ''), r)
        return r.stdout

    def check(self, line, offered, wanted, unwanted):
        for word in wanted:
            self.assertIn(word, offered, '%r<Tab> offers %s' % (line, offered))
        for word in unwanted:
            self.assertNotIn(word, offered, '%r<Tab> offers %s' % (line, offered))

    def on_a_terminal(self, argv, line, expected, keys=b'\t'):
        """Types the line and Tab on a terminal; waits until the expected text is on it."""
        ours, theirs = os.openpty()
        p = subprocess.Popen(argv, env=self.env, cwd=self.cwd, stdin=theirs, stdout=theirs, stderr=theirs,
                             start_new_session=True)
        os.close(theirs)
        seen = ''

        def wait(pattern):
            nonlocal seen
            deadline = time.monotonic() + 20
            while not re.search(pattern, seen):
                left = deadline - time.monotonic()
                self.assertGreater(left, 0, 'waited for %r, there is %r' % (pattern, seen))
                if select.select([ours], [], [], left)[0]:
                    seen += re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|[\x07\x0f]', '',
                                   os.read(ours, 65536).decode('utf-8', 'replace'))
        try:
            wait('READY> ')
            seen = ''
            os.write(ours, line.encode() + keys)
            wait(expected)
        finally:
            p.kill()
            p.wait()
            os.close(ours)


class Bash(Shells):
    def offered(self, line):
        """By the function that the script registered, given the words as bash cuts them."""
        words = [w for w in re.split(r'(=)|\s+', line) if w] + ([''] if line[-1] in ' ' else [])
        text = self.run_shell('bash', '--norc', '--noprofile', '-c', '''
            source "$1"; shift
            complete -p mosaic >/dev/null || exit 1
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
            _mosaic mosaic "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\\n' "${COMPREPLY[@]}"''', 'bash', self.completion, *words)
        return text.split()

    def test_every_case(self):
        self.completion = self.script('bash', 'mosaic.bash')
        for line, wanted, unwanted in CASES + [('mosaic fleet plan --color=al', ['always'], ['auto', 'web']),
                                               ('mosaic agent tail -n ', [], ['web'])]:
            self.check(line, self.offered(line), wanted, unwanted)

    def test_on_a_terminal(self):
        rc = self.top + '/rc'
        with open(rc, 'w') as f:
            f.write("source %s\nPS1='READY> '\nbind 'set enable-bracketed-paste off'\n" % self.script('bash', 's'))
        argv = ['bash', '--noprofile', '--rcfile', rc, '-i']
        self.on_a_terminal(argv, 'mosaic fleet verif', 'mosaic fleet verify ')
        self.on_a_terminal(argv, 'mosaic fleet explain wo', 'explain worker-a ')
        self.on_a_terminal(argv, 'mosaic fleet plan --color=alw', '--color=always ')


class Zsh(Shells):
    def argv(self):
        self.need('zsh')
        os.makedirs(self.top + '/functions', exist_ok=True)
        self.script('zsh', 'functions/_mosaic')
        with open(self.env['HOME'] + '/.zshrc', 'w') as f:
            f.write("fpath=(%s/functions $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPROMPT='READY> '\n"
                    "RPROMPT=\nunsetopt beep\nsetopt no_prompt_sp no_auto_menu list_packed\nLISTMAX=0\n" % self.top)
        self.env['ZDOTDIR'] = self.env['HOME']
        return ['zsh', '-o', 'no_global_rcs', '-i']

    def test_every_case(self):
        argv = self.argv()
        for line, wanted, _ in CASES:
            if wanted:
                # The second Tab lists where the first could add a letter; the order is zsh's own.
                self.on_a_terminal(argv, line,
                                   '(?s)' + ''.join('(?=.*%s)' % re.escape(w) for w in wanted), b'\t\t')

    def test_on_a_terminal(self):
        argv = self.argv()
        self.on_a_terminal(argv, 'mosaic fleet verif', 'mosaic fleet verify ')
        self.on_a_terminal(argv, 'mosaic fleet explain wo', 'explain worker-a ')
        self.on_a_terminal(argv, 'mosaic fleet plan --color=alw', '--color=always ')
        self.on_a_terminal(argv, 'mosaic --color never fleet verif', 'never fleet verify ')

    def test_sourced(self):
        """`source <(mosaic completion zsh)` works as well."""
        argv = self.argv()
        with open(self.env['HOME'] + '/.zshrc', 'w') as f:
            f.write("autoload -Uz compinit\ncompinit -u -D\nsource %s/functions/_mosaic\nPROMPT='READY> '\n" % self.top)
        self.on_a_terminal(argv, 'mosaic fleet verif', 'mosaic fleet verify ')


class Fish(Shells):
    def test_every_case(self):
        self.need('fish')
        path = self.script('fish', 'mosaic.fish')
        for line, wanted, unwanted in CASES:
            text = self.run_shell('fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', path, line)
            self.check(line, [entry.split('\t')[0] for entry in text.splitlines()], wanted, unwanted)

    def test_verbs_have_descriptions(self):
        self.need('fish')
        path = self.script('fish', 'mosaic.fish')
        text = self.run_shell('fish', '--no-config', '-c', 'source $argv[1]; complete -C "mosaic fleet "', path)
        for line in text.splitlines():
            self.assertRegex(line, r'^[a-z-]+\t[A-Z].+')


class Truth(Shells):
    def options(self):
        """(words of a verb, option, takes a value) for all that is offered."""
        script = self.run_shell(PROGRAM, 'completion', 'fish')
        found = re.findall(r"^complete -c mosaic -n '__mosaic_at ([a-z -]+)'(?: -s \w)? -l ([a-z-]+)(.*?)(?: -d .*)?$",
                           script, flags=re.M)
        self.assertGreater(len(found), 40)
        return [(verb.split(), option, ' -x' in rest or ' -r' in rest) for verb, option, rest in found]

    def test_every_offered_option_is_taken_by_its_verb(self):
        """The parser meets an option that nobody has second, and must not complain of the first."""
        for verb, option, has_value in self.options():
            if option == 'help':
                continue
            argv = [PROGRAM, *verb, '--' + option] + ['auto' if option == 'color' else '1'] * has_value
            r = subprocess.run(argv + ['--no-such-option'], env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=60)
            self.assertEqual(r.returncode, 64, r)
            self.assertNotIn("unknown option '--%s'" % option, r.stderr)
            self.assertRegex(r.stderr, r"unknown option '--no-such-option'|invalid|cannot be", r)

    def test_agents_come_from_the_roster_alone(self):
        self.assertEqual(self.run_shell(PROGRAM, 'completion', '--agents').split(), ['web', 'worker-a'])
        with open(self.env['MOSAIC_HOME'] + '/fleet/roster.yaml', 'a') as f:
            f.write('nonsense: [\n')
        r = subprocess.run([PROGRAM, 'completion', '--agents'], env=self.env, capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (65, '', ''))

    def test_without_a_home(self):
        for verb in (['completion', 'bash'], ['version'], ['version', '--json']):
            r = subprocess.run([PROGRAM, *verb], env={'PATH': '/usr/bin:/bin', 'HOME': 'no-path'},
                               capture_output=True, text=True)
            self.assertEqual((r.returncode, r.stderr), (0, ''), r)
        for libraries in (json.loads(r.stdout)['libraries'],):
            self.assertTrue(all(re.match(r'\d', v) for v in libraries.values()), libraries)


if __name__ == '__main__':
    harness.main()
