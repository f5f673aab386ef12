#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Benchmarks of the program, each beside its floor, measured in the same run in a bed (tests/lib/bed.py).

    tests/bench/run.py [--json] [-n 10,100,500] [--rounds 3] [--only observe,apply] [--program build/mosaic]

Every figure is a median. Wall: of the command. CPU: of everything the bed's user ran meanwhile (manager, tmux
server, helpers, clients), from the bed's cgroup. Ratios are program to floor. Needs root, like the bed.

  observe      `fleet plan` on a converged fleet; floor: the larger of one `tmux list-panes -a -F ...` and one
               ListUnitsByPatterns program
  no-op        `fleet apply` on a converged fleet; floor: observe
  apply        `fleet apply` from nothing at all; floor: as many plain Type=exec `sleep` units, pipelined
  start again  `fleet start` of stopped agents in their kept panes; same floor
  stop         `fleet stop`: agents, sessions, server; floor: as many plain units stopped, pipelined
  server lost  SIGKILL to the tmux server until every agent runs again, no program of ours called; floor: apply
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))

import bed as bedlib  # noqa: E402

SOCKET = 'mosaic-factory'
LIST_FORMAT = '\t'.join('#{%s}' % f for f in (
    'session_id', 'session_name', 'pane_id', 'pane_pid', 'pane_dead', 'session_created', 'session_attached',
    'window_panes', '@mosaic'))
UNIT = '[Service]\nType=exec\nExecStart=/bin/sleep 1000000\n'
# What the process model was found to be able to do; ratios of wall, of CPU, and CPU per agent in ms.
GOALS = {'observe': {100: 1.7, 500: 1.3}, 'no-op': {10: 1.2, 100: 1.2, 500: 1.2},
         'apply': {100: 2.0, 500: 2.0}, 'server lost': {100: 2.0, 500: 2.0}}
CPU_GOALS = {'apply': 2.2, 'start again': 1.3}


class Bench:
    def __init__(self, program, rounds):
        self.rounds = rounds
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

    def go_first(self):
        """On a machine with other work: everything in the bed, and nothing else, is scheduled first (SCHED_RR), so
        that wall times are those of what is measured and not of the queue. The same for program and floor."""
        for h in bedlib.hierarchies():
            path = os.path.join(h.mount, self.bed.name, 'cpu.rt_runtime_us')
            if os.path.exists(path):
                with open(path, 'w') as out:
                    out.write('900000')
        for pid in [p.pid for p in self.bed.processes()] + [0]:
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))

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
        self.bed.reset()
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
            self.bed.reset()
            self.bed.write('.config/systemd/user/floor-@.service', UNIT)
            starts.append(self.timed([self.floor, 'start', 'floor-@', str(n)]))
            assert len(self.sleepers()) == n
            stops.append(self.timed([self.floor, 'stop', 'floor-@', str(n)]))
            assert not self.sleepers()
        return median(starts), median(stops)

    def measure(self, n, only):
        found = {}

        def want(*names):
            return not only or any(x in only for x in names)

        start_floor = stop_floor = None
        if want('apply', 'start again', 'stop', 'server lost'):
            start_floor, stop_floor = self.floors(n)
        applies, agains, stops, losts = [], [], [], []
        rounds = self.rounds if want('apply', 'start again', 'stop', 'server lost') else 1
        for number in range(rounds):
            self.fresh(n)
            applies.append(self.fleet('apply', '--yes'))
            old = self.sleepers()
            assert len(old) == n, '%d of %d agents run' % (len(old), n)
            if number == 0 and want('observe', 'no-op'):
                count = 11 if n > 100 else 21
                listing = self.timed(['tmux', '-N', '-L', SOCKET, 'list-panes', '-a', '-F', LIST_FORMAT], count)
                units = self.timed([self.floor, 'list', 'mosaic-*'], count)
                floor = max(listing, units)
                observe = self.fleet('plan', count=count)
                found['observe'] = (observe, floor)
                found['no-op'] = (self.fleet('apply', '--yes', count=count), observe)
                assert self.sleepers() == old
            if want('server lost'):
                losts.append(self.lose_server(n, old))
            if want('start again'):
                names = ['a%d' % i for i in range(n)]
                self.bed.run([self.program, 'fleet', 'stop'] + names, check=True, timeout=300)
                assert not self.sleepers()
                agains.append(self.fleet('start'))
                assert len(self.sleepers()) == n
            if want('stop'):
                stops.append(self.fleet('stop'))
                assert not self.sleepers()
        for name, values, floor in (('apply', applies, start_floor), ('start again', agains, start_floor),
                                    ('stop', stops, stop_floor), ('server lost', losts, None)):
            if values and want(name):
                found[name] = (median(values), floor or median(applies))
        return found

    def lose_server(self, n, old):
        self.settle()
        before = self.bed.cpu_usec()
        began = time.monotonic()
        os.kill(self.server(), 9)
        deadline = began + 60
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true')
    parser.add_argument('-n', default='10,100,500', help='numbers of agents (10,100,500)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', default='', help='parts, separated by commas')
    parser.add_argument('--program', default=os.environ.get('MOSAIC_PROGRAM') or ROOT + '/build/mosaic')
    args = parser.parse_args()
    only = [p.strip() for p in args.only.split(',') if p.strip()]
    try:
        bedlib.become_root()
        bench = Bench(os.path.abspath(args.program), args.rounds)
    except bedlib.Unavailable as e:
        print('SKIP %s' % e, file=sys.stderr)
        return bedlib.SKIP
    rows = []
    if not args.json:
        print('%-12s %5s %10s %10s %7s %10s %10s %7s %9s  %s' % (
            'what', 'N', 'wall ms', 'floor ms', 'ratio', 'CPU ms', 'floor ms', 'ratio', 'CPU/agent', 'goal'))
    with bench.bed:
        for n in [int(x) for x in args.n.split(',')]:
            for name, ((wall, cpu), (floor_wall, floor_cpu)) in bench.measure(n, only).items():
                row = {'what': name, 'n': n, 'wall_ms': round(wall, 2), 'floor_wall_ms': round(floor_wall, 2),
                       'wall_ratio': round(wall / floor_wall, 2), 'cpu_ms': round(cpu, 2),
                       'floor_cpu_ms': round(floor_cpu, 2), 'cpu_ratio': round(cpu / max(floor_cpu, 0.01), 2),
                       'cpu_ms_per_agent': round(cpu / n, 2)}
                goals = []
                if n in GOALS.get(name, {}):
                    goals.append(('wall', row['wall_ratio'], GOALS[name][n]))
                if name in CPU_GOALS and n >= 100:
                    goals.append(('CPU', row['cpu_ratio'], CPU_GOALS[name]))
                if name == 'stop' and n >= 100:
                    goals.append(('CPU/agent', row['cpu_ms_per_agent'], 1.5))
                row['goals'] = [{'of': w, 'at_most': g, 'met': v <= g} for w, v, g in goals]
                rows.append(row)
                if not args.json:
                    said = ', '.join('%s <= %s: %s' % (w, g, 'met' if v <= g else 'MISSED') for w, v, g in goals)
                    print('%-12s %5d %10.1f %10.1f %7.2f %10.1f %10.1f %7.2f %9.2f  %s' % (
                        name, n, wall, floor_wall, row['wall_ratio'], cpu, floor_cpu, row['cpu_ratio'],
                        row['cpu_ms_per_agent'], said), flush=True)
    if args.json:
        json.dump({'format': 'mosaic.bench', 'version': '1.0', 'rounds': args.rounds,
                   'load_before': os.getloadavg()[0], 'rows': rows}, sys.stdout, indent=1)
        print()
    return 0


if __name__ == '__main__':
    sys.exit(main())
