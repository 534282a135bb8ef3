#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that works goes from one vmm to a second and to a third: nothing of it is lost, its clocks go on, and no other has it meanwhile.

usage: move.py VMM GUEST [--host sim] [--long] [--case NAME] [--echo]   TAP on standard output
GUEST is the program move_guest, which verifies its memory, registers, disk, connection and clocks while it works, and tells how far it is. As root
it has a network: a tap for each vmm in a bridge, in a network namespace of this test's own. passt would end the connection (docs/devices.md).
"""
import argparse
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
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
exec /move_guest {megabytes} {words}
'''
MEGABYTES = 16      # that each processor works on


HAS_NET = os.geteuid() == 0 and os.path.exists('/dev/net/tun')
HOST, OWN, MAC = '198.51.100.1', '198.51.100.2', '52:54:00:12:34:56'
VMM_SAYS = (b'vmm: ', b'This is the software platform')
WALL_MS = 3000      # by which the guest's wall clock may go away from the host's during a move, beside what the platform itself does


class Case:
    """sev: '', or who moves it: 'helper', 'processors'. net: it keeps a connection open, if this test has a network. late: by post-copy."""
    def __init__(self, name, vcpus=1, disk=False, moves=2, sev='', net=False, late=False):
        self.name = name if HAS_NET else name.replace(' and a network', '')
        self.vcpus, self.disk, self.moves, self.sev, self.net, self.late = vcpus, disk, moves, sev, net and HAS_NET, late
        self.options = ()


CASES = [
    Case('1 vCPU, A to B to C'),
    Case('4 vCPUs, A to B to C', vcpus=4),
    Case('a disk and a network, 2 vCPUs, A to B to C', vcpus=2, disk=True, net=True),
    Case('post-copy, a disk and a network, 4 vCPUs, A to B to C', vcpus=4, disk=True, net=True, late=True),
    Case('SEV by helper, a disk and a network, 2 vCPUs, A to B', vcpus=2, disk=True, moves=1, sev='helper', net=True),
]
# With --long: guests that use all they have.
LONG = [Case(f'{name}, a disk and a network, {vcpus} vCPU, A to B to C', vcpus=vcpus, disk=True, sev=sev, net=True, late=late)
        for name, sev, late in (('plain', '', False), ('plain by post-copy', '', True), ('SEV by helper', 'helper', False),
                                ('SEV by secure processors', 'processors', False)) for vcpus in (1, 4)]


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def echo(listener):
    while True:
        with listener.accept()[0] as connection:
            while block := connection.recv(1 << 16):
                connection.sendall(block)


def make_network():
    """A bridge with an echo behind it. Returns the echo's port."""
    ip('link', 'set', 'lo', 'up')
    ip('link', 'add', 'bridge', 'type', 'bridge')
    ip('addr', 'add', f'{HOST}/24', 'dev', 'bridge')
    ip('link', 'set', 'bridge', 'up')
    listener = socket.create_server((HOST, 0))
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    return listener.getsockname()[1]


def make_tap(name):
    ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
    ip('link', 'set', name, 'master', 'bridge')
    ip('link', 'set', name, 'up')


class Vmm(Guest):
    """A vmm with a control socket, which may wait for a guest."""
    def __init__(self, options, folder, name, case, keys, incoming):
        self.vmm, self.control = options.vmm, folder / f'{name}.sock'
        self.address = f'unix:{folder / name}.move'
        self.record = folder / f'{name}.record'
        words = {**keys, 'control.socket': self.control, 'migrate.record': self.record}
        net = ()
        if case.net:
            self.tap = f'tap-{name}'
            make_tap(self.tap)
            net = ('--net', f'tap={self.tap},vhost=false,mac={MAC}')
        if case.sev == 'helper':
            words.update(sealed.Owner(options.vmm, options.host, folder / f'{name}.owner', case.name.encode()[:32].ljust(32)).keys())
        command = [options.vmm, 'run', '--host', options.host, *(word for key, value in words.items() for word in ('--set', f'{key}={value}'))]
        super().__init__(command + [*case.options, *net] + (['--incoming', self.address] if incoming else []), options.echo)

    def __exit__(self, *failed):
        super().__exit__(*failed)
        if hasattr(self, 'tap'):
            ip('link', 'del', self.tap)

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
        """Waits until the guest has told five times that it goes on."""
        for _ in range(5):
            if self.expect('at ', 'wrong ', seconds=WAIT) == 'wrong ':
                self.read(1)
                raise Failed(f'the guest found a fault:\n{self.tail()}')

    def said(self):
        """What the guest has said until now, without vmm's own lines."""
        return b''.join(line for line in self.plain().splitlines(keepends=True) if not line.startswith(VMM_SAYS))

    def wall(self):
        """How many milliseconds the guest's wall clock is before the host's, and how many blocks have come back."""
        self.expect('wall ', 'wrong ', seconds=WAIT)
        self.expect('\n')
        now = time.time_ns() // 1000000
        told, blocks = re.findall(rb'wall (\d+) net (\d+)\r', self.plain())[-1]
        return int(told) - now, int(blocks)

    def echoes(self, blocks):
        """Until more blocks than these have come back."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if self.wall()[1] > blocks:
                return
        raise Failed(f'{blocks} blocks came back by the network, and no more since the move')


def move(case, here, there):
    """Returns query-migrate's answer of the source."""
    there.wait_for('query-status', 'status', 'inmigrate')
    # The emulation, and the software platform that seals, may need longer for a pass than the guest for writing as much again, and then the guest
    # is never stopped.
    here.ask('migrate-set-parameters', f'downtime-limit={600000 if case.sev == "processors" else 120000 if case.sev else 30000 if emulation.IN_LAB else 300}')
    if case.late:
        # It goes over with its first pages, and the rest follows as fast as it can.
        here.ask('migrate-set-capabilities', 'capabilities=[{"capability":"postcopy-ram","state":true}]')
        here.ask('migrate-set-parameters', 'max-bandwidth=1')
    here.ask('migrate', f'uri={there.address}')
    if case.late:
        here.wait_for('query-migrate', 'status', 'active')
        here.ask('migrate-start-postcopy')
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


def check_wall(options, away_ms, seconds):
    """The software platform's time is its guests' own, and slower than the host's where these have not enough of the host's processors."""
    slow_ms = seconds * 1000 if options.host == 'sim' or emulation.IN_LAB else 0
    if not -WALL_MS - slow_ms <= away_ms <= WALL_MS:
        raise Failed(f'the guest\'s wall clock went {away_ms} ms from the host\'s in {seconds:.1f} s')


def check_ticks(said, there):
    """The target goes on where the source stopped, be it in the middle of a line. Output that the source had not shown yet is shown there."""
    told = [int(number) for number in re.findall(rb'at (\d+)\r', said + there.said())]
    if told != list(range(told[0], told[0] + len(told))):
        raise Failed(f'the source said last {said[-60:]!r}, and the guest told, over both, {told}')


def make_keys(options, case, folder):
    names = ['virtio_blk'] * case.disk + ['failover', 'net_failover', 'virtio_net'] * case.net
    modules = [module for name in names for module in (KERNEL / 'guest-modules').glob(f'*-{name}.ko')]
    words = ('/dev/vda' if case.disk else '-') + (f' {OWN}/{HOST}/{options.port}' if case.net else '')
    init = INIT.format(megabytes=MEGABYTES, words=words,
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
        keys.update({'firmware': sealed.CODE, 'firmware-vars': store, 'machine.memory': '192M', 'sev.type': 'sev', 'sev.page-status': 'true'})
    if case.sev == 'helper':
        keys['sev.helper'] = 'true'
    elif case.sev:
        subprocess.run([options.vmm, 'host', '--host', options.host, '--certificates', 'certs', '--generation', 'sev', '--out-root', 'ark'], cwd=folder,
                       check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT)
        keys.update({'migrate.certificates': folder / 'certs', 'migrate.root': folder / 'ark'})
    return keys


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
        before, blocks = here.wall()
        began = time.monotonic()
        answer = move(case, here, there)
        while select.select([here.master], [], [], 0.2)[0] and here.read(0):
            pass
        said = here.said()
        there.counts()
        check_ticks(said, there)
        after, more = there.wall()
        refuses_to_run(here)
        if case.net:
            there.echoes(more)
        check_wall(options, after - before, time.monotonic() - began)
        print(f'# {case.name}: stopped for {answer["downtime"]} ms of {answer["total-time"]} ms, {answer["ram"]["dirty-sync-count"]} passes, '
              f'{answer["ram"]["normal"]} pages and {answer["ram"]["duplicate"]} of zeros; the wall clock went {after - before:+} ms from the host\'s'
              + (f', {answer["ram"]["postcopy-requests"]} pages were waited for' if case.late else '')
              + (f', {more - blocks} blocks came back' if case.net else ''), flush=True)
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
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if HAS_NET and not options.inside:
        os.execvp('unshare', ['unshare', '--net', sys.executable, *sys.argv, '--inside'])
    options.port = make_network() if HAS_NET else 0
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
