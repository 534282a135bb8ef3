#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's own Linux kernel panics: its driver of pvpanic finds the device in the ACPI tables, and vmm ends with "the guest crashed".

usage: panic.py VMM [--host sim] [--echo]   TAP on standard output
"""
import os
import pathlib
import sys
import tempfile

from boot import CACHE, MEMORY
from guest import Failed, Guest, emulation
from linux import KERNEL, make_initrd

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
MODULES = sorted((KERNEL / 'guest-modules').glob('*pvpanic*'))
# The events that the device offers are those that the driver reports. Without the device, the kernel would restart the guest (panic=-1).
INIT = '''#!/busybox sh
/busybox mkdir /proc /sys
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
for module in /*.ko; do
	/busybox insmod "$module" || echo "no $module"
done
echo "offered=$(/busybox cat /sys/bus/platform/devices/QEMU0001:00/capability) used=$(/busybox cat /sys/bus/platform/devices/QEMU0001:00/events)"
echo c >/proc/sysrq-trigger
'''


def boot(vmm, host, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {'firmware': FIRMWARE, 'machine.memory': MEMORY, 'boot.kernel': KERNEL / 'vmlinuz', 'boot.initrd': make_initrd(folder, INIT, MODULES),
                'boot.cmdline': 'console=ttyS0 panic=-1 quiet'}
        command = [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        try:
            with Guest(command, echo) as guest:
                guest.expect('offered=3 used=3', seconds=300)
                guest.expect('Kernel panic - not syncing')
                guest.expect('the guest crashed: it reported a kernel panic (pvpanic)')
                guest.ends(3)
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def main():
    vmm = str(pathlib.Path(sys.argv[1]).resolve())
    print('1..1', flush=True)
    if not all(map(os.path.exists, [KERNEL / 'vmlinuz', FIRMWARE])):
        print('ok 1 - panic # SKIP no kernel or no firmware, run: scripts/setup --firmware --lab')
        return 0
    if len(MODULES) < 2:
        print('ok 1 - panic # SKIP the kernel was unpacked without the modules of pvpanic, run: scripts/setup --lab')
        return 0
    host, echo = sys.argv[sys.argv.index('--host') + 1] if '--host' in sys.argv else 'kvm', '--echo' in sys.argv
    why = emulation.judge(lambda: boot(vmm, host, echo), lambda: boot(vmm, 'sim', echo)[0])
    if why:
        print(f'not ok 1 - panic\n# {why}')
        return 1
    print('ok 1 - panic: the driver finds pvpanic by ACPI, and the panic ends vmm with status 3')
    return 0


if __name__ == '__main__':
    sys.exit(main())
