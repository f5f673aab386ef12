#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the built programs carry against exploits of a fault in them, read back from the files with readelf(1)."""

import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'integration/fleet'))

import harness  # noqa: E402

BUILD = os.path.dirname(harness.PROGRAM)


def readelf(name, *options):
    env = dict(os.environ, LC_ALL='C')
    return subprocess.run(['readelf', '-W', *options, os.path.join(BUILD, name)], check=True, env=env, text=True,
                          stdout=subprocess.PIPE).stdout


class TestHardening(unittest.TestCase):
    def no_executable_stack(self, name):
        flags = re.findall(r'GNU_STACK\s+(?:0x\w+\s+){5}([RWE ]+?)\s+0x', readelf(name, '-l'))
        self.assertEqual(flags, ['RW'])

    def test_programs(self):
        for name in ('mosaic', 'mosaic-launcher'):
            with self.subTest(name):
                self.no_executable_stack(name)
                self.assertEqual(readelf(name, '-l').count('GNU_RELRO'), 1)
                entries = dict(re.findall(r'\((\w+)\)\s+(.*)', readelf(name, '-d')))
                self.assertIn('PIE', entries['FLAGS_1'].split())
                self.assertIn('BIND_NOW', entries.get('FLAGS', '').split() + list(entries))
                self.assertEqual({'RPATH', 'RUNPATH'} & set(entries), set())
                symbols = set(re.findall(r'\b(__\w+)', readelf(name, '--dyn-syms')))
                checked = {s for s in symbols if s.endswith('_chk')}
                self.assertIn('__stack_chk_fail', symbols)
                if 'MOSAIC_FORTIFIED' in os.environ:
                    self.assertGreaterEqual(len(checked), 3, checked)

    def test_keeper(self):
        # Static and at a fixed address: hundreds of them sleep, and each page that is relocated would be theirs alone.
        self.no_executable_stack('mosaic-keeper')


if __name__ == '__main__':
    harness.main()
