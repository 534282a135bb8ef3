#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Debian's OVMF images to the UEFI shell and ends them from there, under a real KVM or on the software platform.

usage: boot.py VMM [--host HOST] [--case WORD] [--echo] [--no-skip]   runs the cases whose name has the word; TAP on standard output
With --no-skip a case that cannot be run has failed.
vmm waits and types by itself (--expect); here it is given a terminal, and its exit status is judged.
"""
import argparse
import pathlib
import sys
import tempfile

from guest import Failed, Guest, emulation

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

MEMORY = '512M'
SILENCE = 270           # firmware may be silent for long where eight others want the processor
# The manual's example waits for 300 seconds. In the lab a silent guest must be noticed before a script gives it up.
PATIENCE = 1500 if emulation.IN_LAB else 300
LONGEST = 6 * PATIENCE  # longer than all waits of a script together
SUITES = {'bookworm': 'Debian 12', 'trixie': 'Debian 13'}
# Scripts of vmm run --expect (vmm(1)); the first is the manual's example.
POWER_OFF = (pathlib.Path(__file__).resolve().parents[2] / 'docs/shell.expect').read_text()
RESET_AND_POWER_OFF = POWER_OFF.split('send "reset')[0] + r'send "reset -w\r"' + '\n' + POWER_OFF
# The images of ovmf-generic do not start a shell by themselves.
BOOT_MENU = """timeout 300
expect "No bootable option or device was found"
expect "Press any key"
send "\\r"
expect "Please select boot device"
quit
"""


def command(vmm, host, suite, vcpus, kind, script):
    keys = {'firmware': CACHE / 'firmware' / suite / 'OVMF.fd', 'machine.memory': MEMORY, 'machine.vcpus': vcpus, 'sev.type': kind}
    return [vmm, 'run', '--host', host, '--expect', script,
            *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


CASES = [(f'{name}, {vcpus} vCPU: {title}', suite, vcpus, 'none', steps)
         for suite, name in SUITES.items()
         for vcpus, title, steps in [(1, 'power off', POWER_OFF), (2, 'power off', POWER_OFF), (4, 'power off', POWER_OFF),
                                     (1, 'reset', RESET_AND_POWER_OFF), (2, 'reset', RESET_AND_POWER_OFF)]]
# On hosts with a secure processor; a reset is another launch. Not Debian 12's image: docs/platform.md says why.
SEV_CASES = [(f'Debian 13, SEV, {vcpus} vCPU: reset', 'trixie', vcpus, 'sev', RESET_AND_POWER_OFF) for vcpus in (1, 2)]
CASES += [('Debian sid, 1 vCPU: boot menu', 'sid', 1, 'none', BOOT_MENU)]


def run(vmm, host, suite, vcpus, kind, steps, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.NamedTemporaryFile('w', suffix='.expect') as script:
        script.write(steps.replace('timeout 300', f'timeout {PATIENCE}'))
        script.flush()
        with Guest(command(vmm, host, suite, vcpus, kind, script.name), echo) as guest:
            try:
                guest.ends(0, LONGEST, SILENCE)
            except Failed as failed:
                return str(failed), guest.lost()
    return '', ''


def judged(vmm, host, *case):
    """'' or why this case fails. What the lab's emulation may have lost is tried again, if it goes well on the software platform."""
    return emulation.judge(lambda: run(vmm, host, *case), lambda: run(vmm, 'sim', *case)[0])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--case', default='')
    parser.add_argument('--echo', action='store_true')
    parser.add_argument('--no-skip', action='store_true')
    options = parser.parse_args()
    vmm = str(pathlib.Path(options.vmm).resolve())
    cases = CASES + (SEV_CASES if options.host == 'sim' else [])
    cases, wrong = [case for case in cases if options.case in case[0]], 0
    print(f'1..{len(cases)}', flush=True)
    for number, (name, suite, vcpus, kind, steps) in enumerate(cases, 1):
        if not (CACHE / 'firmware' / suite / 'OVMF.fd').exists():
            wrong += options.no_skip
            print(f'{"not ok" if options.no_skip else "ok"} {number} - {name} # SKIP no firmware, run: scripts/setup --firmware', flush=True)
            continue
        why = judged(vmm, options.host, suite, vcpus, kind, steps, options.echo)
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
