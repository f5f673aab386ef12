#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a pass may cost: a pass that changes nothing starts at most two programs, at any number of agents, and an
idle fleet does not wake up."""

import os
import re
import shutil
import time

import harness
from harness import Fleet


class Cost:
    def children(self, *args, code=0):
        """Processes made and programs run by the program itself (it is not counted)."""
        log = self.bed.home + '/trace'
        r = self.bed.run(['strace', '-f', '-qq', '-o', log, '-e', 'trace=execve,clone,clone3,fork,vfork',
                          self.program, 'fleet'] + list(args), timeout=120)
        self.assertEqual(r.code, code, r)
        text = self.bed.read(log)
        # A call that another one interrupts has its result in the line that resumes it.
        made = [l for l in text.splitlines() if re.search(r'\b(clone|clone3|fork|vfork)\b.*= \d+$', l)
                and 'CLONE_THREAD' not in l]
        run = [l for l in text.splitlines() if re.search(r'\bexecve\b.*= 0$', l)]
        return len(made), len(run) - 1, text

    def no_op(self, n):
        if not shutil.which('strace'):
            harness.skip('strace', 'strace is not installed')
        names = ['a%d' % i for i in range(n)]
        self.bring_up(names)
        for args in (['apply', '--yes'], ['plan'], ['verify'], ['status']):
            made, run, text = self.children(*args)
            print('# %s at N=%d: %d processes, %d programs' % (args[0], n, made, run))
            self.assertLessEqual(max(made, run), 2, '%s at N=%d:\n%s' % (args[0], n, text))

    def test_no_op_pass_1(self):
        self.no_op(1)

    def test_no_op_pass_50(self):
        self.no_op(50)

    def test_a_creating_pass_starts_few_programs(self):
        if not shutil.which('strace'):
            harness.skip('strace', 'strace is not installed')
        names = ['a%d' % i for i in range(50)]
        self.bring_up(['seed'])
        self.roster(['seed'] + names)
        made, run, text = self.children('apply', '--yes')
        print('# creating 50: %d processes, %d programs' % (made, run))
        self.assertLessEqual(run, 10, text)
        self.wait_agents(['seed'] + names)

    def test_keepers_sleep(self):
        names = ['a%d' % i for i in range(100)]
        self.bring_up(names)
        pids = [self.keeper(n) for n in names]
        for n in names:
            self.wait_up(n)

        def switches():
            total = 0
            for pid in pids:
                with open('/proc/%d/status' % pid) as f:
                    total += sum(int(m) for m in re.findall(r'ctxt_switches:\s+(\d+)', f.read()))
            return total
        time.sleep(0.3)
        before = switches()
        time.sleep(2)
        self.assertEqual(switches() - before, 0, 'keepers woke up')
        sizes = []
        for pid in pids:
            with open('/proc/%d/smaps_rollup' % pid) as f:
                sizes.append(int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M).group(1)))
        print('# keepers: PSS %d to %d KiB' % (min(sizes), max(sizes)))
        self.assertLessEqual(max(sizes), 64)
        for pid in pids:
            self.assertEqual(len(os.listdir('/proc/%d/task' % pid)), 1)


class CostSystemd(Cost, Fleet):
    pass


class CostDirect(Cost, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
