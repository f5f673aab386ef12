#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each key of the roster has the effect that the schema says (x-effect), seen from the outside: the plan
names exactly the agents concerned, and process ids before and after `apply` prove what became of them.

The keys are taken from schema/roster.schema.json. A key for which nothing is prepared here fails the test,
and so does a prepared change whose key is gone."""

import copy
import json
import os
import re

import harness
from harness import INVALID, PENDING, Fleet

SCHEMA = os.path.join(harness.ROOT, 'schema/roster.schema.json')
# own: its own settings are changed; heir: has nothing of its own but a directory, so defaults reach it;
# kind: of the runtime that is changed; rest: must never notice.
NAMES = ('heir', 'kind', 'own', 'rest')
ALL = set(NAMES)


def leaves():
    """{path: x-effect} of every key that a person can change by itself."""
    with open(SCHEMA, encoding='utf-8') as f:
        schema = json.load(f)
    found = {}

    def resolve(node):
        while '$ref' in node:
            at = schema
            for part in node['$ref'].lstrip('#/').split('/'):
                at = at[part]
            node = at
        for part in node.get('allOf', []):
            node = {**resolve(part), **node}
        return node

    def walk(node, path):
        node = resolve(node)
        kinds = node.get('type', [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        inside = node.get('properties')
        below = node.get('additionalProperties')
        if inside is None and isinstance(below, dict):
            below = resolve(below)
            if 'properties' in below:
                inside = below['properties']
                path_inside = path + '.*'
                if path.split('.')[-1] == 'credentials':
                    found[path] = node['x-effect']
            else:
                inside = None
        else:
            path_inside = path
        if inside is None:
            found[path] = node['x-effect']
            return
        if 'string' in kinds:  # a word may stand for the mapping
            found[path] = node['x-effect']
        for key, value in inside.items():
            walk(value, (path_inside + '.' + key).lstrip('.'))

    walk(schema, '')
    return found


class Change:
    """What is done to the roster, who is concerned, and whether it is taken back before the next one."""

    def __init__(self, do, concerned, back=False, code=None):
        self.do, self.concerned, self.back, self.code = do, set(concerned), back, code


def put(*path_and_value):
    *path, last, value = path_and_value

    def do(roster):
        at = roster
        for key in path:
            at = at.setdefault(key, {})
        at[last] = value
    return do


# What agents and defaults have in common: key, new value, and whether it must be taken back.
SETTINGS = (
    (('runtime',), 'second', False),
    (('model',), 'large', False),
    (('state',), 'paused', True),
    (('on_change',), 'defer', True),
    (('host',), ['*', 'nowhere-*'], False),
    (('env',), {'SHARED': '2'}, False),
    (('env_pass',), ['LANG', 'LC_ALL'], False),
    (('env_files',), ['~/env/b'], False),
    (('credentials', '*', 'file'), '~/secrets/b', False),
    (('credentials',), {'TOKEN': {'file': '~/secrets/b'}, 'OTHER': {'file': '~/secrets/a'}}, True),
    (('restart', 'policy'), 'on-failure', False),
    (('restart', 'delay'), '2s', False),
    (('restart', 'attempts'), 21, False),
    (('restart', 'window'), '11m', False),
    (('restart',), 'never', True),
    (('limits', 'memory'), '900M', False),
    (('limits', 'cpu'), '90%', False),
    (('limits', 'tasks'), 90, False),
    (('stop_timeout',), '6s', False),
)


def changes():
    """{path: Change}, in the order in which they are made."""
    made = {}
    for path, value, back in SETTINGS:
        real = ['TOKEN' if p == '*' else p for p in path]
        made['.'.join(('agents', '*') + path)] = Change(put('agents', 'own', *real, value), ['own'], back)
        # A new credential in defaults is everybody's: mappings merge.
        who = ALL if path == ('credentials',) else ['heir']
        made['.'.join(('defaults',) + path)] = Change(put('defaults', *real, value), who, back)
    for key, value in (
            ('description', 'another line'), ('labels', {'team': 'other'}), ('after', ['rest', 'kind']),
            ('args', ['--new']), ('workdir', '~/work/own2')):
        made['agents.*.' + key] = Change(put('agents', 'own', key, value), ['own'])
    for path, value in (
            (('command',), None), (('model_args',), ['-m={model}']), (('env',), {'KIND': '2'}),
            (('resume_args',), ['--resume']), (('reset', 'keys'), '/clear'), (('reset', 'settle'), '3s'),
            (('ready', 'pattern'), 'is  ?up'), (('ready', 'timeout'), '31s'),
            (('composer', 'pattern'), '\\n>> $'), (('composer', 'rest'), '^\\n'), (('composer', 'misreads'), '@'), (('composer', 'prefix'), '// '), (('composer', 'unfocused'), 'never drawn'), (('busy', 'pattern'), 'never this'),
            (('busy', 'title'), 'never this'), (('waiting', 'pattern'), 'never this'),
            (('waiting', 'title'), 'never this'), (('quit', 'keys'), '/bye'), (('submit', 'key'), 'C-m'),
            (('submit', 'delay'), '200ms'), (('success_exit_status',), [143, 'SIGTERM']),
            (('install',), 'another way')):
        made['.'.join(('runtimes', '*') + path)] = Change(put('runtimes', 'special', *path, value), ['kind'])
    made['fleet.name'] = Change(put('fleet', 'name', 'other'), [])
    made['fleet.description'] = Change(put('fleet', 'description', 'another line'), [])
    made['supervisor'] = Change(None, [])  # set by the class
    made['version'] = Change(put('version', 2), [], back=True, code=INVALID)
    made['tmux.size'] = Change(put('tmux', 'size', '200x50'), [])
    made['tmux.history_limit'] = Change(put('tmux', 'history_limit', 4000), [])
    # The last one: another server.
    made['tmux.socket'] = Change(put('tmux', 'socket', 'mosaic-other'), ALL)
    return made


class Effects:
    def base(self):
        settings = {
            'runtime': 'first', 'model': 'small', 'state': 'running', 'on_change': 'restart', 'host': ['*'],
            'env': {'SHARED': '1'}, 'env_pass': ['LANG'], 'env_files': ['~/env/a'],
            'credentials': {'TOKEN': {'file': '~/secrets/a'}},
            'restart': {'policy': 'always', 'delay': '1s', 'attempts': 20, 'window': '10m'},
            'limits': {'memory': '1G', 'cpu': '100%', 'tasks': 100}, 'stop_timeout': '5s',
        }
        runtime = {'command': [self.agents_dir + '/steady'], 'model_args': ['--model={model}']}
        self.other = self.bed.write('bin/steady-two', self.bed.read(self.agents_dir + '/steady'), 0o755)
        roster = {
            'version': 1, 'fleet': {'name': 'effects', 'description': 'a line'},
            'tmux': {'socket': harness.SOCKET, 'size': '220x50', 'history_limit': 5000},
            'defaults': copy.deepcopy(settings),
            'runtimes': {
                'first': runtime, 'second': {**runtime, 'command': [self.other]},
                'special': {
                    **runtime, 'env': {'KIND': '1'}, 'resume_args': ['--continue'],
                    'reset': {'keys': '/new', 'settle': '2s'}, 'ready': {'pattern': 'is up', 'timeout': '30s'},
                    'composer': {'pattern': '\\n> $'}, 'busy': {'pattern': 'never', 'title': 'never'},
                    'waiting': {'pattern': 'never', 'title': 'never'}, 'quit': {'keys': '/quit'},
                    'submit': {'key': 'Enter', 'delay': '100ms'}, 'success_exit_status': [143],
                    'install': 'somehow',
                },
            },
            'agents': {n: {'workdir': '~/work/' + n, **({} if n == 'heir' else copy.deepcopy(settings))}
                       for n in NAMES},
        }
        roster['agents']['kind']['runtime'] = 'special'
        roster['agents']['own'].update(
            description='a line', labels={'team': 'one'}, after=['rest'], args=['--old'])
        return roster

    def write(self, roster):
        text = harness.yaml(roster)
        self.bed.write('.config/mosaic/fleet/roster.yaml', text, 0o600)
        return text

    def plan(self, *codes):
        r = self.fleet('plan', '--json', code=codes)
        return json.loads(r.out)

    def start(self):
        for d in ('work/own2',) + tuple('work/' + n for n in NAMES):
            self.bed.mkdir(d)
        for d in ('env', 'secrets'):
            for n in 'ab':
                self.bed.write('%s/%s' % (d, n), 'FROM_FILE=%s\n' % n if d == 'env' else n, 0o600)
        roster = self.base()
        self.write(roster)
        self.apply()
        self.wait_agents(NAMES)
        self.assertEqual(self.plan(0)['actions'], [])
        return roster

    def settle(self):
        """Applies, and there is nothing left to do."""
        r = self.fleet('apply', '--yes')
        if r.code != 0:
            return ['apply: exit %d: %s %s' % (r.code, r.out[-300:], r.err[-300:])]
        left = self.plan(0, PENDING, 3, 4, 6)['actions']
        return ['after apply there is left: %s' % [(a['agent'], a['verb'], a['message']) for a in left]] if left else []

    def judge(self, path, effect, change, text):
        """What is wrong with the effect of this change, as lines."""
        before = self.pids()
        if change.code is not None:
            r = self.fleet('plan', '--json')
            self.fleet('apply', '--yes', code=change.code)
            wrong = [] if r.code == change.code else ['plan: exit %d, expected %d' % (r.code, change.code)]
            return wrong + ([] if self.pids() == before else ['a refused roster changed a process'])
        verb = {'restart': 'restart', 'live': 'update', 'none': None}[effect]
        doc = self.plan(0, PENDING, 3, 6)
        got = {(a['agent'], a['verb']) for a in doc['actions'] if a['agent']}
        want = {(n, verb) for n in change.concerned} if verb else set()
        wrong = []
        if got != want:
            wrong.append('plan: %s, expected %s' % (sorted(got), sorted(want)))
        code = PENDING if want else 0
        if doc['summary']['exit'] != code:
            wrong.append('plan: exit %d, expected %d; remarks %s' % (
                doc['summary']['exit'], code, [(m['kind'], m['message']) for m in doc['remarks']]))
        for a in doc['actions']:
            if a['agent'] and a['verb'] == 'update' and a['disruption'] != 'none':
                wrong.append('plan: a live change disrupts: %s' % a['disruption'])
            if a['line'] is None or not re.search(
                    r'^  %s:$' % (a['agent'] or ''), text.splitlines()[a['line'] - 1]) and a['agent']:
                wrong.append('plan: line %s is not where %s is' % (a['line'], a['agent']))
        wrong += self.settle()
        after = self.wait_agents(NAMES)
        now = {n: p.key for n, p in after.items()}
        replaced = {n for n in NAMES if now[n] != before[n]}
        if replaced != (change.concerned if effect == 'restart' else set()):
            wrong.append('processes replaced: %s, expected %s' % (
                sorted(replaced), sorted(change.concerned) if effect == 'restart' else []))
        return wrong

    def test_each_key_has_its_effect(self):
        keys, prepared = leaves(), changes()
        self.assertEqual(set(keys) - set(prepared), set(), 'keys for which no change is prepared here')
        self.assertEqual(set(prepared) - set(keys), set(), 'changes of keys that the schema does not have')
        self.assertGreater(len(keys), 60)
        roster = self.start()
        wrong = []
        for path, change in prepared.items():
            if path == 'supervisor':
                change.do = put('supervisor', self.supervisor)
            if path == 'runtimes.*.command':
                change.do = put('runtimes', 'special', 'command', [self.other])
            before = copy.deepcopy(roster)
            change.do(roster)
            self.assertNotEqual(roster, before, path)
            text = self.write(roster)
            for line in self.judge(path, keys[path], change, text):
                wrong.append('%s (%s): %s' % (path, keys[path], line))
            if change.back:
                roster = before
                self.write(roster)
                for line in self.settle():
                    wrong.append('%s, taken back: %s' % (path, line))
                self.wait_agents(NAMES)
        self.assertEqual(len(self.servers()), 1, self.servers())
        where = 'mosaic-other' if keys['tmux.socket'] == 'restart' else harness.SOCKET
        if self.sessions(where).keys() != ALL | {'_holder'}:
            wrong.append('tmux.socket (%s): the sessions are not on %s' % (keys['tmux.socket'], where))
        self.assertEqual(wrong, [], '\n' + '\n'.join(wrong))

    def test_what_is_no_key(self):
        """Comments, order, quotes, anchors of x- members and a touched file change nothing."""
        roster = self.start()
        before = self.pids()
        text = self.write({**roster, 'x-site': {'any': ['thing']}})
        self.assertEqual(self.plan(0)['actions'], [])
        backwards = {k: roster[k] for k in reversed(list(roster))}
        backwards['agents'] = {n: {k: v for k, v in reversed(list(a.items()))}
                               for n, a in reversed(list(roster['agents'].items()))}
        self.write(backwards)
        self.assertEqual(self.plan(0)['actions'], [])
        self.bed.write('.config/mosaic/fleet/roster.yaml', '# a comment\n' + text.replace('"', "'"), 0o600)
        self.assertEqual(self.plan(0)['actions'], [])
        self.apply()
        self.assertEqual(self.pids(), before)

    def test_the_same_in_other_words(self):
        """What counts is the value, not how or where it is written."""
        roster = self.start()
        before = self.pids()
        own = roster['agents']['own']
        own.update(stop_timeout='5000ms', limits={'memory': '1024M', 'cpu': '100%', 'tasks': 100},
                   workdir=self.bed.home + '/work/own', host='*',
                   restart={'policy': 'always', 'delay': '1000ms', 'attempts': 20, 'window': '600s'})
        self.write(roster)
        self.assertEqual(self.plan(0)['actions'], [])
        # What defaults say already need not be said again, and what nobody says has a default.
        roster['agents']['rest'] = {'workdir': '~/work/rest'}
        del own['state']
        self.write(roster)
        self.assertEqual(self.plan(0)['actions'], [])
        # The runtime's entry under another name, and the arguments moved into its command.
        roster['runtimes']['renamed'] = {**roster['runtimes']['first'],
                                         'command': roster['runtimes']['first']['command'] + ['--model=small', '--old'],
                                         'model_args': ['--none']}
        self.write(roster)
        self.assertEqual(self.plan(0)['actions'], [])
        self.apply()
        self.assertEqual(self.pids(), before)

    def test_the_state_key_stops_and_starts(self):
        """`state` touches no process by its own class, but `stopped` is what a person asks for."""
        roster = self.start()
        before = self.pids()
        roster['agents']['own']['state'] = 'stopped'
        self.write(roster)
        doc = self.plan(PENDING)
        self.assertEqual([(a['agent'], a['verb'], a['reason']) for a in doc['actions']],
                         [('own', 'stop', 'state_stopped')])
        self.apply()
        self.assertEqual(self.plan(0)['actions'], [])
        now = self.pids()
        self.assertEqual(now, {n: k for n, k in before.items() if n != 'own'})
        roster['agents']['own']['state'] = 'running'
        self.write(roster)
        self.assertEqual([(a['agent'], a['verb']) for a in self.plan(PENDING)['actions']], [('own', 'start')])
        self.apply()
        self.assertEqual(self.plan(0)['actions'], [])
        self.assertEqual({n: k for n, k in self.pids().items() if n != 'own'}, now)

    def test_the_host_key_takes_away_and_gives_back(self):
        roster = self.start()
        before = self.pids()
        roster['agents']['own'].update(host='nowhere-1')
        del roster['agents']['own']['after']
        self.write(roster)
        doc = self.plan(PENDING)
        self.assertEqual([(a['agent'], a['verb'], a['reason'], a['disruption']) for a in doc['actions']],
                         [('own', 'remove', 'elsewhere', 'destroy')])
        self.apply()
        self.assertEqual(self.plan(0)['actions'], [])
        self.assertEqual(self.pids(), {n: k for n, k in before.items() if n != 'own'})
        del roster['agents']['own']['host']
        self.write(roster)
        self.assertEqual([(a['agent'], a['verb']) for a in self.plan(PENDING)['actions']], [('own', 'create')])
        self.apply()
        self.wait_agents(NAMES)

    def test_the_changed_value_arrives(self):
        """A restart brings what the roster says now, not only a new process."""
        roster = self.start()
        own = roster['agents']['own']
        own.update(args=['--new'], model='large', env={'SHARED': '2'}, env_files=['~/env/b'], workdir='~/work/own2',
                   credentials={'TOKEN': {'file': '~/secrets/b'}})
        self.write(roster)
        self.apply()
        pid = self.wait_agents(NAMES)['own'].pid
        with open('/proc/%d/cmdline' % pid, 'rb') as f:
            argv = f.read().decode().split('\0')
        with open('/proc/%d/environ' % pid, 'rb') as f:
            env = dict(e.split('=', 1) for e in f.read().decode().split('\0') if e)
        self.assertIn('--new', argv)
        self.assertIn('--model=large', argv)
        self.assertEqual((env['SHARED'], env['FROM_FILE'], env['TOKEN']), ('2', 'b', 'b'))
        self.assertEqual(os.readlink('/proc/%d/cwd' % pid), self.bed.home + '/work/own2')

    def test_only_a_wish_for_the_other_supervisor_is_said(self):
        """Nothing is switched by the roster."""
        roster = self.start()
        before = self.pids()
        roster['supervisor'] = 'direct' if self.supervisor == 'systemd' else 'systemd'
        self.write(roster)
        r = self.fleet('plan')
        self.assertIn(roster['supervisor'], r.out + r.err)
        self.assertEqual(json.loads(self.fleet('plan', '--json').out)['actions'], [])
        self.fleet('apply', '--yes')
        self.assertEqual(self.pids(), before)


class EffectsDirect(Effects, Fleet):
    supervisor = 'direct'


class EffectsSystemd(Effects, Fleet):
    supervisor = 'systemd'


if __name__ == '__main__':
    harness.main()
