#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's own Linux kernel panics: its driver of pvpanic finds the device in the ACPI tables, and vmm ends with "the guest crashed".

usage: panic.py VMM [--host sim] [--echo]   TAP on standard output
"""
import sys
import tempfile

from boot import MEMORY
from guest import Failed, Guest, test_one
from linux import FIRMWARE, KERNEL, make_initrd, why_not

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
    missing = '' if len(MODULES) >= 2 else 'the kernel was unpacked without the modules of pvpanic, run: scripts/setup --lab'
    return test_one('panic', 'the driver finds pvpanic by ACPI, and the panic ends vmm with status 3', why_not() or missing, boot)


if __name__ == '__main__':
    sys.exit(main())
