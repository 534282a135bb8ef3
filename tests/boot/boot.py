#!/usr/bin/env python3
"""Boots Debian's OVMF images to the UEFI shell and ends them from there, under a real KVM or on the software platform.

usage: boot.py VMM [--host HOST] [--case WORD] [--echo] [--no-skip]   runs the cases whose name has the word; TAP on standard output
With --no-skip a case that cannot be run has failed.
BOOT_COMMAND, if set, is run in the place of vmm, with {firmware} and {vcpus} replaced: a second opinion on the driver.
"""
import argparse
import os
import pathlib
import sys

from guest import Failed, Guest, emulation

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

MEMORY = '512M'
SUITES = {'bookworm': 'Debian 12', 'trixie': 'Debian 13'}
QUIT = '\x1dq'          # vmm's escape: Ctrl-] then q


def command(vmm, host, suite, vcpus, kind):
    firmware = CACHE / 'firmware' / suite / 'OVMF.fd'
    if 'BOOT_COMMAND' in os.environ:
        return os.environ['BOOT_COMMAND'].format(firmware=firmware, vcpus=vcpus).split()
    keys = {'firmware': firmware, 'machine.memory': MEMORY, 'machine.vcpus': vcpus, 'sev.type': kind}
    return [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def shell(guest):
    """To the prompt; a key ends the shell's countdown. The firmware may also have none, and prompt at once."""
    if guest.expect('seconds to skip', 'Shell>') != 'Shell>':
        guest.type('\r')
        guest.expect('Shell>')


def power_off(guest):
    shell(guest)
    guest.type('reset -s\r')
    guest.ends(0)


def reset_and_power_off(guest):
    shell(guest)
    guest.type('reset -w\r')
    power_off(guest)


def boot_menu(guest):
    """The images of ovmf-generic do not start a shell by themselves."""
    guest.expect('No bootable option or device was found')
    guest.expect('Press any key')
    guest.type('\r')
    guest.expect('Please select boot device')
    guest.type(QUIT)
    guest.ends(0)


CASES = [(f'{name}, {vcpus} vCPU: {title}', suite, vcpus, 'none', steps)
         for suite, name in SUITES.items()
         for vcpus, title, steps in [(1, 'power off', power_off), (2, 'power off', power_off), (4, 'power off', power_off),
                                     (1, 'reset', reset_and_power_off), (2, 'reset', reset_and_power_off)]]
# On hosts with a secure processor; a reset is another launch. Not Debian 12's image: docs/platform.md says why.
SEV_CASES = [(f'Debian 13, SEV, {vcpus} vCPU: reset', 'trixie', vcpus, 'sev', reset_and_power_off) for vcpus in (1, 2)]
CASES += [('Debian sid, 1 vCPU: boot menu', 'sid', 1, 'none', boot_menu)]


def run(vmm, host, suite, vcpus, kind, steps, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with Guest(command(vmm, host, suite, vcpus, kind), echo) as guest:
        try:
            steps(guest)
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
