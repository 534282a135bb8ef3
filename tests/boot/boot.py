#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Debian's OVMF images to the UEFI shell and ends them from there, under a real KVM or on the software platform.

usage: boot.py VMM [--host HOST] [--case WORD] [--all] [--echo] [--no-skip]   runs the cases whose name has the word; TAP on standard output
--all takes more time: plain, SEV, SEV-ES and SEV-SNP guests with each image, with 1 and 4 vCPUs. With --no-skip a case that cannot be run has failed.
vmm waits and types by itself (--expect); here it is given a terminal, and its exit status is judged.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile

from guest import Failed, Guest, emulation

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

MEMORY = '512M'
# OVMF.amdsev.fd computes for seconds without a word, which take minutes where twenty others want the processor. In the lab
# a guest may be lost, which must be noticed before a script gives it up. (The manual's example waits for 300 seconds.)
SILENCE, PATIENCE = (270, 1500) if emulation.IN_LAB else (900, 1000)
LONGEST = 6 * PATIENCE  # longer than all waits of a script together
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
# OVMF.amdsev.fd starts kernels with hashes, or a GRUB that it has of its own, and Debian builds it without one.
NOTHING_TO_BOOT = """timeout 300
expect "No bootable option was found"
quit
"""
CRASHED = 3             # exit status: the guest crashed
# A SEV-SNP guest with Debian 12's image ends as it does with Linux's KVM: it takes the local APIC for encrypted memory.
PRIVATE_APIC = 'where it has none: it took its local APIC for encrypted memory'


def command(vmm, host, image, vcpus, kind, folder):
    """Debian 12's image reads memory that nobody wrote, which is noise in an encrypted guest, unless it has flash (docs/platform.md)."""
    file = FIRMWARE / image
    keys = {'firmware': file, 'machine.memory': MEMORY, 'machine.vcpus': vcpus, 'sev.type': kind}
    if kind in ('sev', 'sev-es') and image == BOOKWORM:
        keys |= {'firmware': file.with_name('OVMF_CODE.fd'), 'firmware-vars': shutil.copy(file.with_name('OVMF_VARS.fd'), folder)}
    return [vmm, 'run', '--host', host, '--expect', folder / 'script',
            *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


# Each image, and where it comes to by itself.
FIRMWARE = CACHE / 'firmware'
BOOKWORM, TRIXIE, SID, AMDSEV = 'bookworm/OVMF.fd', 'trixie/OVMF.fd', 'sid/OVMF.fd', 'sid/OVMF.amdsev.fd'
IMAGES = [('Debian 12', BOOKWORM, 'power off', POWER_OFF), ('Debian 13', TRIXIE, 'power off', POWER_OFF),
          ('Debian sid', SID, 'boot menu', BOOT_MENU), ('amdsev of sid', AMDSEV, 'nothing to boot', NOTHING_TO_BOOT)]
TYPES = {'none': '', 'sev': ', SEV', 'sev-es': ', SEV-ES', 'sev-snp': ', SEV-SNP'}
MATRIX = [(f'{name}{words}, {vcpus} vCPU: {title}', image, vcpus, kind, steps)
          for kind, words in TYPES.items() for name, image, title, steps in IMAGES for vcpus in (1, 4)
          if (kind, image) != ('sev-snp', BOOKWORM)]
MATRIX += [('Debian 12, SEV-SNP, 1 vCPU: ends at its local APIC', BOOKWORM, 1, 'sev-snp', PRIVATE_APIC)]
# On hosts with a secure processor; a reset is another launch.
SEV_CASES = [(f'Debian 13{TYPES[kind]}, {vcpus} vCPU: reset', TRIXIE, vcpus, kind, RESET_AND_POWER_OFF)
             for kind, vcpus in (('sev', 1), ('sev', 2), ('sev-es', 2), ('sev-snp', 1), ('sev-snp', 2))]
CASES = [(f'{name}, {vcpus} vCPU: {title}', image, vcpus, 'none', steps)
         for name, image, *_ in IMAGES[:2]
         for vcpus, title, steps in [(1, 'power off', POWER_OFF), (2, 'power off', POWER_OFF), (4, 'power off', POWER_OFF),
                                     (1, 'reset', RESET_AND_POWER_OFF), (2, 'reset', RESET_AND_POWER_OFF)]]
CASES += [('Debian sid, 1 vCPU: boot menu', SID, 1, 'none', BOOT_MENU)]
# Of the matrix, those that are run each time.
USUAL = ('Debian 12, SEV, 1 vCPU', 'Debian 12, SEV-ES, 1 vCPU', 'Debian sid, SEV-ES, 4 vCPU', 'Debian 12, SEV-SNP', 'Debian 13, SEV-SNP, 4 vCPU',
         'Debian sid, SEV-SNP, 4 vCPU', 'amdsev of sid, SEV-SNP, 1 vCPU')


def cases_for(host, everything):
    more = [case for case in MATRIX if case not in CASES and (everything or case[0].startswith(USUAL))]
    return CASES + [case for case in SEV_CASES + more if host == 'sim' or case[3] == 'none']


def run(vmm, host, image, vcpus, kind, steps, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        script = POWER_OFF if steps == PRIVATE_APIC else steps
        (folder / 'script').write_text(script.replace('timeout 300', f'timeout {PATIENCE}'))
        try:
            with Guest(command(vmm, host, image, vcpus, kind, folder), echo) as guest:
                if steps == PRIVATE_APIC:
                    guest.expect(PRIVATE_APIC)
                guest.ends(CRASHED if steps == PRIVATE_APIC else 0, LONGEST, SILENCE)
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def judged(vmm, host, *case):
    """'' or why this case fails. What the lab's emulation may have lost is tried again, if it goes well on the software platform."""
    return emulation.judge(lambda: run(vmm, host, *case), lambda: run(vmm, 'sim', *case)[0])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--case', default='')
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--echo', action='store_true')
    parser.add_argument('--no-skip', action='store_true')
    options = parser.parse_args()
    vmm = str(pathlib.Path(options.vmm).resolve())
    cases, wrong = [case for case in cases_for(options.host, options.all) if options.case in case[0]], 0
    print(f'1..{len(cases)}', flush=True)
    for number, (name, image, vcpus, kind, steps) in enumerate(cases, 1):
        if not (FIRMWARE / image).exists():
            wrong += options.no_skip
            print(f'{"not ok" if options.no_skip else "ok"} {number} - {name} # SKIP no firmware, run: scripts/setup --firmware', flush=True)
            continue
        why = judged(vmm, options.host, image, vcpus, kind, steps, options.echo)
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
