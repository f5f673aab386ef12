#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Long text on a terminal: a pager shows what does not fit, and only that; whose pager, with which settings; the
exit code is the verb's whatever the reader does. A real terminal, and the real less."""

import os
import re
import select
import signal

import harness
from harness import IN_SYNC, INVALID, PENDING, USAGE, Fleet, wait_for

MANY = ['agent-%02d' % i for i in range(40)]
ROWS = 24
XTERM = {'TERM': 'xterm', 'PAGER': None}


class Terminal:
    """The program on a terminal: what came, what to type."""

    def __init__(self, test, words, env=None, rows=ROWS, cols=80):
        self.text = ''
        self.p, self.fd = test.bed.pty([test.program, *words], env={**XTERM, **(env or {})}, rows=rows, cols=cols)
        test.addCleanup(os.close, self.fd)

    def read(self):
        while select.select([self.fd], [], [], 0.02)[0]:
            try:
                got = os.read(self.fd, 65536)
            except OSError:
                return
            if not got:
                return
            self.text += got.decode('utf-8', 'replace')

    def until(self, pattern, timeout=20):
        def seen():
            self.read()
            return re.search(pattern, self.text)
        wait_for(seen, timeout, lambda: '%r on the terminal: %r' % (pattern, self.text))

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self, timeout=20):
        """The exit code."""
        def ended():
            self.read()
            return self.p.poll() is not None
        wait_for(ended, timeout, lambda: 'the end: %r' % self.text)
        self.read()
        return self.p.returncode


class Pages(Fleet):
    supervisor = 'direct'
    default_server = None

    def setUp(self):
        super().setUp()
        self.roster(MANY)
        # Notes how it was called and what it was given.
        self.noting = self.bed.write('bin/noting', '''#!/bin/sh
printf '%s\\n' "$*" >"$HOME/args"
printf '%s' "${LESS-unset}" >"$HOME/less"
cat >"$HOME/given"
exit 9
''', 0o755)

    def noted(self):
        """What the noting pager was given, None if it was not called; forgets it."""
        text = self.bed.read('given')
        if text is not None:
            os.unlink(self.bed.path_of('given'))
        return text

    def on_terminal(self, *words, code, **more):
        t = Terminal(self, words, **more)
        self.assertEqual(t.end(), code, t.text)
        return t

    def test_what_does_not_fit(self):
        env = {'PAGER': self.noting}
        for words, code in ((('fleet', 'plan'), PENDING), (('fleet', 'status'), PENDING), (('fleet', 'config'), IN_SYNC),
                            (('agent', 'roster'), IN_SYNC), (('agent', 'status'), IN_SYNC), (('doctor',), None),
                            (('fleet', 'verify'), PENDING), (('--help',), IN_SYNC), (('fleet',), IN_SYNC),
                            (('fleet', 'apply', '--help'), IN_SYNC), (('fleet', 'init'), IN_SYNC),
                            (('fleet', 'explain', 'agent-01'), PENDING)):
            with self.subTest(words=words):
                piped = self.mosaic(*words, code=code)
                code = piped.code
                t = self.on_terminal(*words, code=code, env=env, rows=8)
                given = self.noted()
                self.assertIsNotNone(given, t.text)
                self.assertEqual(t.text, '')
                if words[-1] == '--help':  # elsewhere lines are broken to fit
                    self.assertEqual(len(given.splitlines()), len(piped.out.splitlines()))
                self.on_terminal(*words, code=code, env=env, rows=2000)
                self.assertIsNone(self.noted(), 'it fits')
                self.on_terminal(*words, '--no-pager', code=USAGE if words == ('fleet',) else code, env=env, rows=8)
                self.assertIsNone(self.noted(), '--no-pager')
        self.on_terminal('--no-pager', 'fleet', 'plan', code=PENDING, env=env, rows=8)
        self.assertIsNone(self.noted(), '--no-pager before the verb')
        self.on_terminal('fleet', 'plan', '--json', code=PENDING, env=env, rows=8)
        self.assertIsNone(self.noted(), 'JSON')

    def test_exactly_what_fits(self):
        lines = len(self.mosaic('fleet', 'plan', '--help').out.splitlines())
        self.on_terminal('fleet', 'plan', '--help', code=0, env={'PAGER': self.noting}, rows=lines + 1)
        self.assertIsNone(self.noted())
        self.on_terminal('fleet', 'plan', '--help', code=0, env={'PAGER': self.noting}, rows=lines)
        self.assertIsNotNone(self.noted())
        # Where lines wrap there are more of them.
        self.on_terminal('fleet', 'plan', '--help', code=0, env={'PAGER': self.noting}, rows=lines + 1, cols=40)
        self.assertIsNotNone(self.noted())
        # What the environment says of the size counts more.
        self.on_terminal('fleet', 'plan', '--help', code=0, env={'PAGER': self.noting, 'LINES': '500'}, rows=lines)
        self.assertIsNone(self.noted())

    def test_which_pager(self):
        other = self.bed.write('bin/other', '#!/bin/sh\ncat >"$HOME/other"\n', 0o755)
        self.on_terminal('fleet', 'plan', code=PENDING, env={'MOSAIC_PAGER': self.noting, 'PAGER': other})
        self.assertIsNotNone(self.noted())
        self.assertIsNone(self.bed.read('other'))
        # Words, no shell.
        self.on_terminal('fleet', 'plan', code=PENDING, env={'PAGER': self.noting + '  -x  $HOME;id  "a b"'})
        self.assertEqual(self.bed.read('args'), '-x $HOME;id "a b"\n')
        self.assertEqual(self.bed.read('less'), 'FRSXMK')
        self.on_terminal('fleet', 'plan', code=PENDING, env={'PAGER': self.noting, 'LESS': '-i'})
        self.assertEqual(self.bed.read('less'), '-i')
        self.noted()
        for env in ({'PAGER': ''}, {'PAGER': 'cat'}, {'MOSAIC_PAGER': '', 'PAGER': self.noting},
                    {'PAGER': self.noting, 'TERM': 'dumb'}):
            t = self.on_terminal('fleet', 'plan', code=PENDING, env=env)
            self.assertIn('agent-39', t.text)
            self.assertIn('(exit 2)', t.text)
            self.assertIsNone(self.noted(), env)

    def test_colour_is_the_terminals(self):
        self.on_terminal('fleet', 'plan', code=PENDING, env={'PAGER': self.noting})
        self.assertIn('\x1b[', self.noted())
        for env, more in (({'NO_COLOR': '1'}, ()), ({}, ('--color=never',))):
            self.on_terminal('fleet', 'plan', *more, code=PENDING, env={'PAGER': self.noting, **env})
            self.assertNotIn('\x1b[', self.noted())
        # less shows colours also where LESS was set without them.
        less = self.bed.write('bin/less', '#!/bin/sh\nexec %s "$@"\n' % self.noting, 0o755)
        self.on_terminal('fleet', 'plan', code=PENDING, env={'PAGER': less + ' -N', 'LESS': '-i'})
        self.assertEqual(self.bed.read('args'), '-N -R\n')

    def test_less(self):
        """The real one, and readers who leave early in all ways."""
        for keys in ('q', '\x03'):
            t = Terminal(self, ['fleet', 'plan'])
            t.until('lines 1-')
            self.assertIn('\x1b[1mRoster\x1b[0m', t.text)
            self.assertNotIn('agent-39', t.text)
            t.type('G')
            t.until('agent-39')
            t.type(keys)
            self.assertEqual(t.end(), PENDING, t.text)
        # Much more than a pipe holds, and nobody reads it.
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'version: 1\nagents:\n' + ''.join(
            '  a%d: {runtime: pi, workdri: ~/%s}\n' % (i, 'x' * 60) for i in range(900)), 0o600)
        self.on_terminal('fleet', 'validate', code=INVALID, env={'PAGER': 'true'})
        t = Terminal(self, ['fleet', 'validate'])
        t.until('workdri')
        t.type('q')
        self.assertEqual(t.end(), INVALID)
        self.assertNotIn('cannot write', t.text)

    def test_no_such_pager(self):
        """less takes its place; without less and more the text is printed."""
        t = Terminal(self, ['fleet', 'plan'], env={'PAGER': 'no-such-pager'})
        t.until('lines 1-')
        t.type('q')
        self.assertEqual(t.end(), PENDING)
        path = self.bed.mkdir('empty')
        t = self.on_terminal('--help', code=0, env={'PATH': path})
        self.assertIn('65 roster invalid', t.text)

    def test_findings_go_with_the_text(self):
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'version: 1\nagents:\n' + ''.join(
            '  a%d: {runtime: pi, workdri: 1}\n' % i for i in range(9)), 0o600)
        t = self.on_terminal('fleet', 'validate', code=INVALID, env={'PAGER': self.noting})
        self.assertEqual(t.text, '')
        self.assertIn('did you mean', self.noted())
        # What is wrong with the command line is short, and at once.
        t = self.on_terminal('fleet', 'plan', '--nonsense', code=USAGE, env={'PAGER': self.noting}, rows=2)
        self.assertIn('unknown option', t.text)
        self.assertIsNone(self.noted())

    def test_who_is_never_paged(self):
        """What asks, follows or makes progress keeps the terminal."""
        self.roster(['agent-01'])
        t = Terminal(self, ['fleet', 'apply'], env={'PAGER': self.noting}, rows=4)
        t.until(r'Do this\?')
        t.type('y\n')
        self.assertEqual(t.end(), IN_SYNC, t.text)
        self.wait_agents(['agent-01'])
        for words in (['agent', 'status', '--watch'], ['agent', 'tail', '-f', 'agent-01'], ['fleet', 'watch']):
            t = Terminal(self, words, env={'PAGER': self.noting}, rows=2)
            t.until(r'agent-01|controller|watching')
            t.p.send_signal(signal.SIGTERM)
            t.end()
        for words in (['fleet', 'restart', 'agent-01'], ['fleet', 'stop']):
            self.on_terminal(*words, code=IN_SYNC, env={'PAGER': self.noting}, rows=2)
        self.assertIsNone(self.noted())


if __name__ == '__main__':
    harness.main()
