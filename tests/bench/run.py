#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Benchmarks of the program, each beside its floor, measured in the same run in a bed (tests/lib/bed.py).

    tests/bench/run.py [--json] [-n 10,100,500,1000] [--rounds 3] [--only observe,apply] [--program build/mosaic]
                       [--first] [--rivals-n 100] [--pm2 DIR]

Every figure is a median. Wall: of the command. CPU: of everything the bed's user ran meanwhile (manager, tmux
server, helpers, clients), from the bed's cgroup. Ratios are program to floor. Needs root, like the bed.

  observe      `fleet plan` on a converged fleet; floor: the larger of one `tmux list-panes -a -F ...` and one
               ListUnitsByPatterns program
  no-op        `fleet apply` on a converged fleet; floor: observe
  edit         `fleet apply` after an edit of one line that restarts nobody; floor: no-op
  apply        `fleet apply` from nothing at all; floor: as many plain Type=exec `sleep` units, pipelined
  chain        what tmux itself takes for as many sessions, all in one client; beside the same units
  start again  `fleet start` of stopped agents in their kept panes; floor: the units
  stop names   `fleet stop NAME...` of all agents, panes kept; floor: as many plain units stopped, pipelined
  stop         `fleet stop`: agents, sessions, server; the same floor
  server lost  SIGKILL to the tmux server until every agent runs again, no program of ours called; floor: apply
  load         reading and checking a roster (no bed); floor: the YAML library's bare event loop. See load.py
  planner      the planner alone, up to 100,000 agents (no bed); no floor
  controller   a saved edit to its last action, SIGKILL to noticed and to back, wake-ups, memory. See watch.py
  rivals       the same small job by mosaic, supervisor, pm2, tmuxp, tmuxinator, where they are. See rivals.py

--first: for a machine with other work. The bed gets most of the processors, and while observe and no-op are measured it is
scheduled before all else. --pm2: where its program is; without it npm is asked for it once, into a temporary directory.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
sys.path.insert(0, HERE)

import bed as bedlib  # noqa: E402
import roster_maker  # noqa: E402

SOCKET = 'mosaic-factory'
LIST_FORMAT = '\t'.join('#{%s}' % f for f in (
    'session_id', 'session_name', 'pane_id', 'pane_pid', 'pane_dead', 'session_created', 'session_attached',
    'window_panes', '@mosaic'))
UNIT = '[Service]\nType=exec\nExecStart=/bin/sleep 1000000\n'
# Goals: ratios of wall and of CPU, and absolute ones. docs/performance.md says which are met, and what is in the way.
WALL_GOALS = {'observe': 1.3, 'no-op': 1.2, 'apply': 1.5, 'server lost': 2.0}
CPU_GOALS = {'apply': 1.8, 'start again': 1.3}
STOP_CPU_MS = 1.5
PLANNER_MS = 20
SCENES = ('in-sync', 'cold', 'changed', 'held', 'chained', 'removed')
PARTS = ('observe', 'no-op', 'edit', 'apply', 'chain', 'start again', 'stop names', 'stop', 'server lost', 'load', 'planner',
         'controller', 'rivals')


class Bench:
    def __init__(self, program, rounds, first=False):
        self.rounds, self.first = rounds, first
        self.bed = bedlib.Bed()
        try:
            opt = self.bed.root + '/opt'
            os.makedirs(opt + '/bin')
            os.makedirs(opt + '/libexec/mosaic')
            self.program = shutil.copy(program, opt + '/bin/mosaic')
            for part in ('mosaic-keeper', 'mosaic-launcher'):
                shutil.copy(os.path.join(os.path.dirname(program), part), opt + '/libexec/mosaic/')
            self.floor = opt + '/floor-units'
            flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'libsystemd'], check=True,
                                   capture_output=True, text=True).stdout.split()
            subprocess.run([os.environ.get('CC', 'cc'), '-std=gnu17', '-O2', '-D_GNU_SOURCE', '-o', self.floor,
                            HERE + '/floor-units.c'] + flags, check=True)
            self.bed.path = [opt + '/bin']
        except BaseException:
            self.bed.close()
            raise

    def reset(self):
        """A bed as new; with --first most of the processors are its own, if it wants them."""
        self.bed.reset()
        for h in bedlib.hierarchies():
            for name, most in (('cpu.shares', '262144'), ('cpu.weight', '10000')):
                path = os.path.join(h.mount, self.bed.name, name)
                if self.first and os.path.exists(path):
                    with open(path, 'w') as out:
                        out.write(most)

    def go_first(self, on):
        """Everything in the bed, and nothing else, is scheduled before all other work (SCHED_RR), or no longer. Only for
        what is short: nobody may keep a processor so for long."""
        def give(folder, usec):
            if os.path.exists(folder + '/cpu.rt_runtime_us'):
                with open(folder + '/cpu.rt_runtime_us', 'w') as out:
                    out.write(str(usec))
            below = [e.path for e in os.scandir(folder) if e.is_dir()]
            for path in below:
                give(path, usec * 95 // 100 // len(below))
        for h in bedlib.hierarchies():
            if self.first and on and (h.v2 or 'cpu' in h.names):
                give(os.path.join(h.mount, self.bed.name), 900000)
        if self.first:
            policy = (os.SCHED_RR, os.sched_param(1)) if on else (os.SCHED_OTHER, os.sched_param(0))
            for pid in [p.pid for p in self.bed.processes()] + [0]:
                os.sched_setscheduler(pid, *policy)

    def timed(self, argv, count=1, allowed=(0,)):
        """Runs a command @count times; returns medians (wall ms, CPU ms of the whole tree)."""
        self.settle()
        before = self.bed.cpu_usec()
        r = self.bed.run([self.floor, 'time', str(count)] + argv, timeout=300, check=True)
        self.settle()
        # The timer itself is in the bed too: its own part is below 0.1 ms a run.
        cpu = (self.bed.cpu_usec() - before) / 1000 / count
        walls = []
        for line in r.out.splitlines():
            wall, _, code = line.split()
            if int(code) not in allowed:
                again = self.bed.run(argv)
                raise SystemExit('exit code %s: %r' % (code, again))
            walls.append(int(wall) / 1000)
        return statistics.median(walls), cpu

    def settle(self):
        """Waits until the bed is quiet, so that a figure has its own CPU time and nothing else's."""
        deadline = time.monotonic() + 5
        last = self.bed.cpu_usec()
        while time.monotonic() < deadline:
            time.sleep(0.05)
            now = self.bed.cpu_usec()
            if now - last < 1000:
                return
            last = now

    def fleet(self, *args, **more):
        return self.timed([self.program, 'fleet'] + list(args), **more)

    def fresh(self, n):
        self.reset()
        self.bed.linger(True)
        run = [self.program, 'fleet']
        self.bed.run(run + ['init', '--profile', 'minimal', '--write'], check=True)
        self.bed.run(run + ['install-systemd'], check=True)
        lines = ['version: 1', 'runtimes:', '  sleeper:', '    command: [/bin/sleep, "1000000"]', 'agents:']
        for i in range(n):
            self.bed.mkdir('work/a%d' % i)
            lines.append('  a%d: {runtime: sleeper, workdir: ~/work/a%d}' % (i, i))
        self.bed.write('.config/mosaic/fleet/roster.yaml', '\n'.join(lines) + '\n', 0o600)

    def sleepers(self):
        return {p.key for p in self.bed.processes() if p.argv[:2] == ['/bin/sleep', '1000000']}

    def server(self):
        r = self.bed.tmux('display-message', '-p', '#{pid}', socket_name=SOCKET, check=True)
        return int(r.out)

    def floors(self, n):
        starts, stops = [], []
        for _ in range(self.rounds):
            self.reset()
            self.bed.write('.config/systemd/user/floor-@.service', UNIT)
            starts.append(self.timed([self.floor, 'start', 'floor-@', str(n)]))
            assert len(self.sleepers()) == n
            stops.append(self.timed([self.floor, 'stop', 'floor-@', str(n)]))
            assert not self.sleepers()
        return median(starts), median(stops)

    def chain(self, n):
        """As many sessions as agents, made by one client of a server that is there."""
        self.reset()
        quiet = '/bin/sleep 1000000'
        path = self.bed.write('chain', ''.join(
            'new-session -d -s a%d -x 200 -y 50 "exec %s"\n' % (i, quiet) for i in range(n)))
        tmux = ['tmux', '-L', 'chain', '-f', '/dev/null']
        self.bed.run(tmux + ['new-session', '-d', '-s', '_first', quiet], check=True)
        found = self.timed(tmux + ['source-file', path])
        assert len(self.sleepers()) == n + 1
        self.bed.run(tmux + ['kill-server'], check=True)
        return found

    def looks(self, found, wanted):
        """observe, no-op, edit: on a fleet that is converged."""
        count = 21
        self.go_first(True)
        try:
            listing = self.timed(['tmux', '-N', '-L', SOCKET, 'list-panes', '-a', '-F', LIST_FORMAT], count)
            units = self.timed([self.floor, 'list', 'mosaic-*'], count)
            observe = self.fleet('plan', count=count)
            noop = self.fleet('apply', '--yes', count=count)
        finally:
            self.go_first(False)
        found['observe'] = (observe, max(listing, units))
        found['no-op'] = (noop, observe)
        if 'edit' in wanted:
            edits = []
            for number in range(5):
                edit(self.bed, number)
                edits.append(self.fleet('apply', '--yes'))
            found['edit'] = (median(edits), noop)

    def measure(self, n, wanted):
        """Program and floor of each part: {name: ((wall, CPU), (wall, CPU))}."""
        found = {}
        changes = [p for p in ('apply', 'start again', 'stop names', 'stop', 'server lost') if p in wanted]
        start_floor = stop_floor = None
        if changes or 'chain' in wanted:
            start_floor, stop_floor = self.floors(n)
        floors = {'apply': start_floor, 'start again': start_floor, 'stop names': stop_floor, 'stop': stop_floor}
        values = {name: [] for name in changes}
        for number in range(self.rounds if changes else 1 if wanted & {'observe', 'no-op', 'edit'} else 0):
            self.fresh(n)
            applied = self.fleet('apply', '--yes')
            old = self.sleepers()
            assert len(old) == n, '%d of %d agents run' % (len(old), n)
            round_of = {'apply': lambda: applied, 'server lost': lambda: self.lose_server(n, old),
                        'stop names': lambda: self.fleet('stop', *['a%d' % i for i in range(n)]),
                        'start again': lambda: self.fleet('start'), 'stop': lambda: self.fleet('stop')}
            if number == 0 and wanted & {'observe', 'no-op', 'edit'}:
                self.looks(found, wanted)
                assert self.sleepers() == old
            if 'start again' in values and 'stop names' not in values:
                round_of['start again'] = lambda: (round_of['stop names'](), self.fleet('start'))[1]
            for name in ('apply', 'server lost', 'stop names', 'start again', 'stop'):
                if name in values:
                    values[name].append(round_of[name]())
                    assert len(self.sleepers()) == (0 if name.startswith('stop') else n), name
        for name in changes:
            found[name] = (median(values[name]), floors.get(name) or median(values['apply'] or [applied]))
        if 'chain' in wanted:
            found['chain'] = (median([self.chain(n) for _ in range(self.rounds)]), start_floor)
        return found

    def lose_server(self, n, old):
        self.settle()
        before = self.bed.cpu_usec()
        began = time.monotonic()
        os.kill(self.server(), 9)
        deadline = began + 300
        while True:
            now = self.sleepers() - old
            if len(now) == n:
                break
            if time.monotonic() > deadline:
                raise SystemExit('server lost: %d of %d agents are back' % (len(now), n))
            time.sleep(0.01)
        wall = (time.monotonic() - began) * 1000
        self.settle()
        return wall, (self.bed.cpu_usec() - before) / 1000


def median(pairs):
    return tuple(statistics.median(p[i] for p in pairs) for i in (0, 1))


def edit(bed, number):
    """Saves a roster whose agent a0 waits another time before a restart; returns when."""
    path = bed.path_of('.config/mosaic/fleet/roster.yaml')
    text = bed.read('.config/mosaic/fleet/roster.yaml').splitlines()
    for i, line in enumerate(text):
        if line.startswith('  a0: '):
            text[i] = '  a0: {runtime: sleeper, workdir: ~/work/a0, restart: {delay: %ds}}' % (1 + number % 50)
    bed.write('.config/mosaic/fleet/next.yaml', '\n'.join(text) + '\n', 0o600)
    began = time.time()
    os.rename(bed.path_of('.config/mosaic/fleet/next.yaml'), path)
    return began


# --- rows -----------------------------------------------------------------------------------------

def goals_of(row):
    name, n = row['what'], row['n']
    goals = []
    if n >= 100 and name in WALL_GOALS:
        goals.append(('wall_ratio', WALL_GOALS[name]))
    if n >= 100 and name in CPU_GOALS:
        goals.append(('cpu_ratio', CPU_GOALS[name]))
    if n >= 100 and name == 'stop names':
        goals.append(('cpu_ms_per_agent', STOP_CPU_MS))
    if name == 'planner' and n == 10000:
        goals.append(('cpu_ms', PLANNER_MS))
    return [{'of': of, 'at_most': most, 'met': row[of] <= most} for of, most in goals]


def row_of(name, n, value, floor):
    (wall, cpu), row = value, {'what': name, 'n': n}
    row.update(wall_ms=round(wall, 2), cpu_ms=round(cpu, 2), cpu_ms_per_agent=round(cpu / n, 3))
    if floor:
        row.update(floor_wall_ms=round(floor[0], 2), wall_ratio=round(wall / floor[0], 2), floor_cpu_ms=round(floor[1], 2),
                   cpu_ratio=round(cpu / max(floor[1], 0.01), 2))
    row['goals'] = goals_of(row)
    return row


class Table:
    """Rows as they come, as text; all of them at the end, as JSON."""

    def __init__(self, json_wanted):
        self.rows, self.others, self.absent, self.text = [], {}, [], not json_wanted
        self.say('%-20s %6s %9s %9s %6s %9s %9s %6s %9s  %s' % (
            'what', 'N', 'wall ms', 'floor ms', 'ratio', 'CPU ms', 'floor ms', 'ratio', 'CPU/agent', 'goal'))

    def say(self, text):
        if self.text:
            print(text, flush=True)

    def add(self, row):
        self.rows.append(row)
        said = ', '.join('%s <= %s: %s' % (g['of'], g['at_most'], 'met' if g['met'] else 'MISSED') for g in row['goals'])
        cells = [('%9.1f' % row[k] if k.endswith('ms') else '%6.2f' % row[k]) if k in row else ' ' * (9 if k.endswith('ms') else 6)
                 for k in ('wall_ms', 'floor_wall_ms', 'wall_ratio', 'cpu_ms', 'floor_cpu_ms', 'cpu_ratio')]
        label = row['what'] + (' ' + row['of'] if 'of' in row else '')
        self.say('%-20s %6d %s %9.3f  %s' % (label, row['n'], ' '.join(cells), row['cpu_ms_per_agent'], said))

    def add_absent(self, what):
        self.absent.append(what)
        self.say('absent: ' + what)


def programs_alone(table, build, wanted):
    """What needs no bed: programs of the build directory that repeat one thing in one process."""
    def run(*argv):
        return json.loads(subprocess.run([os.path.join(build, 'tests', 'bench', argv[0])] + [str(a) for a in argv[1:]],
                                         check=True, capture_output=True, text=True).stdout)
    for part, program in (('load', 'load-roster'), ('planner', 'plan-fleet')):
        if part in wanted and not os.path.exists(os.path.join(build, 'tests', 'bench', program)):
            table.add_absent('%s: %s is not built' % (part, program))
            wanted = wanted - {part}
    if 'load' in wanted:
        for n in (10, 100, 1000):
            with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
                f.write(roster_maker.yaml(roster_maker.document(n)))
                f.flush()
                ours, floor = run('load-roster', f.name, 20, 'valid'), run('floor-yaml', f.name, 20)
            table.add(row_of('load', n, (ours['median_ms'], ours['cpu_median_ms']),
                             (floor['median_ms'], floor['cpu_median_ms'])))
    if 'planner' in wanted:
        for scene in SCENES:
            for n in (1000, 10000, 100000):
                r = run('plan-fleet', scene, n, 21 if n < 100000 else 5)
                row = row_of('planner', n, (r['median_ms'], r['cpu_median_ms']), None)
                row['of'] = scene
                table.add(row)


def controller(table, bench, numbers):
    import watch
    args = argparse.Namespace(passes=100, saves=10, idle=20)
    for n in numbers:
        row = watch.measure(bench, n, args)
        table.others.setdefault('controller', []).append(row)
        table.say('controller, N = %d' % n)
        for key, value in row.items():
            if key not in ('n', 'passes'):
                table.say('  %-24s %10s' % (key, value))


def rival_rows(table, bench, n, pm2):
    import rivals
    with tempfile.TemporaryDirectory(prefix='mosaic-rivals-') as there:
        os.chmod(there, 0o755)
        where = pm2 or rivals.install_pm2(there)
        if where:
            bench.bed.path.append(where)
        table.say('%-20s %6s   %s   (wall ms / CPU ms)' % ('rival', 'N', '  '.join('%-17s' % w for w in (
            'start', 'status', 'kill to back', 'stop'))))
        for kind in rivals.ALL:
            rival = kind(bench)
            name = rival.found()
            if not name:
                table.add_absent('%s: not installed here' % rival.name)
                continue
            try:
                steps = rivals.measure(bench, rival, n)
            except RuntimeError as e:
                table.add_absent('%s with %d: %s' % (name, n, str(e)[:200]))
                continue
            table.others.setdefault('rivals', []).append({'name': name, 'n': n, **{
                k: {'wall_ms': round(w, 1), 'cpu_ms': round(c, 1)} for k, (w, c) in steps.items()}})
            table.say('%-20s %6d   %s' % (name, n, '  '.join('%-17s' % (
                '%.0f / %.0f' % steps[k] if k in steps else 'does not') for k in ('start', 'status', 'back', 'stop'))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true')
    parser.add_argument('-n', default='10,100,500,1000', help='numbers of agents (10,100,500,1000)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', default='', help='parts, separated by commas: ' + ', '.join(PARTS))
    parser.add_argument('--first', action='store_true', help='the bed goes first; for a machine with other work')
    parser.add_argument('--rivals-n', type=int, default=100)
    parser.add_argument('--pm2', help='directory of the program pm2')
    parser.add_argument('--program', default=os.environ.get('MOSAIC_PROGRAM') or ROOT + '/build/mosaic')
    args = parser.parse_args()
    wanted = {p.strip() for p in args.only.split(',') if p.strip()} or set(PARTS)
    if wanted - set(PARTS):
        parser.error('no such part: ' + ', '.join(sorted(wanted - set(PARTS))))
    load = os.getloadavg()[0]
    try:
        bedlib.become_root()
        bench = Bench(os.path.abspath(args.program), args.rounds, args.first)
    except bedlib.Unavailable as e:
        print('SKIP %s' % e, file=sys.stderr)
        return bedlib.SKIP
    table = Table(args.json)
    programs_alone(table, os.path.dirname(os.path.abspath(args.program)), wanted)
    with bench.bed:
        numbers = [int(x) for x in args.n.split(',')]
        for n in numbers:
            for name, (value, floor) in bench.measure(n, wanted).items():
                if name in wanted:
                    table.add(row_of(name, n, value, floor))
        if 'controller' in wanted:
            controller(table, bench, numbers)
        if 'rivals' in wanted:
            rival_rows(table, bench, args.rivals_n, args.pm2)
    if args.json:
        json.dump({'format': 'mosaic.bench', 'version': '2.0', 'rounds': args.rounds, 'load_before': load,
                   'processors': os.cpu_count(), 'rows': table.rows, 'absent': table.absent, **table.others},
                  sys.stdout, indent=1)
        print()
    return 0


if __name__ == '__main__':
    sys.exit(main())
