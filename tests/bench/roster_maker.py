# SPDX-License-Identifier: MIT
"""A synthetic roster of many agents, the same each time: as YAML, and as JSON for validators that read nothing else."""

import json
import random


def document(agents, broken_percent=0):
    """About 430 bytes of YAML an agent. Broken ones have one fault each, four kinds by turns of the dice."""
    dice = random.Random(7)
    members = {}
    for i in range(agents):
        a = {'runtime': dice.choice(['pi', 'claude']), 'workdir': '~/src/team-%d/agent-%04d' % (i % 17, i),
             'model': dice.choice(['small', 'large']), 'args': ['--verbose', '--seed=%d' % i],
             'env': {'LANG': 'C.UTF-8', 'MODE': 'm%d' % (i % 5), 'SHARD': str(i)},
             'labels': {'team': 't%d' % (i % 17), 'tier': dice.choice(['gold', 'silver'])},
             'limits': {'memory': '%dG' % dice.randint(1, 8), 'cpu': '%d%%' % dice.randint(50, 400), 'tasks': 512},
             'restart': {'policy': dice.choice(['always', 'on-failure', 'never']), 'delay': '5s', 'attempts': 5},
             'state': dice.choice(['running', 'paused', 'stopped'])}
        if i:
            a['after'] = ['agent-%04d' % (i - 1)]
        if dice.randrange(100) < broken_percent:
            fault = dice.randrange(4)
            if fault == 0:
                a['runtine'] = a.pop('runtime')
            elif fault == 1:
                a['limits']['memory'] = 4.5
            elif fault == 2:
                a['state'] = 'runing'
            else:
                a['env']['SHARD'] = i
        members['agent-%04d' % i] = a
    return {'version': 1, 'fleet': {'name': 'factory'}, 'tmux': {'socket': 'mosaic-factory'},
            'defaults': {'runtime': 'claude', 'state': 'running', 'env': {'TERM': 'tmux-256color'}},
            'runtimes': {'pi': {'command': ['pi'], 'model_args': ['--model', '{model}'], 'reset': {'keys': '/new'},
                                'ready': {'pattern': '^> $', 'timeout': '60s'}},
                         'claude': {'command': ['claude'], 'reset': {'keys': '/clear'}}},
            'agents': members}


def yaml(value, indent=0):
    """Block mappings, everything in them as JSON, which is YAML too."""
    lines = []
    for key, member in value.items():
        if isinstance(member, dict):
            lines.append('%*s%s:' % (indent, '', key))
            lines.append(yaml(member, indent + 2).rstrip('\n'))
        else:
            lines.append('%*s%s: %s' % (indent, '', key, json.dumps(member)))
    return '\n'.join(lines) + '\n'
