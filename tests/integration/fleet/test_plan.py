#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is shown is what is done: asking on a terminal, saved plans, and one exit code in text, JSON and status."""

import json
import os
import re
import select
import time

import harness
from harness import BLOCKED, PENDING, STALE, UNKNOWN, USAGE, Fleet, Failed


class Plan:
    def converse(self, argv, answers, timeout=30):
        """Runs a command on a terminal; types each answer after its question. Returns (code, text)."""
        p, fd = self.bed.pty(argv)
        text, deadline = '', time.monotonic() + timeout
        answers = list(answers)
        while True:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    got = os.read(fd, 65536)
                except OSError:
                    got = b''
                if not got:
                    break
                text += got.decode('utf-8', 'replace')
                if answers and re.search(answers[0][0], text):
                    os.write(fd, answers.pop(0)[1].encode())
            elif p.poll() is not None:
                break
            if time.monotonic() > deadline:
                p.kill()
                raise Failed('no end of %s; terminal: %r' % (argv, text))
        os.close(fd)
        return p.wait(), text

    def test_asks_on_a_terminal(self):
        self.roster(['a', 'b'])
        apply = [self.program, 'fleet', 'apply']
        for answer in ('n\r', '\r', 'maybe\r', '\x04'):
            code, text = self.converse(apply, [(r'\[y/N\]', answer)])
            self.assertEqual(code, PENDING, text)
            self.assertIn('agent/a', text)
            self.assertEqual(self.running(), {})
        code, text = self.converse(apply, [(r'\[y/N\]', 'y\r')])
        self.assertEqual(code, 0, text)
        self.assert_healthy(['a', 'b'])
        # Nothing to do, nothing to ask.
        code, text = self.converse(apply, [])
        self.assertEqual(code, 0, text)
        self.assertNotIn('[y/N]', text)

    def test_what_came_up_while_asking_is_not_done(self):
        self.bring_up(['a', 'b', 'c'])
        before = self.pids()
        self.roster(['a', 'b', 'c', 'd'])
        p, fd = self.bed.pty([self.program, 'fleet', 'apply'])
        text = ''
        while '[y/N]' not in text:
            if select.select([fd], [], [], 10)[0]:
                text += os.read(fd, 65536).decode()
        self.roster(['a', 'b'])
        os.write(fd, b'y\r')
        deadline = time.monotonic() + 20
        while p.poll() is None and time.monotonic() < deadline:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    text += os.read(fd, 65536).decode()
                except OSError:
                    break
        self.assertEqual(p.wait(5), STALE, text)
        os.close(fd)
        self.assertEqual(self.pids(), before)

    def test_interrupted_while_asking(self):
        self.roster(['a'])
        code, text = self.converse([self.program, 'fleet', 'apply'], [(r'\[y/N\]', '\x03')])
        self.assertNotEqual(code, 0)
        self.assertEqual(self.running(), {})

    def test_saved_plan(self):
        path = self.bed.home + '/plan.json'
        self.roster(['a', 'b'])
        self.fleet('plan', '--out', path, code=PENDING)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        json.loads(self.bed.read(path))
        self.fleet('apply', '--plan', path, '--yes', code=0)
        agents = {n: p.key for n, p in self.assert_healthy(['a', 'b']).items()}
        # A second time it is done already.
        self.fleet('apply', '--plan', path, '--yes', code=(0, STALE))
        self.assertEqual(self.pids(), agents)

    def test_stale_plans(self):
        path = self.bed.home + '/plan.json'
        self.bring_up(['a', 'b'])
        self.roster(['a', 'b', 'c'])
        self.fleet('plan', '--out', path, code=PENDING)
        saved = self.bed.read(path)
        before = self.pids()
        # Another roster.
        self.roster(['a', 'b', 'd'])
        self.fleet('apply', '--plan', path, '--yes', code=STALE)
        # A plan that was written to.
        self.roster(['a', 'b', 'c'])
        for broken in (saved[:len(saved) // 2], '', '{}', '[]', saved.replace('"c"', '"d"')):
            self.bed.write(path, broken, 0o600)
            self.fleet('apply', '--plan', path, '--yes', code=(STALE, 1))
        self.fleet('apply', '--plan', self.bed.home + '/no-such', '--yes', code=(1, STALE, USAGE))
        self.assertEqual(self.pids(), before)
        # More to do than was shown.
        self.bed.write(path, saved, 0o600)
        self.fleet('stop', 'a', code=0)
        self.fleet('apply', '--plan', path, '--yes', code=(0, STALE))
        self.assertFalse('a' in self.running(), 'a saved plan started what was stopped since')

    def test_one_code_everywhere(self):
        def agree(*args, **more):
            text = self.fleet(*args, **more)
            said = re.search(r'\(exit (\d+)\)\s*$', text.out.rstrip() + '\n')
            if said:
                self.assertEqual(int(said.group(1)), text.code, text)
            doc = self.fleet(*args, '--json', **more)
            self.assertEqual(doc.code, text.code, doc)
            found = json.loads(doc.out)
            self.assertEqual(found['summary']['exit'], doc.code, doc)
            self.assertRegex(str(found['version']), r'^\d+\.\d+$')
            self.assertTrue(found['format'].startswith('mosaic.'))
            return text.code
        self.roster(['a', 'b'])
        self.assertEqual(agree('plan'), PENDING)
        self.assertEqual(agree('verify'), PENDING)
        self.apply('--json')
        self.assertEqual(agree('plan'), 0)
        self.assertEqual(agree('verify'), 0)
        self.assertEqual(agree('apply'), 0)
        self.assertEqual(agree('validate'), 0)
        self.assertEqual(agree('status'), 0)
        self.assertEqual(agree('restart', 'a'), 0)
        self.assertEqual(agree('stop', 'a'), 0)
        self.assertEqual(agree('start', 'a'), 0)
        self.roster(['a', 'b', 'x'])
        self.tmux('new-session', '-d', '-s', 'x', 'sleep', '1000', check=True)
        self.assertEqual(agree('plan'), BLOCKED)
        self.assertEqual(agree('apply'), BLOCKED)
        fake = self.bed.write('fake/tmux', '#!/bin/sh\nexit 3\n', 0o755)
        env = {'PATH': os.path.dirname(fake) + ':' + self.bed.env()['PATH']}
        self.assertEqual(agree('plan', env=env), UNKNOWN)
        self.assertEqual(agree('apply', env=env), UNKNOWN)

    def test_usage_errors(self):
        for args in (['no-such-verb'], ['plan', '--no-such'], ['apply', '--allow-remove', 'x'], ['stop', '../x'],
                     ['apply', '--plan'], ['init', 'word']):
            r = self.fleet(*args, code=USAGE)
            self.assertTrue(r.err.strip(), r)
            self.assertEqual(r.out, '', r)
        for args in (['plan', '--help'], ['--help']):
            r = self.fleet(*args, code=0)
            self.assertTrue(r.out.strip())

    def test_output_that_nobody_reads(self):
        names = ['a%d' % i for i in range(20)]
        self.roster(names)
        r = self.bed.run(['bash', '-c', '"$0" fleet apply --yes | head -n 1; exit ${PIPESTATUS[0]}', self.program])
        self.assertIn(r.code, (0, 1, 4, 141), r)
        self.apply()
        self.assert_healthy(names)
        r = self.bed.run(['bash', '-c', '"$0" fleet plan --json >/dev/full', self.program])
        self.assertNotEqual(r.code, 0, 'a full disk was taken for success')


class PlanSystemd(Plan, Fleet):
    pass


class PlanDirect(Plan, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
