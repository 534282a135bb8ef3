#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The network of a Linux guest: vmm against QEMU's virtio-net on the same back end, in alternating runs with the same kernel.

usage: net.py VMM FIRMWARE KERNEL MODULES GUEST [--qemu PATH] [--back tap|vhost|passt...] [--runs N] [--mib N] [--host kvm|sim]
MODULES is the folder guest-modules of the lab's kernel; GUEST is the program net_guest, which becomes the initrd's only one. Needs root,
and makes a network namespace of its own. In the lab: tests/lab/lab tests/bench/net.py ...
Prints medians of MiB a second, from the guest (send) and to it (receive). It judges nothing.
"""
import argparse
import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MODULES = ['failover', 'net_failover', 'virtio_net']
BLOCK = bytes(1 << 20)
TAP, PASST = 'address/c6336402/ffffff00/c6336401/0', 'address/c0000202/ffffff00/c0000201/c0000201'


def initrd(folder, modules, guest):
    """A cpio of the guest's program and its modules, in the format of the kernel's Documentation/driver-api/early-userspace."""
    files = [next(pathlib.Path(modules).glob(f'*-{name}.ko')).read_bytes() for name in MODULES]
    entries = [('modules', 0o40755, b''), *((f'modules/{i:02}.ko', 0o100644, data) for i, data in enumerate(files)),
               ('dev', 0o40755, b''), ('init', 0o100755, pathlib.Path(guest).read_bytes()), ('TRAILER!!!', 0, b'')]
    out = bytearray()
    for number, (name, mode, data) in enumerate(entries, 1):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    path = pathlib.Path(folder) / 'initrd'
    path.write_bytes(out)
    return path


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def make_networks():
    ip('link', 'set', 'lo', 'up')
    for name, address in ('tap0', '198.51.100.1/24'), ('up0', '192.0.2.2/24'):
        ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
        ip('addr', 'add', address, 'dev', name)
        ip('link', 'set', name, 'up')
    ip('route', 'add', 'default', 'via', '192.0.2.1')


def serve(mib):
    """Two ports: bytes to the guest, and from it, with an answer at the end."""
    def give(connection):
        for _ in range(mib):
            connection.sendall(BLOCK)
        connection.recv(1)

    def take(connection):
        room, left = bytearray(1 << 20), mib << 20
        while left and (got := connection.recv_into(room)):
            left -= got
        connection.sendall(b'.')

    def listen(act):
        listener = socket.create_server(('', 0))

        def run():
            while True:
                with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                    act(connection)
        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]
    return {'send': listen(take), 'receive': listen(give)}


def run(command, patience):
    """MiB a second of each job."""
    found = {}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        timer = threading.Timer(patience, process.kill)
        timer.start()
        for line in process.stdout:
            text = line.decode(errors='replace')
            if match := re.search(r'end (\w+)/\d+/(\d+) (\d+)', text):
                found[match.group(1)] = int(match.group(2)) * 1e6 / int(match.group(3))
            elif 'failed' in text or 'panic' in text:
                print(text, end='', file=sys.stderr)
        timer.cancel()
    return found


@contextlib.contextmanager
def passt(path):
    """QEMU connects to a passt that runs already; vmm starts its own."""
    with subprocess.Popen(['passt', '-f', '-1', '-m', '1500', '-s', path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not os.path.exists(path):
            if process.poll() is not None:
                sys.exit(f'passt ended with {process.returncode} before it listened at {path}')
            time.sleep(0.01)
        yield
        process.terminate()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def one(options, image, ports, back, program):
    words = ' '.join(['console=ttyS0', 'quiet', 'panic=-1', 'cryptomgr.notests=1', PASST if back == 'passt' else TAP,
                      *(f'{job}/{port}/{options.mib}' for job, port in ports.items())])
    if program == 'vmm':
        net = {'tap': 'tap=tap0,vhost=false', 'vhost': 'tap=tap0', 'passt': 'user'}[back]
        return run([options.vmm, 'run', '--host', options.host, '--set', f'firmware={options.firmware}', '--set', 'machine.memory=512M',
                    '--set', f'boot.kernel={options.kernel}', '--set', f'boot.initrd={image}', '--set', f'boot.cmdline={words}',
                    '--net', net], options.patience)
    path = str(image.parent / 'passt')
    tap = 'tap,id=net,ifname=tap0,script=no,downscript=no,vhost='
    net = {'tap': tap + 'off', 'vhost': tap + 'on', 'passt': f'stream,id=net,server=off,addr.type=unix,addr.path={path}'}[back]
    command = [*options.qemu.split(), '-accel', 'tcg' if options.host == 'sim' else 'kvm', '-cpu',
               'qemu64' if options.host == 'sim' else 'host', '-M', 'q35', '-m', '512', '-nodefaults', '-display', 'none', '-serial',
               'stdio', '-kernel', options.kernel, '-initrd', str(image), '-append', words, '-netdev', net, '-device',
               'virtio-net-pci,netdev=net,romfile=']
    with passt(path) if back == 'passt' else contextlib.nullcontext():
        return run(command, options.patience)


def show(back, found):
    for job in 'send', 'receive':
        rows = [[one[job] for one in found[program] if job in one] for program in ('vmm', 'qemu')]
        if not all(rows):
            print(f'{back:6} {job:8} no result')
            continue
        vmm, qemu = map(statistics.median, rows)
        print(f'{back:6} {job:8} {vmm:9.1f} {qemu:9.1f} {vmm / qemu:6.2f}   runs: {len(rows[0])}, {len(rows[1])}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in 'vmm', 'firmware', 'kernel', 'modules', 'guest':
        parser.add_argument(name)
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--back', nargs='+', default=['tap', 'vhost', 'passt'], choices=['tap', 'vhost', 'passt'])
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--patience', type=float, default=300, help='seconds for a run; the emulation of the lab loses a guest now and then')
    parser.add_argument('--mib', type=int, default=64)
    parser.add_argument('--host', default='kvm', choices=['kvm', 'sim'])
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        os.execvp('unshare', ['unshare', '--net', sys.executable, *sys.argv, '--inside'])
    make_networks()
    ports = serve(options.mib)
    print(f'{"back":6} {"job":8} {"vmm MiB/s":>9} {"qemu":>9} {"ratio":>6}', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)     # passt listens there, as nobody
        image = initrd(folder, options.modules, options.guest)
        for back in options.back:
            found = {'vmm': [], 'qemu': []}
            for _ in range(options.runs):
                for program in found:
                    found[program].append(one(options, image, ports, back, program))
            show(back, found)


main()
