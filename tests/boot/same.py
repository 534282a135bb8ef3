#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: same.py VMM: on the software platform two runs of one vCPU make the same kernel calls and exits, line by line: Debian 13's OVMF,
from reset to the shell's prompt, plain and as a SEV guest. Where the runs are ended from outside, the longer trace may go on."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
LINES_MIN = 30000       # exits to the prompt
END = b'munmap'         # these calls free the guest's memory: the run is being ended


def trace(vmm, kind, path):
    """The lines of a run up to its end by SIGTERM, or None if it never came to the prompt."""
    run = subprocess.Popen([vmm, 'run', '--host', 'sim', '--trace', path, '--set', f'firmware={FIRMWARE}', '--set', f'sev.type={kind}',
                            '--set', 'machine.memory=256M', '--set', 'run.grace=0'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = b''
    while b'Shell> ' not in output:
        data = os.read(run.stdout.fileno(), 65536)
        if not data:
            return None
        output += data
    run.send_signal(signal.SIGTERM)
    run.communicate()
    lines = pathlib.Path(path).read_bytes().split(b'\n')
    return [line for line in lines if b'-> EINTR' not in line and not line.startswith((END, b'close'))]


def compare(vmm, kind):
    """'' or how two runs differ."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (trace(vmm, kind, f'{folder}/{name}') for name in ('first', 'second'))
    if not first or not second:
        return 'the guest did not come to its prompt'
    length = min(len(first), len(second)) - 1       # the last line may be half written
    for number in range(length):
        if first[number] != second[number]:
            return f'line {number + 1} differs:\n  {first[number].decode()}\n  {second[number].decode()}'
    print(f'{kind}: {length} lines are the same')
    return '' if length >= LINES_MIN else 'that is too few'


def main():
    if not FIRMWARE.exists():
        print('skipped: no firmware, run: scripts/setup --firmware')
        return 77
    wrong = 0
    for kind in ('none', 'sev'):
        why = compare(sys.argv[1], kind)
        if why:
            print(f'{kind}: {why}')
        wrong += bool(why)
    return 1 if wrong else 0


sys.exit(main())
