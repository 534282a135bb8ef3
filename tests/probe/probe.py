#!/usr/bin/env python3
"""Runs an image of firmware/probe/ and compares what it prints with tests/probe/expected/.

usage: probe.py IMAGE NAME sim|kvm VMM     on the software platform, or on this machine's KVM
       probe.py IMAGE NAME tcg             in QEMU's emulation
       probe.py IMAGE NAME HOST [VMM] --print    prints what came

Where an emulation differs from the architecture stands in tests/probe/differences, line by line.
"""
import difflib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

HERE = pathlib.Path(__file__).parent
QEMU = CACHE / 'lab/qemu/run'
SECONDS = 60
LINES = 40          # of a difference that are shown
UNFIT = {('tcg', 'refused'): 'this emulation takes what is to be refused, and does not survive it',
         ('kvm', 'sysenter'): 'KVM gives up a guest that uses SYSENTER in long mode on AMD-V'}
CRASHED = 3         # vmm's status when its guest crashed
BEGIN = '['         # of the first line that the guest prints


def command(image, host, vmm):
    if host == 'tcg':
        return [QEMU, '-accel', 'tcg', '-M', 'pc', '-cpu', 'EPYC-Rome,-fsgsbase', '-m', '64', '-bios', image, '-nodefaults',
                '-display', 'none', '-serial', 'stdio', '-no-reboot']
    return [vmm, 'run', '--host', host, '--set', f'firmware={image}', '--set', 'machine.memory=64M']


def run(image, host, vmm):
    """The guest's lines, the status of what ran it, and what that said itself; a guest that does not end is ended."""
    program = subprocess.Popen(command(image, host, vmm), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        output, errors = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        output, errors = program.communicate()
        output += b'\n(no end)\n'
    lines = output.decode('ascii', 'replace').replace('\r', '').splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(BEGIN)), 0)
    return lines[start:], program.returncode, errors.decode(errors='replace')


def differences(name, host):
    """{our line: the line of this host} for this image."""
    found, ours = {}, None
    for line in (HERE / 'differences').read_text().splitlines():
        if line.startswith('< '):
            image, _, ours = line[2:].partition(' ')
        elif line.startswith('> '):
            hosts, _, theirs = line[2:].partition(' ')
            if image == name and host in hosts.split(','):
                found[ours] = theirs
    return found


def expected(name, host):
    lines = (HERE / 'expected' / name).read_text().splitlines()
    other = differences(name, host)
    unknown = other.keys() - set(lines)
    if unknown:
        sys.exit(f'tests/probe/differences speaks of lines that are not expected: {unknown}')
    return [other.get(line, line) for line in lines]


def main():
    image, name, host, *rest = sys.argv[1:]
    printing = '--print' in rest
    vmm = next((word for word in rest if word != '--print'), None)
    if host == 'tcg' and not QEMU.exists():
        print('skipped: no QEMU, run: scripts/setup --lab')
        return 77
    if (host, name.rpartition('-')[2]) in UNFIT:
        print('skipped:', UNFIT[host, name.rpartition('-')[2]])
        return 77
    got, status, said = run(image, host, vmm)
    if printing:
        print('\n'.join(got))
        return 0
    want = CRASHED if name.endswith('-shutdown') and host != 'tcg' else 0
    lines = list(difflib.unified_diff(expected(name, host), got, 'expected', host, lineterm='', n=3))
    if lines or status != want:
        cut = [f'({len(lines) - LINES} more lines of difference)'] if len(lines) > LINES else []
        print(*lines[:LINES], *cut, said, f'exit status {status}, {want} is right', sep='\n')
        return 1
    print(f'{len(got)} lines as expected')
    return 0


sys.exit(main())
