#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that works goes from one vmm to a second and to a third: nothing of it is lost, its clocks go on, and no other has it meanwhile.

usage: move.py VMM GUEST [--host sim] [--long] [--case NAME] [--echo]   TAP on standard output
GUEST is the program move_guest, which verifies its memory, registers, disk and clocks while it works, and tells how far it is.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import sealed
from guest import Failed, Guest, emulation
from linux import FIRMWARE, KERNEL, make_initrd

SLOW = 10 if emulation.IN_LAB else 1
WAIT = 300 * (2 if emulation.IN_LAB else 1)
INIT = '''#!/busybox sh
/busybox mkdir /proc /sys /dev
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs dev /dev
{modules}
exec /move_guest {megabytes} {disk}
'''
MEGABYTES = 16      # that each processor works on


class Case:
    def __init__(self, name, vcpus=1, disk=False, moves=2, sev=False, **keys):
        self.name, self.vcpus, self.disk, self.moves, self.sev, self.keys, self.options = name, vcpus, disk, moves, sev, keys, ()


CASES = [
    Case('1 vCPU, A to B to C'),
    Case('4 vCPUs, A to B to C', vcpus=4),
    Case('a disk, 2 vCPUs, A to B to C', vcpus=2, disk=True),
    Case('SEV, a disk, 2 vCPUs, A to B', vcpus=2, disk=True, moves=1, sev=True),
]
# With --long.
LONG = [
    Case('SEV, 1 vCPU, A to B to C', sev=True),
    Case('SEV, a disk, 2 vCPUs, A to B to C', vcpus=2, disk=True, sev=True),
]


class Vmm(Guest):
    """A vmm with a control socket, which may wait for a guest."""
    def __init__(self, options, folder, name, case, keys, incoming):
        self.vmm, self.control = options.vmm, folder / f'{name}.sock'
        self.address = f'unix:{folder / name}.move'
        self.record = folder / f'{name}.record'
        words = {**keys, 'control.socket': self.control, 'migrate.record': self.record}
        if case.sev:
            words.update(sealed.Owner(options.vmm, options.host, folder / f'{name}.owner', case.name.encode()[:32].ljust(32)).keys())
        command = [options.vmm, 'run', '--host', options.host, *(word for key, value in words.items() for word in ('--set', f'{key}={value}'))]
        super().__init__(command + [*case.options] + (['--incoming', self.address] if incoming else []), options.echo)

    def ask(self, *words):
        for _ in range(100 * SLOW):
            run = subprocess.run([self.vmm, 'ctl', self.control, *words], capture_output=True, text=True, timeout=WAIT)
            if 'no server answers' not in run.stderr:
                break
            time.sleep(0.1)
        if run.returncode:
            raise Failed(f'{" ".join(words)}: {run.stderr.strip()}')
        return json.loads(run.stdout)

    def wait_for(self, command, field, *values):
        """Until the answer's field has one of these values; returns the answer."""
        end = time.monotonic() + WAIT
        answer = {}
        while time.monotonic() < end:
            answer = self.ask(command)
            if answer.get(field) in values:
                return answer
            self.read(0.05)
        raise Failed(f'{command}: {field} is never {" or ".join(values)}: {answer}\n{self.tail()}')

    def counts(self):
        """Waits until the guest has told five times that it goes on. Returns where it is."""
        for _ in range(5):
            if self.expect('at ', 'wrong ', seconds=WAIT) == 'wrong ':
                self.read(1)
                raise Failed(f'the guest found a fault:\n{self.tail()}')
        return self.last()

    def last(self):
        told = re.findall(rb'at (\d+)\r', self.plain())
        return int(told[-1]) if told else 0

    def first(self):
        return int(re.findall(rb'at (\d+)\r', self.plain())[0])


def move(case, here, there):
    """Returns query-migrate's answer of the source."""
    there.wait_for('query-status', 'status', 'inmigrate')
    # The emulation, and the software platform that seals, may need longer for a pass than the guest for writing as much again, and then the guest
    # is never stopped.
    here.ask('migrate-set-parameters', f'downtime-limit={120000 if case.sev else 30000 if emulation.IN_LAB else 300}')
    here.ask('migrate', f'uri={there.address}')
    answer = here.wait_for('query-migrate', 'status', 'completed', 'failed', 'in-doubt')
    if answer['status'] != 'completed':
        raise Failed(f'the move {answer["status"]}: {answer.get("error-desc")}\n{there.tail()}')
    if here.ask('query-status')['status'] != 'postmigrate':
        raise Failed('the source has not given its guest away')
    return answer


def refuses_to_run(here):
    try:
        here.ask('cont')
    except Failed as failed:
        if 'was given to another vmm' in str(failed):
            return
    raise Failed('a source that gave its guest away runs it again')


def check_ticks(here, there):
    """The target goes on where the source stopped. Output that the source had not shown yet is shown there."""
    while here.read(0.2) and not here.plain().endswith(b'\n'):
        pass
    if there.first() != here.last() + 1:
        raise Failed(f'the source told {here.last()} last, and the target {there.first()} first')


def make_keys(options, case, folder):
    modules = sorted((KERNEL / 'guest-modules').glob('*-virtio_blk.ko')) if case.disk else []
    init = INIT.format(megabytes=MEGABYTES, disk='/dev/vda' if case.disk else '',
                       modules='\n'.join(f'/busybox insmod /{module.name}' for module in modules))
    guest = folder / 'move_guest'
    guest.write_bytes(pathlib.Path(options.guest).read_bytes())
    if case.disk:
        image = folder / 'image'
        image.write_bytes(b'')
        os.truncate(image, 16 << 20)
        case.options = ('--disk', str(image))
    keys = {'firmware': FIRMWARE, 'machine.memory': '256M', 'machine.vcpus': case.vcpus, 'boot.kernel': KERNEL / 'vmlinuz',
            'boot.initrd': make_initrd(folder, init, [guest, *modules]), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'}
    if case.sev:
        store = folder / 'variables'
        store.write_bytes(sealed.variables())
        keys.update({'firmware': sealed.CODE, 'firmware-vars': store, 'machine.memory': '192M', 'sev.type': 'sev', 'sev.helper': 'true', 'sev.page-status': 'true'})
    return {**keys, **case.keys}


def run(options, case, host):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    options.host = host
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        keys = make_keys(options, case, folder)
        try:
            return go(options, case, folder, keys)
        except Failed as failed:
            return str(failed), failed.lost


def go(options, case, folder, keys):
    here = Vmm(options, folder, 'a', case, keys, incoming=False)
    with here:
        here.counts()
        return go_on(options, case, folder, keys, here, case.moves)


def go_on(options, case, folder, keys, here, moves):
    if not moves:
        here.type('end\n')
        if here.expect('all right ', 'wrong ', seconds=WAIT) == 'wrong ':
            here.read(1)
            raise Failed(f'the guest found a fault:\n{here.tail()}')
        here.ends(0)
        return '', ''
    with Vmm(options, folder, 'bcdefgh'[case.moves - moves], case, keys, incoming=True) as there:
        answer = move(case, here, there)
        there.counts()
        check_ticks(here, there)
        refuses_to_run(here)
        print(f'# {case.name}: stopped for {answer["downtime"]} ms of {answer["total-time"]} ms, {answer["ram"]["dirty-sync-count"]} passes, '
              f'{answer["ram"]["normal"]} pages and {answer["ram"]["duplicate"]} of zeros', flush=True)
        here.ask('quit')
        here.ends(0)
        return go_on(options, case, folder, keys, there, moves - 1)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm', type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument('guest')
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--case')
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    cases = [case for case in (LONG if options.long else CASES) if options.case in (None, case.name) and (options.host == 'sim' or not case.sev)]
    host, failed = options.host, 0
    print(f'1..{len(cases)}', flush=True)
    for number, case in enumerate(cases, 1):
        if not KERNEL.exists() or not FIRMWARE.exists():
            print(f'ok {number} - {case.name} # SKIP no kernel or no firmware, run: scripts/setup --firmware --lab')
            continue
        why = emulation.judge(lambda case=case: run(options, case, host), lambda case=case: run(options, case, 'sim')[0])
        print(f'not ok {number} - {case.name}\n# {why}' if why else f'ok {number} - {case.name}', flush=True)
        failed += bool(why)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
