#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The software processor by its interpreter, by its translator, and QEMU's TCG: processor time of two boots, in alternating runs.

usage: cpu.py VMM [--qemu PATH] [--runs N] [--boots WORD...]
The boots are OVMF to `Shell>` (shell) and Linux by OVMF to its init (linux), with one processor and 512 MiB. Prints medians and ratios to QEMU's;
judges nothing. The kernel and busybox are in the cache: scripts/setup --lab --debian.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

import linux  # noqa: E402
import sev  # noqa: E402
from boot import CACHE  # noqa: E402
from guest import Guest  # noqa: E402

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
KERNEL = CACHE / 'debian/vmlinuz-6'
CMDLINE = 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'


def vmm(program, cpu, initrd):
    keys = {'firmware': FIRMWARE, 'machine.memory': '512M', 'sim.cpu': cpu}
    if initrd:
        keys |= {'boot.kernel': KERNEL, 'boot.initrd': initrd, 'boot.cmdline': CMDLINE}
    return [program, 'run', '--host', 'sim', *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def qemu(program, initrd):
    boot = ['-kernel', KERNEL, '-initrd', initrd, '-append', CMDLINE] if initrd else []
    return [program, '-accel', 'tcg', '-M', 'pc', '-cpu', 'EPYC-v4', '-m', '512', '-nodefaults', '-display', 'none', '-serial', 'stdio',
            '-bios', FIRMWARE, *boot]


def seconds(command, boot):
    with Guest(list(map(str, command))) as guest:
        if boot == 'linux':
            found = sev.to_init(guest, 'none')
        else:
            found = sev.to_shell(guest)
        guest.ends(0)
    return found[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--boots', nargs='+', default=['shell', 'linux'], choices=['shell', 'linux'])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        initrd = linux.make_initrd(folder, sev.INIT)
        for boot in options.boots:
            image = initrd if boot == 'linux' else None
            commands = {'interpreter': vmm(options.vmm, 'interpreter', image), 'translator': vmm(options.vmm, 'translator', image),
                        'qemu': qemu(options.qemu, image)}
            found = {name: [] for name in commands}
            for _ in range(options.runs):
                for name, command in commands.items():
                    found[name].append(seconds(command, boot))
            medians = {name: statistics.median(times) for name, times in found.items()}
            for name, median in medians.items():
                print(f'{boot:6} {name:12} {median:6.2f} s   {median / medians["qemu"]:.2f}')


if __name__ == '__main__':
    main()
