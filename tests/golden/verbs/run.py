#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verbs run over tests/data, compared with what they printed when a person last looked.

<name>.args holds the command line, a word a line; <name>.expected the exit status, standard output and standard error.
usage: run.py VMM [--update]
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[1] / 'data'


def found(vmm, case):
    run = subprocess.run([vmm, *case.read_text().splitlines()], cwd=DATA, stdin=subprocess.DEVNULL, timeout=60,
                         capture_output=True, text=True)
    return f'exit {run.returncode}\n{run.stdout}' + ''.join(f'stderr: {line}\n' for line in run.stderr.splitlines())


def main():
    vmm, update = str(pathlib.Path(sys.argv[1]).resolve()), '--update' in sys.argv
    cases, wrong = sorted(HERE.glob('*.args')), 0
    for case in cases:
        expected = case.with_suffix('.expected')
        text = found(vmm, case)
        if update:
            expected.write_text(text)
        elif not expected.exists() or text != expected.read_text():
            wrong += 1
            print(f'--- {case.stem}: wanted\n{expected.read_text() if expected.exists() else ""}+++ found\n{text}')
    orphans = {p.stem for p in HERE.glob('*.expected')} - {c.stem for c in cases}
    print(f'{len(cases)} cases, {wrong} wrong', *(f'; no .args for {o}' for o in orphans))
    sys.exit(1 if wrong or orphans or not cases else 0)


main()
