#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: compare.py ABI kvm|sim      runs the program on that host and compares each chapter of what it prints with what a real KVM printed
       compare.py --write <OUTPUT   makes the files of the chapters in the output of a real KVM: tests/abi/transcripts
Lines of tests/abi/differences say where the software platform differs, and why."""
import difflib
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
TRANSCRIPTS = HERE / 'transcripts'


def known():
    """Where the software platform differs from KVM: {(chapter, KVM's line): our lines}."""
    found = {}
    for line in (HERE / 'differences').read_text().splitlines():
        if line and not line.startswith('#'):
            chapter, kvm, sim, _reason = (part.strip() for part in line.split('|'))
            found[chapter, kvm] = sim.split(' // ')
    return found


def chapters(text):
    """{chapter: its lines}; each begins with "== name"."""
    found = {}
    for line in text.splitlines():
        if line.startswith('== '):
            found[line[3:].strip()] = lines = []
        else:
            lines.append(line.rstrip())
    return found


def write(text):
    for name, lines in chapters(text).items():
        (TRANSCRIPTS / name).write_text('\n'.join(lines) + '\n')
        print(f'{name}: {len(lines)} lines')


def real_kvm():
    """Has the processor AMD-V, as the one of the transcripts? Intel's, or an emulation of KVM without either, is not the judge here."""
    return re.search(r'^flags\s*:.*\bsvm\b', pathlib.Path('/proc/cpuinfo').read_text(), re.M)


def compare(host, got):
    """Prints what differs. Returns how many chapters do."""
    want = {path.name: path.read_text().splitlines() for path in TRANSCRIPTS.iterdir()}
    allowed, bad = known() if host == 'sim' else {}, 0
    for name in sorted(want.keys() | got.keys()):
        if host == 'kvm' and name not in got:
            print(f'{name}: not for this host')
            continue
        lines = [ours for line in want.get(name, []) for ours in allowed.get((name, line), [line])]
        difference = list(difflib.unified_diff(lines, got.get(name, []), f'transcripts/{name}', host, lineterm='', n=6))
        differing = sum((name, line) in allowed for line in want.get(name, []))
        print('\n'.join(difference) or f'{name}: {len(lines)} lines, as a real KVM prints them' +
              (f', but for {differing} known' if differing else ''))
        bad += bool(difference)
    return bad


def main():
    if sys.argv[1:] == ['--write']:
        return write(sys.stdin.read())
    abi, host = sys.argv[1:]
    if host == 'kvm' and not real_kvm():
        print('skipped: this processor has no AMD-V (SVM); tests/lab/lab has one that does')
        return 77
    run = subprocess.run([abi, host], capture_output=True, text=True, timeout=300)
    bad = compare(host, chapters(run.stdout))
    print(run.stderr, end='')
    return run.returncode or min(bad, 1)


sys.exit(main())
