#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux hears of each press of the power button, by ACPI's interrupt and its input device: from power-on, after it restarted itself, and
after the host reset it while the interrupt of an earlier press was still raised. Its last press powers it off.

usage: button.py VMM [--host sim] [--echo]   TAP on standard output
"""
import pathlib
import sys
import tempfile

from boot import MEMORY
from guest import Failed, Guest, test_one
from linux import FIRMWARE, KERNEL, make_initrd, why_not

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / 'control'))
from monitor import Client  # noqa: E402

MODULES = [file for file in sorted((KERNEL / 'guest-modules').glob('*.ko')) if file.name.split('-', 1)[1] in ('button.ko', 'evdev.ko')]
VCPUS = 2
PRESSES = 2     # in each life of the guest; the second comes only if the first was taken back
# A press is heard only while the input device is open. It is four events of 24 bytes: the key is down, a report's end, the key is up, another end.
INIT = '''#!/busybox sh
/busybox mkdir -p /proc /dev
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs dev /dev
for module in /*.ko; do
	/busybox insmod "$module" || echo "no $module"
done
exec 3</dev/input/event0
echo "listens"
while true; do
	events=$(/busybox dd bs=24 count=4 <&3 2>/dev/null | /busybox od -A n -v -t u2 -w24 | while read a b c d e f g h kind code value more; do
		echo -n " $kind:$code:$value"
	done)
	echo "heard:$events."
	read word
	[ "$word" != restart ] || /busybox reboot -f
	[ "$word" != off ] || /busybox poweroff -f
done
'''
HEARD = 'heard: 1:116:1 0:0:0 1:116:0 0:0:0.'    # EV_KEY, KEY_POWER


def press(guest, client):
    """The guest listens from power-on or a reset on, and hears each press."""
    guest.expect('listens')
    for number in range(PRESSES):
        if number:
            guest.type('again\r')
        client.call('system_powerdown')
        guest.expect('heard:')
        guest.seen -= len('heard:')
        guest.expect('\n')
        heard = guest.plain()[:guest.seen].decode(errors='replace').rstrip()
        if not heard.endswith(HEARD):
            raise Failed(f'of press {number + 1} came: {heard.splitlines()[-1]}')


def steps(guest, client):
    press(guest, client)
    guest.type('restart\r')
    press(guest, client)
    for command in ('stop', 'system_powerdown', 'system_reset', 'cont'):
        client.call(command)
    press(guest, client)
    guest.type('off\r')
    guest.ends(0)


def boot(vmm, host, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        keys = {'firmware': FIRMWARE, 'machine.memory': MEMORY, 'machine.vcpus': VCPUS, 'boot.kernel': KERNEL / 'vmlinuz',
                'boot.initrd': make_initrd(folder, INIT, MODULES), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet', 'control.socket': folder / 'control'}
        command = [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        try:
            with Guest(command, echo) as guest:
                guest.expect('EFI stub', 'listens', seconds=300)
                guest.seen = 0
                client = Client(folder / 'control').negotiated()
                steps(guest, client)
                client.close()
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def main():
    missing = '' if len(MODULES) >= 2 else 'the kernel was unpacked without the modules of the button, run: scripts/setup --lab'
    right = 'Linux hears each press from power-on, after a restart, and after a reset with a press on its way'
    return test_one(f'power button, {VCPUS} vCPU', right, why_not() or missing, boot)


if __name__ == '__main__':
    sys.exit(main())
