#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the lab's own Linux kernel through OVMF: boot.kernel, ACPI tables, several processors, interrupts, power-off by S5.

usage: linux.py VMM [--host sim] [--echo]   TAP on standard output
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from boot import CACHE, MEMORY
from guest import Failed, Guest, test_one

KERNEL, FIRMWARE = CACHE / 'lab/kernel', CACHE / 'firmware/trixie/OVMF.fd'
VCPUS = 2
# busybox is the only program there. It asks the kernel for what our tables say.
INIT = '''#!/busybox sh
/busybox mkdir /proc /sys
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
echo "cpus=$(/busybox grep -c ^processor /proc/cpuinfo) memory=$(/busybox sed -n 's/MemTotal: *//p' /proc/meminfo)"
/busybox ls /sys/firmware/acpi/tables | /busybox tr '\\n' ' '
/busybox dmesg | /busybox grep -E 'ACPI (BIOS )?Error|ACPI Warning' || echo "acpi=clean"
/busybox cat /proc/cmdline
/busybox poweroff -f
'''


def make_initrd(folder, init=INIT, files=()):
    """With busybox, init, and copies of these files."""
    root = pathlib.Path(folder) / 'root'
    root.mkdir()
    (root / 'busybox').write_bytes((KERNEL / 'busybox').read_bytes())
    (root / 'init').write_text(init)
    for name in 'busybox', 'init':
        (root / name).chmod(0o755)
    for file in files:
        (root / file.name).write_bytes(file.read_bytes())
        (root / file.name).chmod(0o755)
    names = '\n'.join(['.', 'busybox', 'init', *(file.name for file in files), ''])
    archive = subprocess.run([KERNEL / 'busybox', 'cpio', '-o', '-H', 'newc'], cwd=root, input=names.encode(),
                             capture_output=True, check=True).stdout
    initrd = pathlib.Path(folder) / 'initrd'
    initrd.write_bytes(archive)
    return initrd


def why_not():
    """What is missing for a boot of this kernel; or ''."""
    return '' if all(map(os.path.exists, [KERNEL / 'vmlinuz', FIRMWARE])) else 'no kernel or no firmware, run: scripts/setup --firmware --lab'


def boot(vmm, host, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {'firmware': FIRMWARE, 'machine.memory': MEMORY, 'machine.vcpus': VCPUS,
                'boot.kernel': KERNEL / 'vmlinuz', 'boot.initrd': make_initrd(folder),
                'boot.cmdline': 'console=ttyS0 panic=-1 quiet from-vmm=yes'}
        command = [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        try:
            with Guest(command, echo) as guest:
                guest.expect(f'cpus={VCPUS} memory=', seconds=300)
                guest.expect('APIC', 'acpi=')
                guest.expect('acpi=clean')
                guest.expect('from-vmm=yes')
                guest.ends(0)
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def main():
    return test_one(f'Linux, {VCPUS} vCPU', 'boots by boot.kernel, reads its tables, powers off by ACPI', why_not(), boot)


if __name__ == '__main__':
    sys.exit(main())
