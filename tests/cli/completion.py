#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bash and zsh complete, against what the program itself says of its verbs, options and commands."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import guests

FOLDER = pathlib.Path(os.environ.get('COMPLETIONS', 'build/data/completion')).resolve()
PROGRAM = os.environ.get('PROGRAM_NAME', 'vmm')
# Each reads lines and prints, for each, the words that may stand at its end, with a line "--" behind them.
BASH = r'''
source "$1"
while IFS= read -r COMP_LINE; do
	COMP_POINT=${#COMP_LINE}
	_vmm
	((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
	echo --
done
'''
# The completion system is not there without a terminal: these stand for its functions.
ZSH = r'''
compadd() {
	local word
	[[ $1 == -S ]] && shift 2
	shift
	for word do [[ $word == "$PREFIX"* ]] && print -r -- "$word"; done
	return 0
}
_files() { local word; for word in "$PREFIX"*(N); do print -r -- "$word"; done }
while IFS= read -r line; do
	words=(${(s: :)line})
	[[ $line == *' ' ]] && words+=('')
	CURRENT=${#words}
	PREFIX=${words[CURRENT]}
	source "$1"
	echo --
done
'''


def complete(test, shell, lines):
    """{line: set of words}."""
    script, name = {'bash': (BASH, PROGRAM), 'zsh': (ZSH, '_' + PROGRAM)}[shell]
    if not shutil.which(shell):
        test.skipTest(f'{shell} is not installed')
    bare = {'bash': ['--norc', '--noprofile'], 'zsh': ['-f']}[shell]
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / 'some-file').touch()
        done = subprocess.run([shell, *bare, '-c', script, shell, FOLDER / name], input=''.join(line + '\n' for line in lines), text=True,
                              capture_output=True, timeout=300, cwd=folder)
    test.assertEqual((done.returncode, done.stderr), (0, ''))
    answers = re.split(r'(?m)^--\n', done.stdout)[:-1]
    test.assertEqual(len(answers), len(lines))
    return {line: set(answer.split()) for line, answer in zip(lines, answers)}


def verbs():
    text = guests.run([guests.VMM, '--help'], text=True).stdout
    return re.findall(r'^  ([a-z]+(?: [a-z]+)?)  +', text, re.M)


def options(verb):
    text = guests.run([guests.VMM, *verb.split(), '--help'], text=True).stdout
    return {name: arg for name, arg in re.findall(r'^  (--[a-z-]+)(?: (.+))?$', text, re.M)} | {'--help': ''}


def schema(test):
    """{command: {argument: its words or None}}, as a running vmm says."""
    folder = guests.Folder(test)
    path = folder.path / 'control'
    vmm = subprocess.Popen(folder.guest(guests.SPIN, f'control.socket={path}') + ['--host', 'sim'], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    test.addCleanup(lambda: (vmm.kill(), vmm.wait()))
    guests.until(path.exists)
    rows = json.loads(guests.run([guests.VMM, 'ctl', str(path), 'query-qmp-schema'], text=True).stdout)
    rows = {row['name']: row for row in rows}
    words = {name: [member['name'] for member in row['members']] for name, row in rows.items() if row['meta-type'] == 'enum'}
    words['bool'] = ['true', 'false']
    return {name: {member['name']: words.get(member['type']) for member in rows[row['arg-type']]['members']}
            for name, row in rows.items() if row['meta-type'] == 'command'}


class Completion(unittest.TestCase):
    maxDiff = None

    def check(self, expected):
        """{line: words}, in both shells."""
        for shell in ('bash', 'zsh'):
            with self.subTest(shell):
                self.assertEqual(complete(self, shell, list(expected)), expected)

    def test_every_verb(self):
        expected = {'vmm ': {verb.split()[0] for verb in verbs()} | {'help', '--help', '--version'}}
        for group in {verb.split()[0] for verb in verbs() if ' ' in verb}:
            expected[f'vmm {group} '] = {verb.split()[1] for verb in verbs() if verb.split()[0] == group and ' ' in verb}
        self.check(expected)

    def test_every_option(self):
        expected = {}
        for verb in verbs():
            expected[f'vmm {verb} --'] = set(options(verb))
            for name, arg in options(verb).items():
                if re.fullmatch(r'[a-z]+(\|[a-z]+)+', arg):
                    expected[f'vmm {verb} {name} '] = set(arg.split('|'))
                elif arg.startswith('FILE') or arg == 'PEM':
                    expected[f'vmm {verb} {name} '] = {'some-file'}
        self.check(expected)

    def test_every_command_and_argument(self):
        commands = schema(self)
        own = {'status', 'metrics', 'save', 'help'}
        expected = {'vmm ctl ': {'some-file'}, 'vmm ctl some': {'some-file'}, 'vmm ctl socket ': set(commands) | own,
                    'vmm ctl --timeout 5 socket help ': set(commands) | own}
        for command, arguments in commands.items():
            expected[f'vmm ctl socket {command} '] = {f'{name}=' for name in arguments}
        self.check(expected)
        words = {(command, name): found for command, arguments in commands.items() for name, found in arguments.items() if found}
        self.assertTrue(words)
        # bash replaces only what follows "=".
        for shell in ('bash', 'zsh'):
            with self.subTest(shell):
                found = complete(self, shell, [f'vmm ctl socket {command} {name}=' for command, name in words])
                for (command, name), choice in words.items():
                    start = '' if shell == 'bash' else f'{name}='
                    self.assertEqual(found[f'vmm ctl socket {command} {name}='], {start + word for word in choice})

    def test_keys(self):
        tables = json.loads((pathlib.Path(__file__).parents[2] / 'vmm.conf.example').read_text())
        keys = {f'{name}.{key}=' for name, part in tables.items() if isinstance(part, dict) for key in part}
        keys |= {f'{name}=' for name, part in tables.items() if not isinstance(part, (dict, list))}
        self.check({'vmm run --set ': keys, 'vmm measure guest.json --set sev.ty': {'sev.type='}})
        for shell, start in (('bash', ''), ('zsh', 'sev.type=')):
            with self.subTest(shell):
                line = 'vmm run --set sev.type=sev-'
                self.assertEqual(complete(self, shell, [line])[line], {start + 'sev-es', start + 'sev-snp'})


if __name__ == '__main__':
    guests.main()
