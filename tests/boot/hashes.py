#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernel hashes on the software platform: OVMF.amdsev.fd starts what was measured, and nothing of which the host changed a bit afterwards.

usage: hashes.py VMM SWAP [--kind sev|sev-es|sev-snp] [--echo]   TAP on standard output
SWAP is the vmm of a host that serves other bytes than it had measured (swap.c). The kernel is Debian's UEFI shell, which runs its command line.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from boot import AMDSEV, CACHE, FIRMWARE
from guest import Failed, Guest

SHELL = CACHE / 'guests/sid/shellx64.efi'
INITRD = b'what the kernel finds in its initial RAM disk\n'
NOBODY_ANSWERS = 2      # exit status of vmm ctl
CMDLINE = 'shell -nostartup -nomap'
# What the host exchanges, and the item of fw_cfg: after the kernel's first sectors, its end; docs/measurement.md has the hashes.
SWAPPED = {'nothing': None, "the kernel's first part": 0x18, "the kernel's second part": 0x11, 'the initial RAM disk': 0x12, 'the command line': 0x15}
CASES = [(kind, what, key) for kind in ('sev', 'sev-es', 'sev-snp') for what, key in SWAPPED.items()]


def figures(vmm, folder):
    """Exits of the vCPU so far, and its seconds of processor time; nothing of both as long as the socket is not there."""
    asked = subprocess.run([vmm, 'ctl', folder / 'ctl', 'metrics'], capture_output=True, text=True, timeout=300)
    if asked.returncode == NOBODY_ANSWERS:
        return 0, 0.0
    text = asked.stdout
    exits = sum(map(int, re.findall(r'^vmm_vcpu_exits_total.* (\d+)$', text, re.MULTILINE)))
    return exits, float(re.search(r'^vmm_vcpu_processor_seconds_total.* (\S+)$', text, re.MULTILINE).group(1))


def stands(guest, vmm, folder, seconds):
    """The firmware stops in a loop before a kernel that it refuses: a guest that computes for so long without any exit."""
    exits, since = None, 0
    while guest.process.poll() is None:
        guest.read(0.5)
        now, used = figures(vmm, folder)
        if now != exits:
            exits, since = now, used
        if used - since > seconds:
            break
    if guest.process.poll() is not None or b'Shell' in guest.plain():
        raise Failed(f'the firmware did not stop; the last output:\n{guest.tail()}')
    return exits


def boot(vmm, swap, kind, key, honest, folder, echo):
    """Returns the figures of a guest that came to its shell; honest is those of the guest whose host changed nothing."""
    (folder / 'initrd').write_bytes(INITRD)
    keys = {'firmware': FIRMWARE / AMDSEV, 'machine.memory': '512M', 'sev.type': kind, 'boot.kernel': SHELL, 'boot.initrd': folder / 'initrd',
            'boot.cmdline': CMDLINE, 'boot.hashes': 'true', 'control.socket': folder / 'ctl'}
    words = [swap, 'run', '--host', 'sim', *(word for name, value in keys.items() for word in ('--set', f'{name}={value}'))]
    with Guest(words if key is None else ['env', f'SWAP={key}', *words], echo) as guest:
        guest.expect('nothing protects the guest')
        if key is None:
            guest.expect('UEFI Interactive Shell')
            guest.expect('Shell>')
            honest = figures(vmm, folder)
        elif stands(guest, vmm, folder, honest[1]) >= honest[0]:
            raise Failed('it stopped after the kernel, not before it')
        guest.type('\x1dq')
        guest.ends(0)
    return honest


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('swap')
    parser.add_argument('--kind', default='')
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    vmm, swap = (str(pathlib.Path(program).resolve()) for program in (options.vmm, options.swap))
    cases = [case for case in CASES if options.kind in ('', case[0])]
    wrong, honest = 0, {}
    print(f'1..{len(cases)}', flush=True)
    for number, (kind, what, key) in enumerate(cases, 1):
        name, why = f'{kind}: the host changes {what}', ''
        if not all(map(os.path.exists, [SHELL, FIRMWARE / AMDSEV])):
            print(f'ok {number} - {name} # SKIP no shell or no firmware, run: scripts/setup --firmware --guests --sid', flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                honest[kind] = boot(vmm, swap, kind, key, honest.get(kind), pathlib.Path(folder), options.echo)
            except Failed as failed:
                why = str(failed)
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
