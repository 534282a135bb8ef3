#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux's memory grows while it runs: plain and as SEV guest. The kernel hears of it by ACPI, puts it online and uses it; after a reset, too.

usage: grow.py VMM [--host sim] [--type none|sev|sev-es] [--all] [--echo]   TAP on standard output
The software platform has a plain and a SEV-ES guest; with --all also a SEV guest.
"""
import os
import pathlib
import sys
import tempfile

from boot import CACHE
from guest import Failed, Guest, emulation, init_begins
from linux import KERNEL, make_initrd

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / 'control'))
from monitor import Client, until  # noqa: E402

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
MIB = 1 << 20
MEMORY, MOST, FIRST, SECOND = 512, 2560, 1024, 256
# "total" says how much there is, "fill MIB" writes that much to a file in memory and reads it.
INIT = init_begins('sed', 'dd', 'reboot', 'poweroff', 'rm', 'dmesg', 'grep') + '''mount -t tmpfs -o size=2g tmpfs /tmp
dmesg | grep -E 'ACPI (BIOS )?Error|ACPI Warning' || echo "acpi=clean"
echo "ready"
while read word size; do
	case $word in
	total) echo "total=$(sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)." ;;
	fill) dd if=/dev/zero of=/tmp/file bs=1M count=$size 2>/dev/null
	      echo "filled=$(dd if=/tmp/file of=/dev/null bs=1M 2>&1 | sed -n 's/+0 records out//p')."
	      rm /tmp/file ;;
	*) $word -f ;;
	esac
done
'''


def total(guest):
    """What the kernel says that it has, in MiB."""
    guest.type('total\r')
    guest.expect('total=')
    at = guest.seen
    guest.expect('.')
    return int(guest.plain()[at:guest.seen - 1]) >> 10


def add(client, name, mib):
    client.call('object-add', qom_type='memory-backend-ram', id=f'ram-{name}', size=mib * MIB)
    client.call('device_add', driver='pc-dimm', id=name, memdev=f'ram-{name}')


def refused(client, words, **arguments):
    answer = client.ask('device_add', driver='pc-dimm', **arguments)
    if words not in answer.get('error', {}).get('desc', ''):
        raise Failed(f'device_add of {arguments}: {answer}')


def grows(guest, client, name, mib, before):
    """The kernel takes all of it, and says so."""
    add(client, name, mib)
    until(lambda: all(slot['source'] == 1 for slot in client.call('query-acpi-ospm-status')), 300)
    said = client.call('query-acpi-ospm-status')
    if said[-1]['device'] != name or said[-1]['status'] != 0:
        raise Failed(f'the kernel says of the memory: {said}')
    while client.wait_event('ACPI_DEVICE_OST')['data']['info'] != said[-1]:
        pass
    now = total(guest)
    if now != before + mib:
        raise Failed(f'{before} MiB grew by {mib} MiB, and are {now} MiB')
    return now


def life(guest, client):
    at_first = total(guest)
    more = grows(guest, client, 'first', FIRST, at_first)
    more = grows(guest, client, 'second', SECOND, more)
    addresses = [device['data']['addr'] for device in client.call('query-memory-devices')]
    if addresses != [4 << 30, (4 << 30) + FIRST * MIB]:
        raise Failed(f'memory was added at {addresses}')
    if client.call('query-memory-size-summary') != {'base-memory': MEMORY * MIB, 'plugged-memory': (FIRST + SECOND) * MIB}:
        raise Failed(f'{client.call("query-memory-size-summary")}')
    client.call('object-add', qom_type='memory-backend-ram', id='large', size=2048 * MIB)
    client.call('object-add', qom_type='memory-backend-ram', id='odd', size=100 * MIB)
    refused(client, f'the guest can get {MOST - MEMORY - FIRST - SECOND} MiB more', memdev='large')
    refused(client, 'in multiples of 128 MiB', memdev='odd')
    refused(client, 'already busy memdev', memdev='ram-first')
    guest.type(f'fill {MEMORY + 128}\r')    # more than there was at the start
    guest.expect(f'filled={MEMORY + 128}.', seconds=600)
    client.call('system_reset')
    guest.expect('ready', seconds=600)
    again = total(guest)
    # The kernel keeps a description of each page, of all memory that it starts with and of what comes later alike.
    if abs(again - more) > 16:
        raise Failed(f'{more} MiB are {again} MiB after a reset')
    guest.type('poweroff\r')


def boot(vmm, host, kind, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'control'
        keys = {'firmware': FIRMWARE, 'machine.memory': f'{MEMORY}M', 'machine.memory-max': f'{MOST}M', 'machine.vcpus': 2, 'sev.type': kind,
                'boot.kernel': KERNEL / 'vmlinuz', 'boot.initrd': make_initrd(folder, INIT), 'control.socket': path,
                'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1 memhp_default_state=online'}
        command = [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        try:
            with Guest(command, echo) as guest:
                guest.expect('acpi=clean', seconds=600)
                guest.expect('ready')
                life(guest, Client(path).negotiated())
                guest.ends(0)
        except (Failed, AssertionError) as failed:
            return str(failed), getattr(failed, 'lost', '')
    return '', ''


def main():
    vmm = str(pathlib.Path(sys.argv[1]).resolve())
    host, kind = (sys.argv[sys.argv.index(word) + 1] if word in sys.argv else default for word, default in (('--host', 'kvm'), ('--type', '')))
    usual = ['none'] if host != 'sim' else ['none', 'sev', 'sev-es'] if '--all' in sys.argv else ['none', 'sev-es']
    kinds = [kind] if kind else usual
    print(f'1..{len(kinds)}', flush=True)
    failed = False
    for number, kind in enumerate(kinds, 1):
        if not all(map(os.path.exists, (KERNEL / 'vmlinuz', FIRMWARE))):
            print(f'ok {number} - Linux grows # SKIP no kernel or no firmware, run: scripts/setup --firmware --lab')
            continue
        why = emulation.judge(lambda: boot(vmm, host, kind, '--echo' in sys.argv), lambda: boot(vmm, 'sim', kind, '--echo' in sys.argv)[0])
        failed |= bool(why)
        print(f'{"not ok" if why else "ok"} {number} - Linux, {kind}: its memory grows' + (f'\n# {why}' if why else ''), flush=True)
    return failed


if __name__ == '__main__':
    sys.exit(main())
