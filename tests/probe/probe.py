#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs an image of firmware/probe/ and compares what it prints with tests/probe/expected/.

usage: probe.py IMAGE NAME sim|kvm VMM     on the software platform, or on this machine's KVM
       probe.py IMAGE NAME tcg             in QEMU's emulation
       probe.py IMAGE NAME HOST [VMM] --print    prints what came

Where an emulation differs from the architecture stands in tests/probe/differences, line by line.
A guest that says nothing for a minute is ended. In the lab a run that was cut short is judged as tests/lab/emulation.py says.
"""
import difflib
import functools
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'support'), str(HERE.parent / 'lab')]
import emulation  # noqa: E402
from places import CACHE  # noqa: E402

QEMU = CACHE / 'lab/qemu/run'
LINES = 40          # of a difference that are shown
OUTPUT_MAX = 1 << 20
UNFIT = {('tcg', 'refused'): 'this emulation takes what is to be refused, and does not survive it',
         ('kvm', 'sysenter'): 'KVM gives up a guest that uses SYSENTER in long mode on AMD-V'}
BEGIN = '['         # of the first line that the guest prints


def command(image, host, vmm):
    if host == 'tcg':
        return [QEMU, '-accel', 'tcg', '-M', 'pc', '-cpu', 'EPYC-Rome,-fsgsbase', '-m', '64', '-bios', image, '-nodefaults',
                '-display', 'none', '-serial', 'stdio', '-no-reboot']
    return [vmm, 'run', '--host', host, '--set', f'firmware={image}', '--set', 'machine.memory=64M']


class Run:
    """A run of an image: the guest's text, the status of what ran it and what that said itself, and whether the guest fell silent."""

    def __init__(self, image, host, vmm):
        self.silent = self.polls = False
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(command(image, host, vmm), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as program:
                output = self.listen(program)
            self.status = program.returncode
            errors.seek(0)
            self.said = errors.read(OUTPUT_MAX).decode(errors='replace')
        text = output.decode('ascii', 'replace').replace('\r', '')
        start = 0 if text.startswith(BEGIN) else text.find('\n' + BEGIN) + 1
        self.text = text[start:]

    def listen(self, program):
        output = b''
        while True:
            if not select.select([program.stdout], [], [], emulation.QUIET)[0]:
                self.silent, self.polls = True, emulation.polls(program.pid)
            data = b'' if self.silent else os.read(program.stdout.fileno(), 65536)
            output += data
            if not data or len(output) > OUTPUT_MAX:
                break
        if self.silent or len(output) > OUTPUT_MAX:
            program.kill()
        return output


@functools.cache
def qemu_major():
    version = subprocess.run([QEMU, '--version'], capture_output=True, text=True, check=True).stdout
    return int(re.search(r'version (\d+)', version)[1])


def concerns(hosts, host):
    """Whether this host is among "tcg,kvm<11": the lab's KVM where QEMU is older than 11 is."""
    words = dict(word.partition('<')[::2] for word in hosts.split(','))
    return host in words and (not words[host] or not QEMU.exists() or qemu_major() < int(words[host]))


def differences(name, host):
    """{our line: the line of this host} for this image."""
    found, ours = {}, None
    for line in (HERE / 'differences').read_text().splitlines():
        if line.startswith('< '):
            image, _, ours = line[2:].partition(' ')
        elif line.startswith('> '):
            hosts, _, theirs = line[2:].partition(' ')
            if image == name and concerns(hosts, host):
                found[ours] = theirs
    return found


def expected(name, host):
    lines = (HERE / 'expected' / name).read_text().splitlines()
    other = differences(name, host)
    unknown = other.keys() - set(lines)
    if unknown:
        sys.exit(f'tests/probe/differences speaks of lines that are not expected: {unknown}')
    return ''.join(other.get(line, line) + '\n' for line in lines)


def lost_verdict(run, want):
    """The one test of a run in which all else is right that has no verdict, or ''. A verdict is 'done' or an exception, and the guest
    always writes one, unless its state was lost in the middle of the test."""
    lines, wanted = run.text.splitlines(), want.splitlines()
    wrong = [pair for pair in zip(lines, wanted) if pair[0] != pair[1]]
    if len(lines) != len(wanted) or len(wrong) != 1:
        return ''
    name, _, rest = wrong[0][0].partition(':')
    return name if wrong[0][1].startswith(f'{name}: ') and rest.startswith('  ') else ''


def lost(run, want):
    """How the emulation may have lost the guest, or ''. It is '' if the text that the guest printed is wrong in any other way."""
    if not want.startswith(run.text):
        name = lost_verdict(run, want)
        return f'{emulation.WENT_ON} behind a test without a verdict: {name}' if name else ''
    if run.silent and not run.polls:
        return f'the guest fell silent behind {run.text[-40:]!r}'
    return f'the guest crashed behind {run.text[-40:]!r}' if emulation.crashed(run.status, run.said) else ''


def check(image, name, host, vmm):
    """('', '') if the run is right; or what is wrong, and how the emulation may have lost the guest."""
    run, want = Run(image, host, vmm), expected(name, host)
    status = emulation.CRASHED if name.endswith('-shutdown') and host != 'tcg' else 0
    if run.text.splitlines() == want.splitlines() and run.status == status:
        print(f'{want.count(chr(10))} lines as expected')
        return '', ''
    lines = list(difflib.unified_diff(want.splitlines(), run.text.splitlines(), 'expected', host, lineterm='', n=3))
    lines[LINES:] = [f'({len(lines) - LINES} more lines of difference)'] if len(lines) > LINES else []
    end = f'nothing was said for {emulation.QUIET} seconds' if run.silent else f'exit status {run.status}, {status} is right'
    return '\n'.join([*lines, run.said, end]), lost(run, want)


def evidence(image, name, vmm):
    """The same image where no nested processor runs it."""
    for host in ('sim', 'tcg'):
        if unfit(name, host):
            print('no evidence:', unfit(name, host))
            continue
        why, _ = check(image, name, host, vmm)
        if why:
            return f'{host}: {why}'
        print(f'the same image is right on {host}')
    return ''


def unfit(name, host):
    if host == 'tcg' and not QEMU.exists():
        return 'no QEMU, run: scripts/setup --lab'
    return UNFIT.get((host, name.rpartition('-')[2]))


def main():
    image, name, host, *rest = sys.argv[1:]
    vmm = next((word for word in rest if word != '--print'), None)
    if unfit(name, host):
        print('skipped:', unfit(name, host))
        return 77
    if '--print' in rest:
        print(Run(image, host, vmm).text, end='')
        return 0
    if host == 'kvm':
        why = emulation.judge(lambda: check(image, name, host, vmm), lambda: evidence(image, name, vmm))
    else:
        why, _ = check(image, name, host, vmm)
    print(why)
    return 1 if why else 0


if __name__ == '__main__':
    sys.exit(main())
