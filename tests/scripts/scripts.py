#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the scripts say when something is missing, and what they count; apt and sudo are played by small scripts.

usage: scripts.py PRINT_CACHE [TEST...]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
PYTHON_CACHE = f'import sys; sys.path.insert(0, "{ROOT}/tests/support"); import places; print(places.CACHE / "x")'
PLACES = ('HOME', 'XDG_CACHE_HOME', 'VMM_CACHE')
PRINT_CACHE = ''

# A machine without known packages and without a network. It prints what apt of Debian 12 prints.
APT_WITHOUT_NETWORK = r'''
case "$*" in
*update*) echo "W: Failed to fetch http://mirror/dists/stable/InRelease  Temporary failure resolving 'mirror'" >&2 ;;
*install*) for name; do echo "E: Unable to locate package $name" >&2; done; exit 100 ;;
esac'''


def run(command, **how):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **how)


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        os.chmod(self.folder, 0o777)        # somebody else writes a cache there
        self.bin = self.folder / 'bin'
        self.bin.mkdir()
        os.chmod(self.bin, 0o755)

    def play(self, name, text):
        """A program of this name, found before any other."""
        (self.bin / name).write_text(f'#!/bin/sh\n{text}\n')
        (self.bin / name).chmod(0o755)

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if name not in PLACES}
        return kept | {'PATH': f'{self.bin}:{os.environ["PATH"]}'} | more

    def lib(self, text, **how):
        """Runs a script that sources lib.sh, and returns what it prints."""
        return run(['bash', '-c', f'set -euo pipefail; . "$0/scripts/lib.sh"; {text}', ROOT], **how)

    def setup_as(self, user, *options):
        who = {'user': user, 'group': user, 'extra_groups': []} if os.getuid() == 0 else {}
        self.play('dpkg-query', 'exit 1')       # nothing is installed
        shutil.copytree(ROOT / 'scripts', self.folder / 'scripts', dirs_exist_ok=True)     # where anybody may read them
        return run([self.folder / 'scripts/setup', *options], env=self.environment(VMM_CACHE=str(self.folder / 'cache')), **who)

    def test_scripts_and_tests_have_one_cache(self):
        for places in ({}, {'HOME': '/a home'}, {'XDG_CACHE_HOME': '/c', 'HOME': '/a'}, {'XDG_CACHE_HOME': '', 'HOME': '/a'},
                       {'VMM_CACHE': '/v', 'XDG_CACHE_HOME': '/c'}, {'VMM_CACHE': '', 'HOME': '/a'}):
            with self.subTest(places=places):
                found = [run(command, env=self.environment(**places)).stdout for command in
                         (['bash', '-c', f'. "{ROOT}/scripts/lib.sh"; echo "$CACHE/x"'], [sys.executable, '-c', PYTHON_CACHE], [PRINT_CACHE])]
                self.assertEqual(len(set(found)), 1, found)
                self.assertRegex(found[0], '^/.*/x\n$')

    def test_no_other_test_has_a_rule_of_its_own(self):
        found = run(['grep', '-rlE', r'environ(\.get\(|\[).VMM_CACHE|getenv.*VMM_CACHE', ROOT / 'tests', '--include=*.py', '--include=*.[ch]',
                     '--exclude=scripts.py']).stdout.split('\n')
        self.assertEqual({pathlib.Path(path).name for path in found if path}, {'places.py', 'cache.h'})

    def test_children_get_the_cache_as_an_absolute_path(self):
        done = self.lib('cd /; env', env=self.environment(VMM_CACHE='some/cache'), cwd=self.folder)
        self.assertIn(f'VMM_CACHE={self.folder}/some/cache\n', done.stdout, done.stderr)

    def test_demo_takes_no_skipped_boot(self):
        boot = [sys.executable, ROOT / 'tests/boot/boot.py', 'vmm', '--case', '1 vCPU: power off']
        nothing = self.environment(VMM_CACHE=str(self.folder))
        self.assertEqual(run(boot, env=nothing).returncode, 0)
        done = run(boot + ['--no-skip'], env=nothing)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('no firmware', done.stdout)
        self.assertIn('--no-skip', (ROOT / 'scripts/demo').read_text())

    def test_setup_without_network_says_so_once(self):
        self.play('apt-get', APT_WITHOUT_NETWORK)
        self.play('apt-cache', 'exit 100')
        self.play('sudo', 'exec "$@"')
        done = self.setup_as(0, '--build')
        self.assertEqual(done.returncode, 1)
        self.assertIn('is the network there', done.stderr)
        self.assertIn('Temporary failure resolving', done.stderr)
        self.assertNotIn('Unable to locate', done.stderr)
        self.assertLess(done.stderr.count('\n'), 5, done.stderr)

    def test_setup_without_sudo_names_its_own_command(self):
        self.play('sudo', 'echo a password is required >&2; exit 1')
        for options, instead in ((['--build', '--firmware'], '--build'), (['--all'], '--test')):
            done = self.setup_as(NOBODY, *options)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'as root, run: scripts/setup {instead};', done.stderr)
            self.assertEqual(done.stderr.count('password'), 1, done.stderr)

    def test_tally_tells_what_was_excused_in_the_lab(self):
        log, results = self.folder / 'log', self.folder / 'results'
        log.write_text(json.dumps({'name': 'probe', 'result': 'OK', 'stdout': 'emulation: run 1: the guest crashed\n445 lines\n'}) + '\n')
        tally = ROOT / 'scripts/tally.py'
        run([tally, 'meson', 'lab', log, results])
        done = run([tally, 'report', results])
        self.assertIn("told: lab: probe (the lab's emulation lost a guest: run 1: the guest crashed)\n", done.stdout)
        self.assertTrue(done.stdout.endswith('tests: 1 passed, 0 failed, 0 skipped\n'), done.stdout)
        self.assertEqual(done.returncode, 0)

    def test_tally_counts_the_tests_of_unittest(self):
        said = ("test_a (__main__.A.test_a)\nA line about it. ... ok\ntest_b (__main__.A.test_b) ... skipped 'no KVM'\n"
                "test_b (__main__.B.test_b) ... ok\ntest_c (__main__.A.test_c) ... FAIL\n")
        log, results = self.folder / 'log', self.folder / 'results'
        log.write_text(json.dumps({'name': 'program', 'result': 'FAIL', 'stderr': said}) + '\n')
        tally = ROOT / 'scripts/tally.py'
        run([tally, 'meson', 'suite', log, results])
        done = run([tally, 'report', results])
        self.assertIn('skipped: suite: program: A.test_b (no KVM)', done.stdout)
        self.assertTrue(done.stdout.endswith('tests: 2 passed, 1 failed, 1 skipped\n'), done.stdout)
        self.assertEqual(done.returncode, 1)


if __name__ == '__main__':
    PRINT_CACHE = sys.argv.pop(1)
    unittest.main(verbosity=2)
