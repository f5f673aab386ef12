#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is printed, in many states: every JSON document is as its shipped schema says and holds nothing that the
schema does not name; exit code, last line and summary.exit agree; no colour where nobody sees it; 80 columns."""

import copy
import fcntl
import json
import os
import re
import select
import shlex
import subprocess
import time

import harness
from harness import (BLOCKED, INVALID, IN_SYNC, LOCKED, NOT_CONVERGED, PENDING, STALE, UNKNOWN, USAGE, Failed, Fleet)
from watching import Controller

SCHEMAS = os.path.join(harness.ROOT, 'schema')
CHECKER = os.environ.get('MOSAIC_CHECK_JSON') or os.path.join(
    os.path.dirname(harness.PROGRAM), 'tests/integration/check-json')
ESCAPE = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')
FINDING = re.compile(r'/\S*:\d+:\d+: |\s+= help: ')
SUMMARY = re.compile(r'\(exit (\d+)\)$')
READERS = ('plan', 'verify', 'status', 'validate', 'doctor')
# Verbs whose text is no report on a fleet.
NO_LAST_LINE = ('config', 'init', 'version')
# Verbs of no group.
TOP = ('doctor', 'update', 'version')


def schema_files():
    return sorted(f for f in os.listdir(SCHEMAS) if f.endswith('.schema.json') and f != 'roster.schema.json')


class Schemas:
    """The schemas of the outputs, by the word in `format`."""

    def __init__(self):
        self.by_format, self.documents = {}, {}
        for name in schema_files():
            with open(os.path.join(SCHEMAS, name), encoding='utf-8') as f:
                schema = json.load(f)
            self.documents[name] = schema
            word = schema['properties']['format']
            for w in word.get('enum') or ([word['const']] if 'const' in word else []):
                assert w not in self.by_format, w
                self.by_format[w] = name

    def name_of(self, document):
        """The schema of a document: a refusal has the format of its verb, and a message."""
        name = self.by_format.get(document.get('format'))
        return 'refusal.schema.json' if name and 'message' in document else name

    def errors(self, text):
        """What is wrong with a document, as lines."""
        try:
            document = json.loads(text)
        except ValueError as e:
            return ['no JSON: %s: %r' % (e, text[:200])]
        name = self.name_of(document)
        if not name:
            return ['no schema for format %r' % document.get('format')]
        return self.check(name, text) + self.unnamed(self.documents[name], self.documents[name], document, '')

    @staticmethod
    def check(name, text):
        r = subprocess.run([CHECKER, os.path.join(SCHEMAS, name)], input=text, capture_output=True, text=True)
        found = ['%s: %s' % (name, l) for l in (r.stdout + r.stderr).splitlines()]
        if r.returncode and not found:
            found.append('%s: exit %d' % (name, r.returncode))
        return found

    def unnamed(self, whole, schema, value, path):
        """Members that the schema does not name. Readers ignore them; we must not print them."""
        for part in schema.get('allOf', []):
            schema = {**schema, **part}
        while '$ref' in schema:
            at = whole
            for word in schema['$ref'].lstrip('#/').split('/'):
                at = at[word]
            schema = at
        found = []
        if isinstance(value, dict) and 'properties' in schema:
            if whole['title'].startswith('mosaic saved plan') and path == '/plan':
                return self.errors(json.dumps(value))
            if whole['title'].startswith('mosaic config') and path == '/roster':
                return self.check('roster.schema.json', json.dumps(value))
            for k, v in value.items():
                if k not in schema['properties']:
                    found.append('%s/%s is not in the schema' % (path, k))
                else:
                    found += self.unnamed(whole, schema['properties'][k], v, path + '/' + k)
        elif isinstance(value, list) and 'items' in schema:
            for i, v in enumerate(value):
                found += self.unnamed(whole, schema['items'], v, '%s/%d' % (path, i))
        return found


class Output(Fleet):
    """Runs verbs and collects what is wrong with what they print."""
    supervisor = 'direct'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.schemas = Schemas()

    def setUp(self):
        super().setUp()
        self.wrong = []

    def note(self, where, what):
        self.wrong.append('%s: %s' % (where, what))

    def verdict(self):
        lines = []
        for line in self.wrong:
            if line not in lines:
                lines.append(line)
        self.assertEqual(lines, [], '\n' + '\n'.join(lines))

    # --- one run ---

    def look_at_text(self, state, args, r):
        where = '%s: %s' % (state, ' '.join(args))
        if '\x1b' in r.out + r.err:
            self.note(where, 'colour without a terminal')
        for line in (r.out + r.err).splitlines():
            if line != line.rstrip() and args[0] != 'init':
                self.note(where, 'blanks at the end of %r' % line)
        said = [l for l in (r.out or r.err).splitlines() if l.strip()]
        last = said[-1] if said else ''
        number = SUMMARY.search(last)
        if number and int(number.group(1)) != r.code:
            self.note(where, 'last line says %s, exit code is %d' % (number.group(1), r.code))
        if not number and args[0] not in NO_LAST_LINE and r.code not in (1, USAGE):
            self.note(where, 'exit %d; the last line does not say so: %r' % (r.code, last))
        if r.code in (1, USAGE) and not r.err.startswith('mosaic: '):
            self.note(where, 'exit %d without a sentence: %r' % (r.code, r.err))

    def look_at_json(self, state, args, r):
        where = '%s: %s' % (state, ' '.join(args))
        if not r.out:
            if r.code != USAGE:
                self.note(where, 'exit %d and no document; stderr %r' % (r.code, r.err[:200]))
            return None
        for line in self.schemas.errors(r.out):
            self.note(where, line)
        try:
            document = json.loads(r.out)
        except ValueError:
            return None
        want = 'mosaic.' + ('' if args[0] in TOP else 'fleet.') + args[0]
        if document.get('format') != want and not (
                r.code == INVALID and document.get('format') == 'mosaic.fleet.validate'):
            self.note(where, 'format is %s' % document.get('format'))
        if document.get('summary', {}).get('exit') != r.code:
            self.note(where, 'summary.exit is %s, exit code %d' % (document.get('summary', {}).get('exit'), r.code))
        if '\x1b' in r.out:
            self.note(where, 'a control character')
        return document

    def call(self, args, **more):
        return self.mosaic(*args, **more) if args[0] in TOP else self.fleet(*args, **more)

    def json_of(self, state, *args, code=None, **more):
        args = list(args) + ['--json']
        r = self.call(args, **more)
        if code is not None and r.code != code:
            self.note('%s: %s' % (state, ' '.join(args)), 'exit %d, expected %d: %s' % (r.code, code, r.err[-200:]))
        return self.look_at_json(state, args, r)

    def text_of(self, state, *args, code=None, **more):
        r = self.call(list(args), **more)
        if code is not None and r.code != code:
            self.note('%s: %s' % (state, ' '.join(args)), 'exit %d, expected %d: %s' % (r.code, code, r.err[-200:]))
        self.look_at_text(state, args, r)
        return r

    def both(self, state, *args, code=None, **more):
        """A verb that changes nothing here: text and document, and they agree."""
        text = self.text_of(state, *args, code=code, **more)
        document = self.json_of(state, *args, code=code, **more)
        if document and document.get('summary', {}).get('exit') != text.code:
            self.note('%s: %s' % (state, ' '.join(args)), 'text says %d, JSON %s' % (
                text.code, document.get('summary', {}).get('exit')))
        return document

    def readers(self, state, code, agent=None, **more):
        """All that only look. @code: of plan, status and explain; verify may be 3 by a check."""
        found = {}
        for verb in READERS:
            want = None if verb in ('verify', 'doctor') else code
            if verb == 'validate':
                want = INVALID if code == INVALID else 0
            found[verb] = self.both(state, verb, code=want, **more)
        if agent:
            found['explain'] = self.both(state, 'explain', agent, **more)
        self.columns(state, *[(v,) for v in READERS], *([('explain', agent)] if agent else []), **more)
        return found

    # --- on a terminal ---

    def on_terminal(self, args, cols=80, env=None, stderr=None, shell=''):
        """Text as a terminal gets it."""
        argv = [self.program] + (['fleet'] if args[0] not in TOP else []) + list(args)
        if shell:
            argv = ['sh', '-c', ' '.join(map(shlex.quote, argv)) + ' ' + shell]
        p, fd = self.bed.pty(argv, env=env, cols=cols)
        text, deadline = b'', time.monotonic() + 30
        while True:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    got = os.read(fd, 65536)
                except OSError:
                    got = b''
                if not got:
                    break
                text += got
            elif p.poll() is not None:
                break
            if time.monotonic() > deadline:
                p.kill()
                raise Failed('no end of %s' % (argv,))
        os.close(fd)
        p.wait()
        return text.decode('utf-8', 'replace').replace('\r\n', '\n')

    def columns(self, state, *calls, **more):
        """No line is wider than 80 columns but for a path or a person's own words."""
        for args in calls:
            for line in self.on_terminal(args, env=more.get('env')).splitlines():
                line = ESCAPE.sub('', line)
                # What `init` shows is a file; a finding is one line, as compilers have it and editors read it.
                if len(line) <= 80 or line.startswith(('+', '-')) or FINDING.match(line):
                    continue
                short = re.sub(r"'[^']*'|~?/\S*/\S*", '', line)
                if len(short) > 80:
                    self.note('%s: %s' % (state, ' '.join(args)), '%d columns: %s' % (len(line), line))

    def roster_of(self, *names, **more):
        self.roster(self.agents_of(names, **more))


class Life:
    def test_life(self):
        """From nothing to everything and back, every verb in every state."""
        self.roster_of('a', 'b')
        self.readers('new', PENDING, 'a')
        self.both('new', 'config', code=IN_SYNC)
        self.both('new', 'config', 'a', '--origin', code=IN_SYNC)
        self.json_of('new', 'apply', code=IN_SYNC)
        self.wait_agents(['a', 'b'])
        self.readers('in sync', IN_SYNC, 'a')
        for verb in ('apply', 'start'):
            self.both('in sync', verb, code=IN_SYNC)
        for args in (('restart', 'a'), ('stop', 'a', '--reason', 'a word')):
            self.both('in sync', *args, code=IN_SYNC)
        found = self.readers('held', IN_SYNC, 'a')
        self.assertEqual([m['kind'] for m in found['plan']['remarks']], ['held'])
        self.assertEqual(found['explain']['agent']['condition'], 'held')
        self.both('held', 'start', 'a', code=IN_SYNC)
        # Changes of all three kinds.
        self.roster({'a': self.agent('a', env={'A': '1'}), 'b': self.agent('b', stop_timeout='3s'), 'c': self.agent('c')})
        found = self.readers('changed', PENDING, 'a')
        self.assertEqual(sorted(a['verb'] for a in found['plan']['actions']), ['create', 'restart', 'update'])
        self.text_of('changed', 'apply', '--yes', code=IN_SYNC)
        self.roster({'a': self.agent('a', host='nowhere'), 'b': self.agent('b', state='stopped'), 'c': self.agent('c')},
                    tmux={'size': '100x40'})
        self.readers('elsewhere, stopped', PENDING, 'b')
        self.json_of('elsewhere, stopped', 'apply', code=IN_SYNC)
        self.readers('elsewhere and stopped', IN_SYNC, 'b')
        for verb in ('restart', 'stop', 'start', 'stop'):
            self.json_of('the end', verb, code=IN_SYNC)
        self.readers('all stopped', IN_SYNC, 'b')
        self.text_of('the end', 'start', code=IN_SYNC)
        self.text_of('the end', 'stop', code=IN_SYNC)
        self.verdict()


class OutputDirect(Life, Output):
    def test_an_empty_fleet(self):
        self.roster({})
        for verb in READERS:
            self.both('empty', verb)
        self.columns('empty', *[(v,) for v in READERS])
        for verb in ('apply', 'start', 'restart', 'stop'):
            self.json_of('empty', verb)
            self.text_of('empty', verb)
        self.verdict()

    def test_blocked_and_foreign(self):
        self.roster_of('a')
        self.apply()
        self.tmux('new-session', '-d', '-s', 'x', 'sleep', '1000', check=True)
        self.tmux('new-session', '-d', '-s', 'not-ours', 'sleep', '1000', check=True)
        self.readers('foreign', IN_SYNC, 'a')
        self.roster_of('a', 'x')
        found = self.readers('foreign name', BLOCKED, 'x')
        self.assertIn('foreign_name', [m['reason'] for m in found['plan']['remarks']])
        self.both('foreign name', 'apply', code=BLOCKED)
        self.both('foreign name', 'start', 'x', code=BLOCKED)
        self.both('foreign name', 'restart', 'a')
        self.tmux('kill-session', '-t', '=x', check=True)
        # A missing program, and a missing directory.
        self.roster({'a': self.agent('a'), 'm': self.agent('m', runtime='none'), 'd': {'runtime': 'steady', 'workdir': '~/no/dir'}},
                    runtimes={**self.runtimes(), 'none': {'command': ['no-such-program'], 'install': 'apt install it'}})
        self.readers('no program', BLOCKED, 'm')
        self.both('no program', 'apply', code=BLOCKED)
        # More removals than the cap.
        self.roster_of('a', 'b', 'c', 'e', 'f')
        self.json_of('growing', 'apply', code=IN_SYNC)
        self.roster_of('a', 'b')
        found = self.readers('removal cap', BLOCKED)
        self.assertIn('removal_cap', [m['reason'] for m in found['plan']['remarks']])
        self.both('removal cap', 'apply', code=BLOCKED)
        self.both('removal cap', 'plan', '--allow-remove', '3', code=PENDING)
        self.json_of('removal', 'apply', '--allow-remove', '3', code=IN_SYNC)
        self.text_of('foreign', 'stop', code=IN_SYNC)
        self.verdict()

    def test_explain_beside_a_controller(self):
        """What it remembers of an agent, in text and document; without it, that none runs."""
        self.roster({'a': self.agent('a'), 'x': self.agent('x', 'crasher', restart={
            'delay': '100ms', 'attempts': 1, 'window': '1m'})})
        c = Controller(self)
        harness.wait_for(lambda: c.events('crash'), 20, c.describe)
        for agent in ('a', 'x'):
            found = self.both('crash loop', 'explain', agent)
            self.assertEqual((found['controller']['pid'], found['pacing'] is None), (c.pid, agent == 'a'))
        self.columns('crash loop', ('explain', 'x'), ('status',))
        self.assertEqual(c.end(), 0)
        self.assertIsNone(self.both('no controller', 'explain', 'x')['controller'])
        self.assertIn('no controller runs', self.fleet('explain', 'x').out)
        self.verdict()

    def test_a_controller_that_cannot_write(self):
        """It runs, says `status` all the same, and what is not known."""
        self.roster_of('a')
        c = Controller(self)
        c.wait_converged()
        path = os.path.join(self.bed.run_dir, 'mosaic/default/controller.json')
        os.unlink(path)
        self.bed.mkdir(path + '/in-the-way')
        found = self.readers('no state file', IN_SYNC, 'a')
        self.assertEqual({k: v for k, v in found['status']['controller'].items() if v is not None}, {'pid': c.pid})
        text = ' '.join(self.fleet('status').out.split())
        self.assertIn('Controller pid %d runs, but what it sees is not known: there is no %s' % (c.pid, path), text)
        self.assertNotIn('none runs', text)
        self.assertEqual(c.end(), 0)
        self.assertIn('none runs', self.fleet('status').out)
        self.verdict()

    def test_unknown(self):
        self.roster_of('a')
        self.apply()
        fake = self.bed.write('fake/tmux', '#!/bin/sh\nexit 3\n', 0o755)
        env = {'PATH': os.path.dirname(fake) + ':' + self.bed.env()['PATH']}
        found = self.readers('tmux unknown', UNKNOWN, 'a', env=env)
        self.assertFalse(found['plan']['observed']['complete'])
        for args in (('apply',), ('start',), ('restart', 'a'), ('stop', 'a')):
            self.both('tmux unknown', *args, env=env)
        self.verdict()

    def test_a_failed_apply(self):
        """An agent that cannot be started, its sibling that can, and what depends on it."""
        bad = self.bed.write('bin/bad', '#!/no/such/interpreter\n', 0o755)
        self.roster({'a': self.agent('a'), 'bad': self.agent('bad', runtime='bad'), 'c': self.agent('c', after=['bad'])},
                    runtimes={**self.runtimes(), 'bad': {'command': [bad]}})
        document = self.json_of('failed', 'apply')
        self.assertNotEqual(document['summary']['exit'], 0)
        outcomes = {a['agent']: a['result']['outcome'] for a in document['actions'] if a['agent']}
        self.assertEqual(outcomes['a'], 'done')
        if outcomes.get('bad') == 'failed':
            self.assertEqual((outcomes['c'], document['summary']['exit']), ('skipped', NOT_CONVERGED))
        self.text_of('failed', 'apply', '--yes')
        self.readers('failed', None, 'bad')
        self.both('failed', 'explain', 'c')
        self.verdict()

    def test_deferred(self):
        self.roster_of('a', 'b')
        self.apply()
        p, fd = self.bed.pty(['tmux', '-L', harness.SOCKET, 'attach', '-t', '=a:'])
        harness.wait_for(lambda: self.tmux('list-clients', '-F', 'x').out.strip(), 5, 'a client')
        self.roster({'a': self.agent('a', env={'A': '1'}), 'b': self.agent('b')})
        found = self.readers('attached', PENDING, 'a')
        self.assertEqual([m['kind'] for m in found['plan']['remarks']], ['deferred'])
        self.both('attached', 'apply', code=NOT_CONVERGED)
        self.both('attached', 'plan', '--force-busy', 'a', code=PENDING)
        self.json_of('attached', 'apply', '--force-busy', 'a', code=IN_SYNC)
        p.terminate()
        p.wait()
        os.close(fd)
        self.verdict()

    def test_an_invalid_roster(self):
        self.roster_of('a')
        self.apply()
        for text in ('version: 1\nagents:\n  a: {runtime: steady, workdri: 1}\n  a: {}\n', 'version: 9\nagents: {}\n',
                     '\t{', '', 'version: 1\nagents:\n  A_B: {workdir: /}\n'):
            self.bed.write('.config/mosaic/fleet/roster.yaml', text, 0o600)
            self.readers('invalid', INVALID)
            self.assertEqual(self.fleet_json('validate', code=INVALID)['diagnostics'],
                             self.fleet_json('validate', '-', input=text, code=INVALID)['diagnostics'])
            for args in (('explain', 'a'), ('config',), ('apply',), ('start',), ('restart',)):
                self.both('invalid', *args, code=INVALID)
            # What is in force is explained all the same.
            self.assertRegex(self.fleet('explain', 'a', code=INVALID).out, r'process +(in)?active')
            # To stop, the roster that was accepted before will do.
            self.both('invalid', 'stop', 'a', code=0)
        os.unlink(self.bed.home + '/.config/mosaic/fleet/roster.yaml')
        self.readers('no roster', INVALID)
        self.verdict()

    def test_warnings(self):
        """Warnings change no code."""
        self.roster({'a': self.agent('a'), 'b': {'runtime': 'steady', 'workdir': '~/not/there'}})
        document = self.both('warnings', 'validate', code=0)
        self.assertGreater(document['warnings'], 0)
        text = self.bed.read('.config/mosaic/fleet/roster.yaml')
        stream = self.fleet_json('validate', '-', input=text, code=0)
        self.assertEqual(stream['diagnostics'], document['diagnostics'])
        self.assertEqual(stream['file'], '/dev/stdin')
        self.assertNotIn('init', self.fleet('validate', 'no-such.yaml', code=INVALID).err)
        # A value that is a secret by its name is refused, and is in no document.
        self.roster({'a': self.agent('a', env={'API_TOKEN': 'hunter2'})})
        for verb in ('validate', 'plan', 'apply'):
            document = self.json_of('a secret', verb, code=INVALID)
            self.assertNotIn('hunter2', json.dumps(document))
        self.verdict()

    def test_refusals(self):
        """Locked, stale, and wrong command lines."""
        self.roster_of('a')
        self.apply()
        path = self.bed.home + '/plan.json'
        self.roster_of('a', 'b')
        self.both('saving', 'plan', '--out', path, code=PENDING)
        for line in self.schemas.errors(self.bed.read(path)):
            self.note('saved plan', line)
        self.roster_of('a', 'c')
        self.both('stale', 'apply', '--plan', path, code=STALE)
        with open(self.bed.home + '/.local/state/mosaic/default/lock', 'rb+') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for args in (('apply',), ('start',), ('stop', 'a'), ('restart', 'a')):
                self.both('locked', *args, '--lock-timeout', '50ms', code=LOCKED)
            # Who only looks does not wait.
            self.both('locked', 'plan', code=PENDING)
        for args in (('plan', '--no-such'), ('plan', 'nobody'), ('explain',), ('explain', 'a', 'b'),
                     ('stop', 'UPPER'), ('validate', 'x', 'y'), ('apply', '--allow-remove', 'many'), ('plan', '--color', 'blue')):
            self.both('usage', *args, code=USAGE)
        self.both('no such saved plan', 'apply', '--plan', '/no/such', code=1)
        self.both('no such directory', 'plan', '--out', '/no/such', code=1)
        self.both('runs', 'init', '--supervisor', 'systemd', '--write', '--force', code=BLOCKED)
        state = self.bed.home + '/.local/state/mosaic/default'
        os.chmod(state, 0o500)
        self.both('not writable', 'stop', 'a', code=1)
        os.chmod(state, 0o700)
        self.verdict()

    def test_init_and_version(self):
        self.both('version', 'version', code=0)
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'version: 1\nagents: {}\n', 0o600)
        for profile in ('minimal', 'local-canary', 'demo'):
            self.both('init', 'init', '--profile', profile, code=0)
        self.both('init', 'init', '--profile', 'no-such', code=USAGE)
        self.both('init, there', 'init', '--write', code=BLOCKED)
        document = self.json_of('init, force', 'init', '--write', '--force', code=0)
        self.assertEqual((document['status'], document['backup'][-2:]), ('written', '.1'))
        self.both('init, same', 'init', '--write', code=0)
        self.columns('init', ('init', '--write'), ('version',))
        self.verdict()

    def test_update_and_preflight(self):
        self.both('nothing is installed', 'update', code=BLOCKED, env={'MOSAIC_HOME': self.bed.home + '/other'})
        self.roster_of('a')
        self.apply()
        self.both('current', 'update', code=0)
        self.both('current', 'update', '--dry-run', code=0)
        tool = self.bed.home + '/.config/mosaic/tools/fleet/start-agent-session.sh'
        self.bed.write(tool, self.bed.read(tool) + '# mine\n', 0o755)
        self.both('changed by a person', 'update', code=0)
        self.both('go', 'preflight', code=0)
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'nonsense', 0o600)
        self.both('invalid roster', 'preflight', code=BLOCKED)
        self.columns('update', ('update',), ('preflight',), ('doctor',))
        self.verdict()

    # --- what schemas and program say of each other ---

    def test_help_of_a_verb(self):
        text = self.mosaic('fleet', 'plan', '--help', code=0).out
        self.assertIn('--allow-remove', text)
        for words in (('help', 'fleet', 'plan'), ('fleet', 'help', 'plan')):
            self.assertEqual(self.mosaic(*words, code=0).out, text, words)
        self.assertEqual(self.mosaic('help', 'fleet', code=0).out, self.mosaic('fleet', '--help', code=0).out)
        self.assertIn("did you mean 'mosaic fleet plan'", self.mosaic('help', 'plan', code=USAGE).err)
        self.assertRegex(self.mosaic('--color', code=USAGE).err, '^mosaic: invalid value')

    def test_every_verb_has_its_schema(self):
        """A verb that takes --json prints a document, and for that there is a schema."""
        verbs = re.findall(r'^  ((?:fleet |agent )?[a-z-]+) {2,}[A-Z]', self.mosaic('--help', code=0).out, re.M)
        self.assertIn('version', verbs)
        groups = {v.split()[0] for v in re.findall(r'^  (\w+ [a-z-]+) {2,}', self.mosaic('--help', code=0).out, re.M)} | {'fleet'}
        for group in groups:
            verbs += [v if v.startswith(group) else group + ' ' + v
                      for v in re.findall(r'^  ((?:\w+ )?[a-z-]+) {2,}[A-Z]', self.mosaic(group, '--help', code=0).out, re.M)]
        lacking = []
        for verb in sorted(set(verbs)):
            if '--json' not in self.mosaic(*verb.split(), '--help', code=0).out:
                continue
            if 'mosaic.' + verb.replace(' ', '.') not in self.schemas.by_format:
                lacking.append(verb)
        self.assertEqual(lacking, [], 'verbs with --json and no schema')

    def test_schemas_are_one(self):
        """What has one name is one thing in all schemas, and everything is described."""
        seen, wrong = {}, []
        for name, schema in self.schemas.documents.items():
            for key, value in schema.get('$defs', {}).items():
                if key != 'summary' and seen.setdefault(key, value) != value:
                    wrong.append('%s: $defs/%s differs from the one in another schema' % (name, key))
            properties = [schema] + list(schema.get('$defs', {}).values())
            while properties:
                p = properties.pop()
                for key, value in p.get('properties', {}).items():
                    if 'description' not in value and '$ref' not in value:
                        wrong.append('%s: %s has no description' % (name, key))
                    properties.append(value)
                if isinstance(p.get('items'), dict):
                    properties.append(p['items'])
        self.assertEqual(wrong, [])

    def test_the_check_bites(self):
        """A document with one thing wrong is found out."""
        self.roster_of('a')
        good = json.loads(self.fleet('plan', '--json', code=PENDING).out)
        self.assertEqual(self.schemas.errors(json.dumps(good)), [])
        for spoil in (lambda d: d.pop('summary'), lambda d: d.update(version='2.0'), lambda d: d.update(more=1),
                      lambda d: d['actions'][0].update(reason='because'), lambda d: d['actions'][0].update(line='1'),
                      lambda d: d['summary'].update(exit=9), lambda d: d['observed']['sources'][0].pop('why')):
            bad = copy.deepcopy(good)
            spoil(bad)
            self.assertNotEqual(self.schemas.errors(json.dumps(bad)), [], spoil)

    def test_the_reference_page_names_every_word(self):
        """docs/reference/json.md has each member's word list whole."""
        with open(os.path.join(harness.ROOT, 'docs/reference/json.md'), encoding='utf-8') as f:
            page = f.read()
        plan = self.schemas.documents['plan.schema.json']['$defs']
        words = (plan['reason']['enum'] + plan['action']['properties']['verb']['enum']
                 + plan['remark']['properties']['kind']['enum'] + plan['step']['enum']
                 + plan['result']['properties']['outcome']['enum'] + list(self.schemas.by_format))
        self.assertEqual([w for w in words if '`%s`' % w not in page], [])
        # The words of the tables are no others.
        tables = page[page.index('## Words'):page.index('## Examples')]
        self.assertEqual([w for w in re.findall(r'^\| `([a-z_]+)`', tables, re.M) if w not in words], [])

    def test_the_examples_of_the_reference_page(self):
        """Each is a whole document of its format, and each format has one."""
        with open(os.path.join(harness.ROOT, 'docs/reference/json.md'), encoding='utf-8') as f:
            examples = re.findall(r'^```json\n(.*?)^```$', f.read(), re.M | re.S)
        wrong, shown = [], set()
        for text in examples:
            shown.add(self.schemas.name_of(json.loads(text)))
            wrong += ['%s...: %s' % (text[:60], line) for line in self.schemas.errors(text)]
        self.assertEqual(wrong, [])
        self.assertEqual(set(self.schemas.documents) - shown, set(), 'schemas without an example')

    # --- colour ---

    def test_colour(self):
        self.roster_of('a')
        calls = [('plan',), ('status',), ('verify',), ('explain', 'a')]
        for state in ('new', 'in sync'):
            for args in calls:
                where = '%s: %s' % (state, ' '.join(args))
                always = self.call(list(args) + ['--color=always'])
                if '\x1b[' not in always.out:
                    self.note(where, '--color=always has no colour')
                never = self.call(list(args))
                if re.sub(r'\d+(\.\d+)? ?m?s', 'T', ESCAPE.sub('', always.out)) != re.sub(r'\d+(\.\d+)? ?m?s', 'T', never.out):
                    self.note(where, 'with colour the text is another one')
                if '\x1b' in self.call(list(args) + ['--json', '--color=always']).out:
                    self.note(where, 'colour in JSON')
                if '\x1b[' not in self.on_terminal(args):
                    self.note(where, 'no colour on a terminal')
                for name, env, more in (('NO_COLOR=1', {'NO_COLOR': '1'}, ()), ('TERM=dumb', {'TERM': 'dumb'}, ()),
                                        ('--color=never', {}, ('--color=never',))):
                    if '\x1b' in self.on_terminal(list(args) + list(more), env=env):
                        self.note(where, 'colour with ' + name)
                if '\x1b[' not in self.on_terminal(args, env={'NO_COLOR': ''}):
                    self.note(where, 'an empty NO_COLOR counts')
            self.apply()
        # Standard error that goes elsewhere has no colour because standard output has.
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'version: 1\nagents:\n  a: {workdri: 1}\n', 0o600)
        self.assertIn('\x1b[', self.on_terminal(('validate',)))
        self.on_terminal(('validate',), shell='2>%s/err' % self.bed.home)
        if '\x1b' in self.bed.read('err'):
            self.note('validate', 'colour in a file, because standard output is a terminal')
        self.verdict()

    def test_a_wide_terminal_and_a_narrow_one(self):
        """Nothing breaks at 200, 40 or 1 columns; wide ones lose nothing."""
        self.roster_of('a', 'b')
        for cols in (200, 40, 1):
            for args in (('plan',), ('status',), ('verify',), ('explain', 'a')):
                text = ESCAPE.sub('', self.on_terminal(args, cols=cols))
                self.assertIn('(exit 2)', ' '.join(text.split()), (cols, args, text))
        # A table leaves out what it can do without; a command to be typed stays whole.
        self.apply()
        self.fleet('stop', 'a', '--reason', 'its disk is being moved to another machine', code=0)
        lines = ESCAPE.sub('', self.on_terminal(('explain', 'a'), cols=40)).splitlines()
        self.assertEqual([l for l in lines if len(l) > 40 and len(l.split()) > 1], [])
        everything = {'AGENT', 'CONDITION', 'WANTED', 'PROCESS', 'PANE', 'PID', 'SINCE'}
        for cols in (200, 40):
            lines = ESCAPE.sub('', self.on_terminal(('status',), cols=cols)).splitlines()
            table = lines[[l.startswith('AGENT') for l in lines].index(True):]
            table = table[:table.index('')]
            titles = set(table[0].split())
            self.assertEqual(titles, everything if cols == 200 else titles & everything - {'PROCESS'})
            self.assertLessEqual({'AGENT', 'CONDITION'}, titles)
            self.assertEqual([l for l in table if len(l) > cols], [])
            self.assertEqual(len([l for l in table if l.endswith('mosaic fleet start a')]), 1, table)

    def test_no_secrets(self):
        """What credentials hold is in no output, values of env in that of `config` alone."""
        self.bed.write('secret', 'hunter2secret', 0o600)
        self.roster({'a': self.agent('a', env={'NAME': 'hunter2value'}, credentials={'TOKEN': {'file': '~/secret'}})})
        texts = []
        for args in (('plan',), ('apply', '--yes'), ('status',), ('verify',), ('explain', 'a'), ('validate',)):
            texts += [self.call(list(args)), self.call(list(args) + ['--json'])]
        for r in texts:
            self.assertNotIn('hunter2', r.out + r.err)
        for r in (self.call(['config']), self.call(['config', '--json'])):
            self.assertIn('hunter2value', r.out)
            self.assertNotIn('hunter2secret', r.out + r.err)


class OutputSystemd(Life, Output):
    """The documents that only systemd has, and one round of the others."""
    supervisor = 'systemd'

    def test_a_start_that_fails(self):
        """The manager knows no more than that; who does is named."""
        self.bed.write('.config/systemd/user/mosaic-agent@a.service.d/90-mine.conf',
                       '[Service]\nExecStartPre=/bin/false\nRestart=no\n')
        self.roster_of('a')
        document = self.json_of('refused', 'apply', code=NOT_CONVERGED)
        message = next(x['result']['message'] for x in document['actions'] if x['agent'] == 'a')
        self.assertRegex(message, "it did not start: 'mosaic agent tail a' or 'mosaic agent logs a' says why")
        self.verdict()

    def test_install(self):
        self.json_of('again', 'install-systemd', code=0)
        self.text_of('again', 'install-systemd', code=0)
        self.roster_of('a')
        self.json_of('units', 'apply', code=0)
        self.readers('units', IN_SYNC, 'a')
        unit = self.bed.home + '/.config/systemd/user/mosaic-agent@.service'
        with open(unit, 'a', encoding='utf-8') as f:
            f.write('# mine\n')
        self.both('modified', 'install-systemd')
        self.both('modified', 'verify')
        self.both('running', 'uninstall-systemd')
        self.json_of('the end', 'stop', code=0)
        self.json_of('the end', 'uninstall-systemd')
        self.text_of('the end', 'uninstall-systemd')
        self.readers('no units', None, 'a')
        self.both('no units', 'apply')
        self.columns('install', ('install-systemd',), ('uninstall-systemd',))
        self.verdict()


if __name__ == '__main__':
    harness.main()
