# SPDX-License-Identifier: MIT
"""What the scenarios share: a fleet in a bed, what is asked of the program, and independent eyes.

A scenario class derives from Fleet and sets `supervisor`. Each test starts in a bed as new, beside canary
sessions on the default tmux server, which must be untouched at its end. What runs is read from /proc,
from tmux and from systemctl, never from the program under test. Run a module to run its scenarios (TAP):
    MOSAIC_PROGRAM=build/mosaic tests/integration/fleet/test_x.py [-k PATTERN]
"""

import fnmatch
import json
import os
import re
import shutil
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))

import bed as bedlib  # noqa: E402
from bed import Failed, Process, wait_for  # noqa: E402,F401

PROGRAM = os.path.abspath(os.environ.get('MOSAIC_PROGRAM') or os.path.join(ROOT, 'build', 'mosaic'))
PARTS = ('mosaic-keeper', 'mosaic-launcher')
SOCKET = 'mosaic-factory'
HOLDER_UNIT = 'mosaic-tmux-holder.service'

IN_SYNC, PENDING, BLOCKED, NOT_CONVERGED, STALE, UNKNOWN, LOCKED = 0, 2, 3, 4, 5, 6, 7
USAGE, INVALID = 64, 65


def skip(name, why, permitted=False):
    """A named skip. Where MOSAIC_REQUIRE_ALL is set only the permitted ones are skips: those nothing
    can be installed against."""
    if os.environ.get('MOSAIC_REQUIRE_ALL') == '1' and not permitted:
        raise AssertionError('skip %s is not permitted here: %s' % (name, why))
    raise unittest.SkipTest('%s: %s' % (name, why))


def yaml(value, indent=0):
    """Block style YAML; every string is double-quoted, so that it is what it says."""
    pad = '  ' * indent
    if isinstance(value, dict):
        if not value:
            return ' {}\n'
        out = '\n' if indent else ''
        for k, v in value.items():
            out += '%s%s:%s' % (pad, k if re.fullmatch(r'[A-Za-z][A-Za-z0-9_-]*', k) else json.dumps(k),
                                yaml(v, indent + 1))
        return out
    if isinstance(value, (list, tuple)):
        return ' [%s]\n' % ', '.join(json.dumps(v, ensure_ascii=False) for v in value)
    return ' %s\n' % json.dumps(value, ensure_ascii=False)


class Fleet(unittest.TestCase):
    supervisor = 'systemd'
    controllers = True
    default_server = 'canary'  # or 'tripwire', or None
    profile_first = True       # `init` and `install-systemd` before each test
    maxDiff = None

    # --- set-up and the checks at the end of every test ---

    @classmethod
    def setUpClass(cls):
        cls.bed = None
        try:
            cls.bed = bedlib.Bed(manager=cls.supervisor == 'systemd', controllers=cls.controllers)
        except bedlib.Unavailable as e:
            skip('bed', str(e))
        cls.addClassCleanup(cls.bed.close)
        # A copy: the checkout may lie where the test user cannot read.
        cls.opt = cls.bed.root + '/opt'
        for d in ('/bin', '/libexec/mosaic'):
            os.makedirs(cls.opt + d)
        cls.program = shutil.copy(PROGRAM, cls.opt + '/bin/mosaic')
        for part in PARTS:
            shutil.copy(os.path.join(os.path.dirname(PROGRAM), part), cls.opt + '/libexec/mosaic/')
        cls.agents_dir = shutil.copytree(os.path.join(ROOT, 'tests/lib/agents'), cls.opt + '/agents')
        cls.bed.path = [cls.opt + '/bin']

    def setUp(self):
        self.results = []
        self.bed.reset()
        self.bed.linger(True)
        for d in ('starts', 'dump', 'work'):
            self.bed.mkdir(d)
        self.guard = None
        self.foreign = None
        if self.default_server == 'canary':
            self.guard = self.bed.canary()
        elif self.default_server == 'tripwire':
            self.guard = self.bed.tripwire()
            self.addCleanup(self.guard.close)
        if self.profile_first:
            self.init()
        self.addCleanup(self.check_guards)

    def check_guards(self):
        for guard in (self.guard, self.foreign):
            if guard:
                self.assertEqual(guard.changes(), [])

    def init(self, home=None):
        env = {'MOSAIC_HOME': home} if home else None
        self.fleet('init', '--profile', 'minimal', '--write', code=0, env=env)
        if self.supervisor == 'systemd':
            self.fleet('install-systemd', code=0, env=env)

    # --- asking the program ---

    def mosaic(self, *args, code=None, **more):
        """Runs the program. @code: the exit code, or a collection of those allowed."""
        r = self.bed.run([self.program] + list(args), **more)
        self.results.append(r)
        if code is not None:
            allowed = (code,) if isinstance(code, int) else tuple(code)
            self.assertIn(r.code, allowed, '\nexit code %s expected:\n%r' % (code, r))
        self.assertGreaterEqual(r.code, 0, '\nended by a signal:\n%r' % r)
        return r

    def fleet(self, *args, **more):
        return self.mosaic('fleet', *args, **more)

    def fleet_json(self, *args, **more):
        r = self.fleet(*args, '--json', **more)
        try:
            return json.loads(r.out)
        except ValueError:
            return [json.loads(line) for line in r.out.splitlines()]

    def apply(self, *args, code=0, **more):
        return self.fleet('apply', '--yes', *args, code=code, **more)

    def in_sync(self, code=0):
        self.fleet('plan', code=code)

    # --- rosters ---

    def agent(self, name, runtime='steady', **more):
        """One agent with a working directory of its own, which is made."""
        self.bed.mkdir('work/' + name)
        return {'runtime': runtime, 'workdir': '~/work/' + name, **more}

    def agents_of(self, names, **more):
        return {n: self.agent(n, **more) for n in names}

    def runtimes(self):
        return {n: {'command': [self.agents_dir + '/' + n]} for n in sorted(os.listdir(self.agents_dir))}

    def roster(self, agents, home='.config/mosaic', **top):
        """Writes the roster: @agents a mapping, or names of steady agents."""
        if not isinstance(agents, dict):
            agents = self.agents_of(agents)
        whole = {'version': 1, 'runtimes': self.runtimes(), **top, 'agents': agents}
        text = yaml(whole)
        self.bed.write(os.path.join(home, 'fleet/roster.yaml'), text, 0o600)
        return text

    def bring_up(self, agents, **top):
        """A roster, applied; returns the running agents."""
        self.roster(agents, **top)
        self.apply()
        return self.wait_agents(agents)

    # --- independent eyes ---

    def running(self, marker='MOSAIC_AGENT', home=None):
        """Agents by name: the session leaders on a terminal that bear the launcher's variable. Fails when
        one runs twice."""
        found = {}
        for p in self.bed.processes():
            try:
                with open('/proc/%d/environ' % p.pid, 'rb') as f:
                    env = dict(e.split(b'=', 1) for e in f.read().split(b'\0') if b'=' in e)
            except (FileNotFoundError, ProcessLookupError):
                continue
            name = env.get(marker.encode(), b'').decode()
            if not name or p.session != p.pid or p.tty == 0:
                continue
            if home is not None and env.get(b'MOSAIC_HOME', b'').decode() != home:
                continue
            if name in found:
                # Between fork and exec, or an ended one not yet gone: look again before we complain.
                time.sleep(0.05)
                both = [q for q in (found[name], p) if q.alive()]
                self.assertLess(len(both), 2, 'agent %s runs twice: %r' % (name, both))
                if both:
                    found[name] = both[0]
                continue
            found[name] = p
        return found

    def wait_agents(self, names, timeout=20, **more):
        """Waits until exactly these agents run, and each has noted its start."""
        names = set(names)
        wait_for(lambda: set(self.running(**more)) == names, timeout,
                 lambda: 'agents %s, there are %s' % (sorted(names), sorted(self.running(**more))))
        return self.running(**more)

    def wait_up(self, name, timeout=10):
        """Waits until the agent's terminal shows that it is up."""
        wait_for(lambda: '%s is up' % name in self.screen(name), timeout,
                 lambda: '%s is up; screen: %r' % (name, self.screen(name)))

    def pids(self):
        return {n: p.key for n, p in self.running().items()}

    def starts(self, name):
        return len((self.bed.read('starts/' + name) or '').split())

    def tmux(self, *args, **more):
        return self.bed.tmux(*args, socket_name=SOCKET, **more)

    def sessions(self, socket_name=SOCKET):
        r = self.bed.tmux('list-sessions', '-F', '#{session_name} #{session_id}', socket_name=socket_name)
        return dict(l.split() for l in r.out.splitlines())

    def screen(self, name):
        return self.tmux('capture-pane', '-p', '-t', '=%s:' % name).out

    def type(self, name, text, enter=True):
        self.tmux('send-keys', '-t', '=%s:' % name, '-l', '--', text, check=True)
        if enter:
            self.tmux('send-keys', '-t', '=%s:' % name, 'Enter', check=True)

    def server_pid(self):
        r = self.tmux('display-message', '-p', '#{pid}')
        return int(r.out) if r.out.strip().isdigit() else None

    def servers(self):
        """Every tmux server of the user but the canaries' (their command line shows who they are)."""
        found = [p for p in self.bed.processes()
                 if p.comm.startswith('tmux: server') and not (self.guard and 'canary' in p.argv)]
        # Between its fork and its exec the process of a new pane looks like the server.
        pids = {p.pid for p in found}
        return [p for p in found if p.ppid not in pids]

    def keeper(self, name):
        r = self.tmux('list-panes', '-t', '=%s:' % name, '-F', '#{pane_pid}', check=True)
        return int(r.out.split()[0])

    def unit(self, name):
        return 'mosaic-agent@%s.service' % name

    def show(self, unit, *properties):
        """Properties of a unit, from systemctl."""
        args = []
        for p in properties:
            args += ['-p', p]
        r = self.bed.systemctl('show', unit, *args, check=True)
        return dict(l.split('=', 1) for l in r.out.splitlines() if '=' in l)

    def is_held_down(self, name):
        """Whether its supervisor agrees that the agent is down and stays so."""
        if self.supervisor == 'systemd':
            return self.show(self.unit(name), 'ActiveState')['ActiveState'] == 'inactive'
        return name not in self.running()

    def assert_healthy(self, names, exact_sessions=True):
        """Every eye agrees: agents, their supervisor, their terminals, one server."""
        agents = self.wait_agents(names)
        sessions = self.sessions()
        if exact_sessions:
            extra = set(self.foreign.sessions) if self.foreign else set()
            self.assertEqual(set(sessions), set(names) | {'_holder'} | extra)
        self.assertEqual(len(self.servers()), 1, self.servers())
        ttys = [p.tty for p in agents.values()]
        self.assertEqual(len(set(ttys)), len(ttys), 'two agents share a terminal')
        if self.supervisor == 'systemd':
            server = self.servers()[0]
            self.assertTrue(server.cgroup.endswith('/' + HOLDER_UNIT), server)
            for name, p in agents.items():
                got = self.show(self.unit(name), 'ActiveState', 'SubState', 'MainPID', 'ControlGroup')
                self.assertEqual((got['ActiveState'], got['SubState'], got['MainPID']),
                                 ('active', 'running', str(p.pid)), name)
                self.assertEqual(p.cgroup, got['ControlGroup'])
        return agents

    def state_files(self, name):
        """Files of ours that belong to one agent."""
        found = []
        for top in (self.bed.home, self.bed.run_dir):
            for d, dirs, files in os.walk(top):
                if '/starts' in d or '/dump' in d or '/work' in d:
                    continue
                for f in dirs + files:
                    if f in (name, name + '.json', self.unit(name), self.unit(name) + '.d'):
                        found.append(os.path.join(d, f))
        return found

    # --- said when a test fails ---

    def describe(self):
        said = ['--- the program\'s last words:']
        said += [repr(r) for r in self.results[-4:]]
        try:
            said.append('--- running: %s' % sorted((n, p.pid) for n, p in self.running().items()))
            said.append('--- sessions: %s' % self.sessions())
            if self.bed.manager and self.bed.manager.poll() is None:
                said.append('--- units:\n' + self.bed.systemctl(
                    'list-units', '--all', '--plain', '--no-legend', 'mosaic*', timeout=5).out)
                said.append('--- manager:\n' + '\n'.join(self.bed.manager_log().splitlines()[-25:]))
        except (Failed, AssertionError) as e:
            said.append('--- %s' % e)
        return '\n'.join(said)


# --- running, and TAP -----------------------------------------------------------------------------

class _Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number, self.skips, self.bad = 0, [], 0

    def _line(self, good, test, rest='', body=''):
        self.number += 1
        print('%s %d - %s%s' % ('ok' if good else 'not ok', self.number, self._name(test), rest))
        for line in body.splitlines():
            print('# ' + line)
        sys.stdout.flush()

    @staticmethod
    def _name(test):
        return test.id().replace('__main__.', '')

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.outcome = None
        self.words = []

    def addSuccess(self, test):
        self.outcome = self.outcome or 'ok'

    def _bad(self, test, err):
        self.outcome = 'not ok'
        self.words.append(self._exc_info_to_string(err, test))
        if hasattr(test, 'describe') and getattr(test, 'bed', None) is not None:
            self.words.append(test.describe())

    def addError(self, test, err):
        if isinstance(test, unittest.TestCase):
            self._bad(test, err)
        else:  # setUpClass
            self.bad += 1
            self._line(False, test, body=self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        self._bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._bad(test, err)

    def addSkip(self, test, reason):
        self.outcome = 'skip'
        self.reason = reason
        self.skips.append(reason)
        if not isinstance(test, unittest.TestCase):
            self._line(True, test, ' # SKIP ' + reason)

    def stopTest(self, test):
        if self.outcome == 'skip':
            self._line(True, test, ' # SKIP ' + self.reason)
        else:
            good = self.outcome == 'ok'
            self.bad += not good
            self._line(good, test, '', '\n'.join(self.words) if not good else '')
        print('# %.2f s' % (time.monotonic() - self.began), flush=True)
        super().stopTest(test)


def _flat(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from _flat(t)
        else:
            yield t


def main():
    """Runs the scenarios of the calling module. `-k PATTERN` picks some (shell pattern, or a part)."""
    try:
        bedlib.become_root()
    except bedlib.Unavailable as e:
        if os.environ.get('MOSAIC_REQUIRE_ALL') == '1':
            print('Bail out! %s' % e)
            sys.exit(1)
        print('1..0 # SKIP %s' % e)
        sys.exit(0)

    def end(number, _):
        sys.exit(128 + number)  # the bed's end runs
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    patterns = [a for a in sys.argv[1:] if a != '-k']
    module = sys.modules['__main__']
    every = unittest.defaultTestLoader.loadTestsFromModule(module)
    chosen = [t for t in _flat(every) if not patterns or any(
        fnmatch.fnmatch(t.id(), p) or p in t.id() for p in patterns)]
    # loadTestsFromModule sorts by class; classes must stay together for setUpClass.
    if not os.path.exists(PROGRAM):
        print('Bail out! %s is not built' % PROGRAM)
        sys.exit(1)
    result = _Tap()
    unittest.TestSuite(_grouped(chosen)).run(result)
    # At the end: a class that is skipped as a whole counts once.
    print('1..%d' % result.number)
    print('# %d of %d good, %d skipped%s' % (
        result.number - result.bad - len(result.skips), result.number, len(result.skips),
        ': ' + '; '.join(sorted(set(result.skips))) if result.skips else ''))
    # Meson reads the lines; an exit code on top of them would count as a crash of the test.
    sys.exit(1 if result.bad and 'MESON_TEST_ITERATION' not in os.environ else 0)


def _grouped(tests):
    groups = {}
    for t in tests:
        groups.setdefault(type(t), []).append(t)
    return [unittest.TestSuite(g) for g in groups.values()]
