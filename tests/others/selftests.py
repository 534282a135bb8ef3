#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""KVM's selftests, by the kernel's own people, on the software platform or on a real KVM. Each must end as the table beside this program
(`selftests`) says: NAME, how it ends in the lab, how on the software platform, and why, if that is not the same.

usage: selftests.py VMM [NAME...]: on the software platform; TAP
       selftests.py real [NAME...]: on this machine's /dev/kvm (tests/lab/lab); TAP
       ... --note: writes what it saw to the table
       selftests.py document: writes docs/conformance.md
       selftests.py judge: is docs/conformance.md what the table says?
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'support'))
from places import CACHE  # noqa: E402

PROGRAMS, TABLE, PAGE = CACHE / 'selftests', HERE / 'selftests', HERE.parents[1] / 'docs/conformance.md'
LIMIT = int(os.environ.get('SELFTESTS_LIMIT', '300'))  # seconds for each
ENDS = {0: 'pass', 4: 'skip'}
# Not tests of what KVM answers: they measure, or load the machine for minutes.
LEFT_OUT = {'access_tracking_perf_test', 'dirty_log_perf_test', 'hardware_disable_test', 'memslot_perf_test', 'memslot_modification_stress_test',
            'mmu_stress_test'}
# They compare what the guest sees with how this computer's time passes.
HOST_TIME = {'steal_time'}


def table():
    """{name: [lab, sim, reason]}"""
    rows = {}
    for line in TABLE.read_text().splitlines():
        if line.strip() and not line.startswith('#'):
            name, lab, sim, *reason = line.split(None, 3)
            rows[name] = [lab, sim, *reason, ''][:3]
    return rows


def programs(names):
    found = sorted(str(path.relative_to(PROGRAMS)) for path in PROGRAMS.glob('**/*') if path.is_file() and os.access(path, os.X_OK))
    return [name for name in found if name.rpartition('/')[2] not in LEFT_OUT and (not names or name in names)]


def run(prefix, name):
    """How it ended, and its last words."""
    process = subprocess.Popen([*prefix, PROGRAMS / name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True, cwd='/tmp')
    try:
        words, _ = process.communicate(timeout=LIMIT)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        words, _ = process.communicate()
        return 'time', words.decode(errors='replace')
    return ENDS.get(status, 'FAIL'), words.decode(errors='replace')


def note(seen, column):
    rows = table() if TABLE.exists() else {}
    for name, end in seen.items():
        rows.setdefault(name, ['-', '-', ''])[column] = end
    head = [line for line in TABLE.read_text().splitlines() if line.startswith('#')] if TABLE.exists() else []
    TABLE.write_text('\n'.join(head + [f'{name:44} {lab:5} {sim:5} {reason}'.rstrip() for name, (lab, sim, reason) in sorted(rows.items())]) + '\n')


def document():
    """docs/conformance.md"""
    rows = table()
    judged = [name for name, (lab, _, _) in rows.items() if lab == 'pass']
    same = [name for name in judged if rows[name][1] == 'pass']
    share = f'{len(same)} pass on the software platform ({100 * len(same) / max(1, len(judged)):.0f} %)'
    return '\n'.join([(HERE / 'conformance.head').read_text(), f'Of {len(judged)} selftests that pass in the lab, {share}.', '',
                      '| selftest | lab | software platform | why |', '|---|---|---|---|',
                      *(f'| {name} | {lab} | {sim} | {reason} |' for name, (lab, sim, reason) in sorted(rows.items()))]) + '\n'


def main():
    words = [word for word in sys.argv[1:] if word != '--note']
    if words == ['document']:
        PAGE.write_text(document())
        return
    if words == ['judge']:
        sys.exit(None if PAGE.read_text() == document() else 'docs/conformance.md: make it anew: tests/others/selftests.py document')
    real, names = words[0] == 'real', words[1:]
    if not PROGRAMS.exists():
        print("1..0 # SKIP needs KVM's selftests: scripts/setup --selftests")
        return
    prefix, column = ([], 0) if real else ([words[0], 'platform'], 1)
    known, seen = table() if TABLE.exists() else {}, {}
    found = programs(names)
    print(f'1..{len(found)}', flush=True)
    for number, name in enumerate(found, 1):
        begun = time.monotonic()
        seen[name], said = run([*prefix, *(['--set', 'sim.clock=host'] if prefix and name in HOST_TIME else [])], name)
        expected = known.get(name, ['-', '-', ''])[column]
        good = seen[name] == expected
        print(f'{"ok" if good else "not ok"} {number} - {name}: {seen[name]}{"" if good else ", not " + expected} ({time.monotonic() - begun:.0f} s)',
              flush=True)
        if seen[name] not in ('pass',) and not good:
            print(''.join(f'# {line}\n' for line in said.splitlines()[-12:]), end='', flush=True)
    if '--note' in sys.argv:
        note(seen, column)


if __name__ == '__main__':
    main()
