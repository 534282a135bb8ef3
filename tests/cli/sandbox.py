#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm in its sandbox: every feature works there, each thread is in it, and a forbidden call ends vmm with a message."""
import itertools
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import unittest

import guests
import virtio
from virtio import BUFFER, CONFIGURED, NEXT, WRITE, Device, desc, expect, offer, poke, until_used

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import stand_in  # noqa: E402

FORBIDDEN = os.environ.get('FORBIDDEN', '')  # the library of forbidden.c
PROBE = [guests.VMM, 'run', '--host', 'sim', '--set', 'log=info', '--set', f'firmware={guests.VMM}']  # which is none
VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/virtiofsd', '/usr/lib/qemu/virtiofsd']
HEAD, STATUS, DATA = BUFFER + 0x800, BUFFER + 0x900, BUFFER
READ, WRITE_OUT, FLUSH = 0, 1, 4  # VIRTIO 5.2.6
BLOCK = 512
NOBODY = 65534
TAPS = itertools.count()


def compare(address, value):
    """cmp byte [address], value"""
    return struct.pack('<BBHB', 0x80, 0x3e, address - virtio.RAM, value)


def disk(device, kind, sector, mark):
    """A request of one sector from its start on, and its status."""
    code = device.start() + poke(HEAD, kind, 4) + poke(HEAD + 8, sector, 4) + poke(STATUS, 0xffff)
    if kind == FLUSH:
        code += desc(0, HEAD, 16, NEXT, 1) + desc(1, STATUS, 1, WRITE)
    else:
        code += desc(0, HEAD, 16, NEXT, 1) + desc(1, DATA, BLOCK, NEXT | (WRITE if kind == READ else 0), 2) + desc(2, STATUS, 1, WRITE)
    return code + offer(0) + device.kick() + until_used(1) + expect(compare(STATUS, 0), mark)


def one_buffer(device, queue, flags, size):
    return device.start(queue) + desc(0, DATA, size, flags) + offer(0) + device.kick(queue) + until_used(1)


def works_on(device):
    """Writes, flushes and reads back."""
    code = poke(DATA, 0x6b6f) + disk(device, WRITE_OUT, 0, '1') + disk(device, FLUSH, 0, '2') + poke(DATA, 0)
    return code + disk(device, READ, 0, '3') + expect(compare(DATA, 0x6f), '4')


def net_works(device):
    """Sends a frame to everybody, behind a header of zeros."""
    code = device.start(1) + b''.join(poke(DATA + i, 0, 4) for i in range(0, 80, 4)) + poke(DATA + 12, 0xffffffff, 4) + poke(DATA + 16, 0xffff)
    return code + desc(0, DATA, 72, 0) + offer(0) + device.kick(1) + until_used(1)


def passt_runs():
    """It shuts itself in, which containers may refuse."""
    return bool(shutil.which('passt')) and guests.run(['unshare', '-Ur', 'true']).returncode == 0


def virtiofsd_runs():
    """So does this one; that of Debian 12 wants to be root."""
    there = any(map(os.path.exists, VIRTIOFSD))
    return there and os.geteuid() == 0 and guests.run(['unshare', '-m', 'true']).returncode == 0


def certify(folder):
    """Files of an authority and of a server, as libnbd and nbdkit name them."""
    def openssl(*words):
        subprocess.run(['openssl', *words], cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=authority', '-keyout', 'ca-key.pem', '-out', 'ca-cert.pem')
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', 'server-key.pem', '-out', 'request')
    (folder / 'names').write_text('subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    openssl('x509', '-req', '-days', '2', '-in', 'request', '-CA', 'ca-cert.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-extfile', 'names',
            '-out', 'server-cert.pem')


def make_tap(test):
    """The name of a tap, or None where none can be made."""
    name = f'vmm{os.getpid()}t{next(TAPS)}'
    if guests.run(['ip', 'tuntap', 'add', 'dev', name, 'mode', 'tap', 'multi_queue']).returncode:
        return None
    test.addCleanup(guests.run, ['ip', 'link', 'delete', name])
    subprocess.run(['ip', 'link', 'set', name, 'up'], check=True)
    return name


class Machine:
    """A guest with all devices that this machine can serve, each of which prints a letter when it has worked."""
    def __init__(self, test, files):
        self.test, self.files, self.slot = test, files, 3
        self.sets, self.letters, self.code = [], '', bytes.fromhex('b80010 8ed8')
        self.count = 0

    def add(self, letter, work, configured, **keys):
        for key, value in keys.items():
            self.sets.append(f'devices[{self.count}].{key.replace("_", "-")}={value}')
        device = Device(self.slot, CONFIGURED if configured else virtio.WINDOW)
        self.code += work(device) + device.set(virtio.STATUS, 1, 0) + guests.text(letter)
        self.letters += letter
        self.count += 1
        self.slot += 1

    def serve_nbd(self):
        path = self.files.path / 'nbd'
        server = subprocess.Popen(['nbdkit', '-f', '-U', path, 'memory', '1M'], stdin=subprocess.DEVNULL)
        self.test.addCleanup(server.wait)
        self.test.addCleanup(server.kill)
        guests.until(path.exists)
        return f'nbd+unix:///?socket={path}'

    def add_all(self):
        raw, share = self.files.path / 'disk', self.files.path / 'share'
        raw.write_bytes(bytes(1 << 20))
        share.mkdir()
        self.disk = Device(self.slot, CONFIGURED)
        self.add('d', works_on, True, driver='blk', file=raw)
        self.add('r', lambda device: one_buffer(device, 0, WRITE, 16), False, driver='rng')
        self.add('c', lambda device: poke(DATA, 0x6b6f) + one_buffer(device, 1, 0, 2), False, driver='console', output=self.files.path / 'console')
        self.add('b', lambda device: poke(DATA, 0x40, 4) + one_buffer(device, 0, 0, 4), True, driver='balloon')
        if shutil.which('nbdkit'):
            self.add('n', works_on, True, driver='blk', file=self.serve_nbd())
        if passt_runs():
            self.add('p', net_works, True, driver='net')
        tap = make_tap(self.test)
        if tap:
            self.add('t', net_works, True, driver='net', tap=tap, queues=2)
        if virtiofsd_runs():
            self.add('f', lambda device: device.start(1), True, driver='fs', tag='t', folder=share)

    def finish(self):
        """The first life marks the disk and reboots, the second finds the mark and powers off."""
        second = guests.text('2') + guests.POWER_OFF
        self.code += poke(DATA, 0) + disk(self.disk, READ, 8, '5') + compare(DATA, 0x6f) + b'\x0f\x85' + struct.pack('<h', len(second)) + second
        self.code += poke(DATA, 0x6b6f) + disk(self.disk, WRITE_OUT, 8, '6') + guests.text('1') + guests.RESET
        return self.letters + '1' + self.letters + '2'


def only_logs():
    """A build with a sanitizer or coverage says so at level info. No library can be put before its own."""
    return b'forbidden system calls are only logged' in guests.run(PROBE).stderr


ENDS_AT_A_CALL = FORBIDDEN and not only_logs()


class Sandbox(unittest.TestCase):
    """Some of what is tried needs other programs; Machine.letters tells what was there."""
    def setUp(self):
        self.files = guests.Folder(self)

    def hosts(self):
        return ['sim', 'kvm'] if guests.KVM else ['sim']

    def test_every_device_and_a_reset(self):
        for host in self.hosts():
            with self.subTest(host):
                self.files = guests.Folder(self)
                machine = Machine(self, self.files)
                machine.add_all()
                wanted = machine.finish()
                debug = self.files.path / 'debug'
                command = self.files.guest(machine.code, f'host={host}', f'machine.debugcon={debug}', *machine.sets)
                done = guests.run([*command, '--trace', str(self.files.path / 'trace')])
                self.assertEqual((done.returncode, done.stdout.decode()), (0, wanted), done.stderr)
                self.assertEqual((self.files.path / 'console').read_bytes(), b'okok')
                print(f'{host}: {wanted}')

    def test_each_thread_is_in_it(self):
        for host in self.hosts():
            with self.subTest(host):
                raw = self.files.path / f'disk-{host}'
                raw.write_bytes(bytes(BLOCK))
                command = self.files.guest(guests.SPIN, f'host={host}', 'machine.vcpus=2', 'devices[0].driver=blk', f'devices[0].file={raw}')
                with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    guests.until(lambda: {'vcpu0', 'vcpu1', 'blk0'} <= set(guests.tasks(process.pid).values()))
                    guests.until(lambda: all(state == (2, 1) for name, state in self.states(process.pid) if not name.startswith('kvm-')))
                    process.kill()

    def test_vcpus_have_an_empty_network(self):
        """Where vmm may give them one."""
        if guests.run(['unshare', '-n', '-i', '-u', 'true']).returncode:
            self.skipTest('no namespaces can be made here')
        with subprocess.Popen(self.files.guest(guests.SPIN, 'host=sim'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            guests.until(lambda: 'vcpu0' in guests.tasks(process.pid).values())
            vcpu = next(number for number, name in guests.tasks(process.pid).items() if name == 'vcpu0')
            interfaces = pathlib.Path(f'/proc/{process.pid}/task/{vcpu}/net/dev').read_text().splitlines()[2:]
            spaces = [os.readlink(f'/proc/{process.pid}/task/{vcpu}/ns/{kind}') for kind in ('net', 'ipc', 'uts')]
            process.kill()
        self.assertEqual([line.split(':')[0].strip() for line in interfaces], ['lo'])
        for space, kind in zip(spaces, ('net', 'ipc', 'uts')):
            self.assertNotEqual(space, os.readlink(f'/proc/self/ns/{kind}'))

    @staticmethod
    def states(pid):
        """Of each thread: its name, its seccomp mode (2: it has a filter), its no_new_privs."""
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            text = (task / 'status').read_text()
            yield (re.search(r'^Name:\s*(.*)', text)[1],
                   (int(re.search(r'^Seccomp:\s*(\d)', text, re.M)[1]), int(re.search(r'^NoNewPrivs:\s*(\d)', text, re.M)[1])))

    def test_launches_of_confidential_guests(self):
        """Their measurement goes out, and they join a cgroup."""
        firmware = stand_in.write(self.files.path / 'firmware')
        for kind in ('sev', 'sev-es', 'sev-snp'):
            with self.subTest(kind):
                measured = self.files.path / f'{kind}-measure'
                sets = ['host=sim', f'firmware={firmware}', 'machine.memory=64M', f'sev.type={kind}', 'run.grace=0', 'cgroup=' + str(self.cgroup())]
                sets += [f'sev.measurement={measured}'] if kind != 'sev-snp' else []
                with subprocess.Popen([guests.VMM, 'run', *(word for key in sets for word in ('--set', key))], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    guests.until(lambda: 'vcpu0' in guests.tasks(process.pid).values() or process.poll() is not None)
                    process.terminate()
                    said = process.communicate(timeout=120)[1].decode()
                self.assertNotIn('the sandbox ends', said)
                self.assertIn(process.returncode, (0, 1, 3), said)
                self.assertTrue(kind == 'sev-snp' or measured.exists(), said)

    @unittest.skipIf('OTHER_LIBC' in os.environ and os.geteuid() == 0, 'the C library of the cache is for its owner alone')
    @unittest.skipUnless(shutil.which('nbdkit') and shutil.which('openssl'), 'no nbdkit, or no openssl')
    def test_a_disk_by_nbd_with_tls(self):
        """libnbd looks for the authority in the user's folder, unless the user is root."""
        files = self.files.path
        pki = files / '.config/pki/libnbd'
        pki.mkdir(parents=True)
        certify(files)
        shutil.copy(files / 'ca-cert.pem', pki)
        path = files / 'nbd'
        with subprocess.Popen(['nbdkit', '-f', '-U', path, '--tls=require', f'--tls-certificates={files}', 'memory', '1M'], stdin=subprocess.DEVNULL) as server:
            try:
                guests.until(path.exists)
                device = Device(3, CONFIGURED)
                command = self.files.guest(bytes.fromhex('b80010 8ed8') + works_on(device) + guests.text('n') + guests.POWER_OFF, 'host=sim',
                                           'devices[0].driver=blk', f'devices[0].file=nbds+unix:///?socket={path}')
                other = ['setpriv', '--reuid', str(NOBODY), '--regid', str(NOBODY), '--clear-groups'] if os.geteuid() == 0 else []
                if other:
                    subprocess.run(['chown', '-R', str(NOBODY), files], check=True)
                    command[0] = shutil.copy(guests.VMM, files / 'vmm')
                # LeakSanitizer of gcc 12 looks for thread-local storage of the libraries of TLS at a wrong address.
                done = guests.run([*other, *command], env=dict(os.environ, HOME=str(files), LSAN_OPTIONS='detect_leaks=0'))
            finally:
                server.kill()
        self.assertEqual((done.returncode, done.stdout), (0, b'n'), done.stderr)

    def block_device(self):
        """One of 1 MiB that can be made larger, and how, or None where there is none."""
        file = self.files.path / 'block'
        file.write_bytes(bytes(1 << 20))
        made = guests.run(['losetup', '-f', '--show', file])
        if made.returncode:
            return None
        device = made.stdout.decode().strip()
        self.addCleanup(guests.run, ['losetup', '-d', device])

        def grow():
            os.truncate(file, 2 << 20)
            subprocess.run(['losetup', '-c', device], check=True)
        return device, grow

    def test_commands_that_reach_devices(self):
        raw, control = self.files.path / 'disk', self.files.path / 'control'
        raw.write_bytes(bytes(1 << 20))
        sets = ['devices[0].driver=blk', f'devices[0].file={raw}', 'devices[0].id=d0']
        block, tap = self.block_device(), make_tap(self)
        if block:
            sets += ['devices[1].driver=blk', f'devices[1].file={block[0]}', 'devices[1].id=d1']
        if tap:
            sets += [f'devices[{2 if block else 1}].{key}' for key in ('driver=net', f'tap={tap}', 'id=n0')]
        with subprocess.Popen(self.files.guest(guests.SPIN, 'host=sim', f'control.socket={control}', *sets), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process, socket.socket(socket.AF_UNIX) as client:
            try:
                guests.until(control.exists)
                client.settimeout(120)
                guests.until(lambda: client.connect_ex(str(control)) == 0)
                lines = client.makefile('rw')
                self.ask(lines, 'qmp_capabilities')
                self.ask(lines, 'block_resize', device='d0', size=2 << 20)
                if block:
                    block[1]()
                    self.ask(lines, 'block_resize', device='d1', size=2 << 20)
                if tap:
                    self.ask(lines, 'set_link', name='n0', up=False)
                    self.ask(lines, 'set_link', name='n0', up=True)
                self.ask(lines, 'quit')
                said = process.communicate(timeout=120)[1]
            finally:
                process.kill()
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual(raw.stat().st_size, 2 << 20)

    def ask(self, lines, command, **arguments):
        lines.write(json.dumps({'execute': command} | ({'arguments': arguments} if arguments else {})) + '\n')
        lines.flush()
        while not {'return', 'error'} & (answer := json.loads(lines.readline())).keys():
            pass
        self.assertEqual(answer, {'return': {}}, command)

    def cgroup(self):
        """A folder that looks like a cgroup's."""
        folder = self.files.path / 'cgroup'
        folder.mkdir(exist_ok=True)
        (folder / 'cgroup.procs').touch()
        return folder

    def test_a_virtiofsd_that_died_is_replaced(self):
        if not virtiofsd_runs():
            self.skipTest('no virtiofsd that runs here')
        share = self.files.path / 'share'
        share.mkdir()
        device = Device(3, CONFIGURED)
        wait = guests.text('?') + bytes.fromhex('bafd03 ec a801 74fb baf803 ec')  # for a byte from the console
        code = bytes.fromhex('b80010 8ed8') + device.start(1) + guests.text('a') + wait + device.set(virtio.STATUS, 1, 0)
        code += device.start(1) + device.is_running('!') + guests.text('b') + guests.POWER_OFF
        command = self.files.guest(code, 'host=sim', 'devices[0].driver=fs', 'devices[0].tag=t', f'devices[0].folder={share}')
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.read(2), b'a?')
            killed = [pid for pid in self.descendants(process.pid) if 'virtiofsd' in self.name(pid)]
            self.assertTrue(killed)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            guests.until(lambda: not any(pathlib.Path(f'/proc/{pid}').exists() and self.state(pid) not in 'ZX' for pid in killed))
            out, err = process.communicate(b'x', timeout=120)
        self.assertEqual((out, process.returncode), (b'b', 0), err)

    @staticmethod
    def name(pid):
        try:
            return pathlib.Path(f'/proc/{pid}/comm').read_text()
        except OSError:
            return ''

    @staticmethod
    def state(pid):
        try:
            return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
        except OSError:
            return 'X'

    @classmethod
    def descendants(cls, pid):
        listed = subprocess.run(['ps', '-e', '-o', 'pid=,ppid='], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
        found = [pid]
        for parent in found:
            found += [child for child, its in pairs if its == parent]
        return found[1:]

    def test_programs_that_serve_devices_end_with_vmm(self):
        """Also when vmm is killed."""
        if not passt_runs():
            self.skipTest('no passt that runs here')
        command = self.files.guest(guests.SPIN, 'host=sim', 'devices[0].driver=net')
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            guests.until(lambda: 'vcpu0' in guests.tasks(process.pid).values())
            helpers = self.descendants(process.pid)
            self.assertTrue(any('vmm-helper' in self.name(pid) for pid in helpers), helpers)
            process.kill()
            process.wait()
        guests.until(lambda: all(self.state(pid) in 'ZX' for pid in helpers))

    def forbidden(self, *sets):
        command = self.files.guest(guests.SPIN, 'host=sim', 'run.grace=0', *sets)
        return command, dict(os.environ, LD_PRELOAD=FORBIDDEN)

    @unittest.skipUnless(ENDS_AT_A_CALL, 'forbidden calls are only logged by this build')
    def test_a_forbidden_call_ends_vmm_with_a_message(self):
        command, environment = self.forbidden()
        done = guests.run(command, env=environment)
        self.assertEqual(done.returncode, -signal.SIGSYS, done.stderr)
        self.assertIn(b'vmm: error: the sandbox ends vmm: the thread of a vCPU made the system call socket (number 41', done.stderr)
        self.assertIn(b'--no-sandbox', done.stderr)

    @unittest.skipUnless(ENDS_AT_A_CALL, 'forbidden calls are only logged by this build')
    def test_without_the_sandbox_nothing_is_forbidden(self):
        for words, key in ((['--no-sandbox'], 'run.sandbox=true'), ([], 'run.sandbox=false')):
            command, environment = self.forbidden(key)
            with subprocess.Popen([*command, *words], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                guests.until(lambda: 'vcpu0' in guests.tasks(process.pid).values())
                guests.term(process.pid)
                said = process.communicate(timeout=120)[1]
            self.assertEqual(process.returncode, 0, said)

    @unittest.skipUnless(ENDS_AT_A_CALL, 'forbidden calls are only logged by this build')
    def test_the_terminal_is_restored(self):
        command, environment = self.forbidden()
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        with subprocess.Popen(command, env=environment, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True) as process:
            said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, -signal.SIGSYS, said)
        self.assertEqual(termios.tcgetattr(theirs), before)
        os.close(ours)
        os.close(theirs)


if __name__ == '__main__':
    guests.main()
