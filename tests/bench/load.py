#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loading a roster: mosaic beside its floor and beside other validators, on the same file in one run.

    tests/bench/load.py [--json] [-n 1000] [--runs 40] [--build DIR] [--no-peers]

  mosaic       everything that a verb does with the bytes of a roster: byte gate, YAML, schema, decoding, checks,
               resolving; the built-in runtimes and the compiling of the schema included
  floor        libfyaml's event loop on the same bytes, nothing kept
  jsonschema   python3-jsonschema, compiled once, on the same roster as parsed JSON: no YAML, no places, no checks
  ajv          the same with ajv under node (installed into a temporary directory; skipped where that cannot be done)

Best and median of the runs, in one process each, CPU time: what to compare while the machine has other work. The
goal is: mosaic at most 1.5 x floor + 25 ms. Then what must be refused at once: time and peak memory of a process.

DIR is a build directory with --buildtype=release; without it one is made in a temporary directory.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import roster_maker  # noqa: E402

SCHEMA = os.path.join(ROOT, 'schema', 'roster.schema.json')
GOAL_FACTOR, GOAL_MS = 1.5, 25
# The distribution's own interpreter comes first: its package is the one to compare with.
PYTHONS = ('/usr/bin/python3', sys.executable)
JSONSCHEMA = r'''
import importlib.metadata, json, sys, time, warnings
warnings.simplefilter('ignore')
import jsonschema
schema, document, runs = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), int(sys.argv[3])
v = jsonschema.Draft7Validator(schema)
cpu, wall = [], []
for _ in range(runs):
    c, t = time.process_time(), time.perf_counter()
    errors = sum(1 for _ in v.iter_errors(document))
    cpu.append((time.process_time() - c) * 1e3)
    wall.append((time.perf_counter() - t) * 1e3)
cpu.sort()
wall.sort()
print(json.dumps({'runs': runs, 'cpu_best_ms': cpu[0], 'cpu_median_ms': cpu[runs // 2], 'best_ms': wall[0],
                  'median_ms': wall[runs // 2], 'errors': errors,
                  'version': importlib.metadata.version('jsonschema')}))
'''
AJV = r'''
const fs = require('fs'), Ajv = require('ajv').default;
const [schemaFile, rosterFile, runs] = process.argv.slice(2);
const schema = JSON.parse(fs.readFileSync(schemaFile, 'utf8')), roster = JSON.parse(fs.readFileSync(rosterFile, 'utf8'));
const ajv = new Ajv({allErrors: true, strict: false, logger: false, validateFormats: false});
let t = performance.now();
const validate = ajv.compile(schema);
const compile = performance.now() - t;
const cpu = [], wall = [];
let errors = 0;
for (let i = 0; i < +runs; i++) {
  const c = process.cpuUsage();
  t = performance.now();
  validate(roster);
  wall.push(performance.now() - t);
  const used = process.cpuUsage(c);
  cpu.push((used.user + used.system) / 1000);
  errors = validate.errors ? validate.errors.length : 0;
}
const first = wall[0];
cpu.sort((a, b) => a - b);
wall.sort((a, b) => a - b);
console.log(JSON.stringify({runs: +runs, cpu_best_ms: cpu[0], cpu_median_ms: cpu[runs >> 1], best_ms: wall[0],
  median_ms: wall[runs >> 1], errors, first_ms: first, compile_ms: compile, version: require('ajv/package.json').version}));
'''


def output(argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def program(argv, **more):
    return json.loads(output(argv, **more))


def build(folder):
    """A release build of the two programs; returns their directory."""
    target = os.path.join(folder, 'build')
    output(['meson', 'setup', target, ROOT, '--buildtype=release', '-Dman=disabled'])
    output(['ninja', '-C', target, 'tests/bench/load-roster', 'tests/bench/floor-yaml'])
    return target


def jsonschema(folder, roster, runs):
    script = os.path.join(folder, 'peer.py')
    with open(script, 'w', encoding='utf-8') as f:
        f.write(JSONSCHEMA)
    for python in PYTHONS:
        if shutil.which(python) and subprocess.run([python, '-c', 'import jsonschema'], capture_output=True,
                                                   check=False).returncode == 0:
            return program([python, script, SCHEMA, roster, str(runs)])
    return {'skipped': 'python3-jsonschema is not installed'}


def ajv(folder, roster, runs):
    if not shutil.which('node') or not shutil.which('npm'):
        return {'skipped': 'node and npm are not installed'}
    place = os.path.join(folder, 'ajv')
    os.makedirs(place)
    got = subprocess.run(['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent', 'ajv@8.20.0'],
                         cwd=place, capture_output=True, text=True, timeout=180, check=False)
    if not glob.glob(place + '/node_modules/ajv/package.json'):
        return {'skipped': 'npm could not install ajv (exit %d)' % got.returncode}
    with open(place + '/peer.cjs', 'w', encoding='utf-8') as f:
        f.write(AJV)
    return program(['node', place + '/peer.cjs', SCHEMA, roster, str(runs)], cwd=place)


def refused(load, path, what):
    """One process that must refuse the file: wall time, and peak memory of the process."""
    start = time.perf_counter()
    done = subprocess.run([load, path, '1', 'invalid'], capture_output=True, text=True, check=False)
    took = (time.perf_counter() - start) * 1e3
    if done.returncode != 0:
        raise SystemExit('%s: not refused: %s' % (what, done.stderr))
    out = json.loads(done.stdout)
    return {'file': what, 'bytes': os.path.getsize(path), 'process_ms': took, 'load_ms': out['best_ms'],
            'peak_mib': out['peak_kib'] / 1024, 'errors': out['errors']}


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


def measure(o, folder):
    where = o.build or build(folder)
    load, floor = where + '/tests/bench/load-roster', where + '/tests/bench/floor-yaml'
    document = roster_maker.document(o.n)
    roster = write(folder, 'roster.yaml', roster_maker.yaml(document))
    broken = write(folder, 'broken.yaml', roster_maker.yaml(roster_maker.document(o.n, 10)))
    as_json = write(folder, 'roster.json', json.dumps(document))
    runs = str(o.runs)
    result = {'agents': o.n, 'bytes': os.path.getsize(roster), 'floor': program([floor, roster, runs])}
    result['mosaic'] = program([load, roster, runs, 'valid'])
    result['mosaic, 10 % broken'] = program([load, broken, runs, 'invalid'])
    # Once more at the end: the machine may have become slower or faster meanwhile.
    again = program([floor, roster, runs])
    if again['cpu_best_ms'] < result['floor']['cpu_best_ms']:
        result['floor'] = again
    if o.peers:
        result['jsonschema'] = jsonschema(folder, as_json, 5)
        result['ajv'] = ajv(folder, as_json, o.runs)
        for name in ('jsonschema', 'ajv'):
            if result[name].get('errors', 0) != 0:
                raise SystemExit('%s finds errors in a roster that is valid' % name)
    best = result['floor']['cpu_best_ms']
    result['goal_ms'] = GOAL_FACTOR * best + GOAL_MS
    result['met'] = result['mosaic']['cpu_best_ms'] <= result['goal_ms']
    result['refused'] = [
        refused(load, write(folder, 'large.yaml', '# x\n' * ((4 << 20) // 4 + 1)), 'more than 4 MiB'),
        refused(load, write(folder, 'brackets.yaml', 'version: 1\nagents: ' + '[' * 1000000 + '\n'),
                '1,000,000 brackets, one line'),
        refused(load, write(folder, 'lines.yaml', 'version: 1\nagents:\n' + ' [\n' * 1000000),
                '1,000,000 brackets, a line each'),
    ]
    return result


def show(r):
    floor, ours = r['floor'], r['mosaic']
    print('%d agents, %d bytes\n' % (r['agents'], r['bytes']))
    print('%-22s %10s %10s %9s %9s' % ('CPU time, ms', 'best', 'median', 'x floor', 'x mosaic'))
    for name in ('floor', 'mosaic', 'mosaic, 10 % broken', 'jsonschema', 'ajv'):
        x = r.get(name)
        if x is None:
            continue
        if 'skipped' in x:
            print('%-22s skipped: %s' % (name, x['skipped']))
            continue
        label = name + (' ' + x['version'] if 'version' in x else '')
        more = '  (first call %.1f, compiling %.1f)' % (x['first_ms'], x['compile_ms']) if 'first_ms' in x else ''
        print('%-22s %10.2f %10.2f %9.2f %9.2f%s' % (
            label, x['cpu_best_ms'], x['cpu_median_ms'], x['cpu_best_ms'] / floor['cpu_best_ms'],
            x['cpu_best_ms'] / ours['cpu_best_ms'], more))
    print('\ngoal: %.1f x floor + %d ms = %.2f ms: %s' % (
        GOAL_FACTOR, GOAL_MS, r['goal_ms'], 'met' if r['met'] else 'MISSED'))
    print('\n%-34s %10s %10s %10s' % ('refused', 'bytes', 'ms', 'peak MiB'))
    for x in r['refused']:
        print('%-34s %10d %10.1f %10.1f' % (x['file'], x['bytes'], x['process_ms'], x['peak_mib']))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--json', action='store_true')
    ap.add_argument('-n', type=int, default=1000)
    ap.add_argument('--runs', type=int, default=40)
    ap.add_argument('--build')
    ap.add_argument('--no-peers', dest='peers', action='store_false')
    o = ap.parse_args()
    with tempfile.TemporaryDirectory(prefix='mosaic-bench-') as folder:
        result = measure(o, folder)
    if o.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    sys.exit(0 if result['met'] else 1)


main()
