#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the controller costs, and how fast it is, in a bed (tests/lib/bed.py).

    tests/bench/watch.py [--json] [-n 10,100,1000] [--passes 1000] [--saves 40] [--idle 60] [--program build/mosaic]

  idle      wake-ups a minute (context switches of its process) with the watchdog on and no resync due; its memory
  passes    memory, descriptors and children after so many passes, against those after the first ten
  begun     from the rename of the roster to the first thing that is done for it: the agent's drop-in is written
  reaction  from the rename of the roster to the end of the first action, a reload of systemd included; floor: the
            quiet time that it waits for (75 ms) and `fleet apply` of the same edit
  back      from SIGKILL of an agent until another one runs; the pause before a restart (1 s) is part of it
  noticed   from SIGKILL of an agent to the end of the pass that saw it; floor: the quiet time and `fleet plan`
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

import run as bench
from run import bedlib

QUIET_MS = 75
DROPIN = '.config/systemd/user/mosaic-agent@a0.service.d/50-mosaic.conf'  # of the agent that is edited


class Controller:
    def __init__(self, b, resync):
        self.b = b
        self.path = b.bed.path_of('watch.log')
        listener = b.bed.run_dir + '/notify'
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.path.exists(listener):
            os.unlink(listener)
        self.notify.bind(listener)
        os.chmod(listener, 0o777)
        threading.Thread(target=self.read_notifications, daemon=True).start()
        with open(self.path, 'wb') as out:
            self.process = b.bed.popen(
                [b.program, 'fleet', 'watch', '--json', '--resync', resync], stdout=out, stderr=subprocess.STDOUT,
                env={'NOTIFY_SOCKET': listener, 'WATCHDOG_USEC': '180000000'})
        self.pid = self.process.pid
        wait(lambda: self.state() and self.state()['pid'] == self.pid and self.converged())

    def read_notifications(self):
        try:
            while self.notify.recv(4096):
                pass
        except OSError:
            pass

    def state(self):
        text = self.b.bed.read(self.b.bed.run_dir + '/mosaic/default/controller.json')
        return json.loads(text) if text else None

    def converged(self):
        return any(c['type'] == 'Converged' and c['status'] for c in self.state()['conditions'])

    def passes(self):
        return self.state()['passes']

    def ask(self):
        before = self.passes()
        os.kill(self.pid, signal.SIGHUP)
        wait(lambda: self.passes() > before)

    def status(self, *keys):
        with open('/proc/%d/status' % self.pid) as f:
            lines = dict(line.split(':', 1) for line in f)
        return [int(lines[k].split()[0]) for k in keys]

    def pss(self):
        with open('/proc/%d/smaps_rollup' % self.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith('Pss:'))

    def descriptors(self):
        return len(os.listdir('/proc/%d/fd' % self.pid))

    def events(self, kind):
        with open(self.path) as f:
            return [e for e in map(json.loads, (x for x in f if x.endswith('\n'))) if e['event'] == kind]

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        self.notify.close()


def wait(condition, timeout=120):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("not within %d s" % timeout)
        time.sleep(0.002)


def quantiles(values):
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def measure(b, n, args):
    b.fresh(n)
    b.fleet('apply', '--yes')
    plan = b.fleet('plan', count=5)[0]
    applies = []
    for i in range(5):
        bench.edit(b.bed, i)
        applies.append(b.fleet('apply', '--yes')[0])
    row = {'n': n}
    c = Controller(b, '1d')
    try:
        for _ in range(10):
            c.ask()
        rss, fds = c.status('VmRSS')[0], c.descriptors()
        began, switches = time.monotonic(), sum(c.status('voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'))
        time.sleep(args.idle)
        woken = sum(c.status('voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches')) - switches
        row['wakeups_per_minute'] = round(woken * 60 / (time.monotonic() - began), 2)
        row['rss_kib'], row['pss_kib'] = rss, c.pss()
        for _ in range(args.passes):
            c.ask()
        row['passes'] = args.passes
        row['rss_growth_kib'] = c.status('VmRSS')[0] - rss
        row['descriptors_growth'] = c.descriptors() - fds
        times, begun = [], []
        for i in range(args.saves):
            seen = len(c.events('action'))
            began = bench.edit(b.bed, 10 + i)
            wait(lambda: len(c.events('action')) > seen)
            times.append(c.events('action')[seen]['at_usec'] / 1000 - 1000 * began)
            begun.append(1000 * (os.stat(b.bed.path_of(DROPIN)).st_mtime - began))
        p50, p99 = quantiles(begun)
        row.update(begun_p50_ms=round(p50, 1), begun_p99_ms=round(p99, 1))
        p50, p99 = quantiles(times)
        floor = QUIET_MS + statistics.median(applies)
        row.update(reaction_p50_ms=round(p50, 1), reaction_p99_ms=round(p99, 1), reaction_floor_ms=round(floor, 1),
                   reaction_ratio=round(p50 / floor, 2))
        times, backs = [], []
        for _ in range(min(args.saves, 20)):
            wait(lambda: len(b.sleepers()) == n)
            c.ask()
            # Not a0: its pause before a restart is what was edited.
            victim = json.loads(b.bed.read(b.bed.run_dir + '/mosaic/default/run/a1.json'))['pid']
            before, began = c.passes(), time.time()
            os.kill(victim, signal.SIGKILL)
            wait(lambda: c.passes() > before)
            times.append(c.state()['last_pass']['at_usec'] / 1000 - 1000 * began)
            wait(lambda: len(b.sleepers()) == n)
            backs.append(1000 * (time.time() - began))
        p50, p99 = quantiles(times)
        row['back_p50_ms'] = round(statistics.median(backs), 1)
        row.update(noticed_p50_ms=round(p50, 1), noticed_p99_ms=round(p99, 1),
                   noticed_ratio=round(p50 / (QUIET_MS + plan), 2))
    finally:
        c.end()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true')
    parser.add_argument('-n', default='10,100,1000')
    parser.add_argument('--passes', type=int, default=1000)
    parser.add_argument('--saves', type=int, default=40)
    parser.add_argument('--idle', type=float, default=60)
    parser.add_argument('--program', default=os.environ.get('MOSAIC_PROGRAM') or bench.ROOT + '/build/mosaic')
    args = parser.parse_args()
    try:
        bedlib.become_root()
        b = bench.Bench(os.path.abspath(args.program), 1)
    except bedlib.Unavailable as e:
        print('SKIP %s' % e, file=sys.stderr)
        return bedlib.SKIP
    rows = []
    with b.bed:
        for n in [int(x) for x in args.n.split(',')]:
            row = measure(b, n, args)
            row['goals'] = [{'of': w, 'at_most': g, 'met': row[w] <= g} for w, g in (
                ('wakeups_per_minute', 2), ('rss_kib', 8192), ('rss_growth_kib', 128), ('descriptors_growth', 0),
                ('begun_p99_ms', 300))]
            rows.append(row)
            if not args.json:
                print('N = %d' % n)
                for key, value in row.items():
                    goal = [g for g in row['goals'] if g['of'] == key]
                    if key not in ('n', 'goals'):
                        print('  %-22s %10s  %s' % (key, value, '<= %s: %s' % (
                            goal[0]['at_most'], 'met' if goal[0]['met'] else 'MISSED') if goal else ''), flush=True)
    if args.json:
        json.dump({'format': 'mosaic.bench.watch', 'version': '1.0', 'rows': rows}, sys.stdout, indent=1)
        print()
    return 0


if __name__ == '__main__':
    sys.exit(main())
