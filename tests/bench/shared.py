#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Linux shares as a confidential guest of the software platform: after its boot, and while it uses a disk and a network card heavily.

usage: shared.py VMM [--type sev|sev-es|sev-snp...] [--kernel 6|7...] [--vcpus N] [--memory MIB] [--mib N] [--times N] [--disks N] [--record FOLDER] [--echo]
The guest has OVMF and busybox, disks by virtio-blk and a network card by virtio-net and passt. A SEV or SEV-ES guest reports its pages
(sev.page-status). For each step of its life the table has the seconds of the clock, the conversions and how many of them changed the map, changes a second,
the shared ranges and pages at the step's end, and the most ranges there were in it, by the trace of all conversions (vmm run --trace); what that leaves must
be what vmm map tells. --record keeps the conversions for bench_range_map in FOLDER/TYPE-linux-KERNEL-io. Judges nothing else.
Kernels, modules and firmware are in the cache: scripts/setup --firmware --lab --demo. Kernel 6 is that of Debian 13, 7 the lab's.
"""
import argparse
import bisect
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

import linux  # noqa: E402
from boot import CACHE  # noqa: E402
from conversions import Reader, show  # noqa: E402
from guest import Guest  # noqa: E402

PLACES = {6: (CACHE / 'demo/vmlinuz', CACHE / 'demo/modules'), 7: (CACHE / 'lab/kernel/vmlinuz', CACHE / 'lab/kernel/guest-modules')}
MODULES = ['failover', 'net_failover', 'virtio_net', 'virtio_blk']
PATIENCE = 1800
RANGES_MAX = 65536

INIT = '''#!/busybox sh
/busybox mkdir -p /proc /sys /dev /bin
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sysfs /sys
/busybox mount -t devtmpfs dev /dev
/busybox --install -s /bin
export PATH=/bin
cat >/lease <<'END'
#!/busybox sh
[ "$1" != bound ] || { ip addr add "$ip/$mask" dev "$interface"; ip route add default via "$router"; echo "$router" >/router; }
END
chmod +x /lease
drivers() {
	for module in failover net_failover virtio_net virtio_blk; do insmod /*-$module.ko; done
	until [ -e /dev/vda ]; do sleep 0.1; done
	ip link set eth0 up
	udhcpc -i eth0 -n -q -s /lease >/dev/null 2>&1
}
reload() {
	ip link set eth0 down
	rmmod virtio_net virtio_blk net_failover failover
	drivers
}
receive() { wget -q -O - "http://$(cat /router):$1/" | wc -c; }
send() { dd if=/dev/zero bs=64k count=$2 2>/dev/null | nc "$(cat /router)" $1; }
# Four programs at a time, each in a part of the disk of its own: long writes, short reads, short writes, long reads.
disk() {
	for part in 0 1 2 3; do
		(
		dd if=/dev/zero of=/dev/vda oflag=direct bs=1M seek=$((part * $1)) count=$1
		dd if=/dev/vda of=/dev/null iflag=direct bs=4k skip=$((part * $1 * 256)) count=$(($1 * 64))
		dd if=/dev/zero of=/dev/vda oflag=direct bs=4k seek=$((part * $1 * 256)) count=$(($1 * 64))
		dd if=/dev/vda of=/dev/null iflag=direct bs=1M skip=$((part * $1)) count=$1
		) 2>/dev/null &
	done
	wait
}
dmesg | grep 'Memory Encryption'
while echo 'rea''dy' && read -r line; do
	eval "$line"
done
'''


class Map:
    """The shared ranges, as the places where frames become shared and private again, in order."""
    def __init__(self):
        self.edges = []

    def set(self, frame, pages, shared):
        """Returns whether that changed anything."""
        end = frame + pages
        low, high = bisect.bisect_left(self.edges, frame), bisect.bisect_right(self.edges, end)
        new = ([frame] if (low & 1) != shared else []) + ([end] if (high & 1) != shared else [])
        changed = self.edges[low:high] != new
        self.edges[low:high] = new
        return changed

    @property
    def ranges(self):
        return len(self.edges) // 2

    @property
    def pages(self):
        return sum(self.edges[1::2]) - sum(self.edges[::2])


class Record:
    """What the trace has told so far."""
    def __init__(self, path):
        self.file, self.reader, self.rest = open(path, errors='replace'), Reader(), ''
        self.map, self.conversions = Map(), []

    def take(self):
        """Reads on. Returns the conversions since the last time, those that changed the map, and the most ranges that there were."""
        count, changed, most = 0, 0, self.map.ranges
        *lines, self.rest = (self.rest + self.file.read()).split('\n')
        for conversion in filter(None, map(self.reader.find, lines)):
            self.conversions.append(conversion)
            count += 1
            changed += self.map.set(*conversion)
            most = max(most, self.map.ranges)
        return count, changed, most


def serve(act):
    """The port of this machine at which act(connection) serves each connection."""
    listener = socket.create_server(('127.0.0.1', 0))

    def run():
        while True:
            with listener.accept()[0] as connection:
                act(connection)
    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


def steps(options):
    """What the guest is told to do, after its boot."""
    block = bytes(1 << 16)

    def give(connection):
        connection.recv(1 << 16)
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n' % (options.mib << 20))
        for _ in range(options.mib * 16):
            connection.sendall(block)

    def take(connection):
        connection.sendall(b'.')    # passt resets a connection on which the host has never said anything
        while connection.recv(1 << 16):
            pass
    send, receive, part = f'send {serve(take)} {options.mib * 16}', f'receive {serve(give)}', -(-options.mib // 4)
    return [('drivers of disk and network', 'drivers'),
            (f'disk: {part * 4} MiB', f'disk {part}'),
            (f'network: {options.mib} MiB received', receive),
            (f'network: {options.mib} MiB sent', send),
            ('disk and network at once', f'disk {part} & {receive}; {send}; wait'),
            (f'drivers removed and loaded, {options.times} times', f'for i in $(seq {options.times}); do reload; done')]


def command(options, kind, kernel, folder):
    image, modules = PLACES[kernel]
    files = [file for name in MODULES for file in modules.glob(f'*-{name}.ko')]
    disks = [folder / f'disk{number}' for number in range(options.disks)]
    for disk in disks:
        disk.touch()
        os.truncate(disk, -(-options.mib // 4) << 22)
    keys = {'firmware': CACHE / 'firmware/trixie/OVMF.fd', 'machine.memory': f'{options.memory}M', 'machine.vcpus': options.vcpus, 'sev.type': kind,
            'sev.shared-ranges-max': RANGES_MAX, 'control.socket': folder / 'control', 'boot.kernel': image,
            'boot.initrd': linux.make_initrd(folder, INIT, files), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'}
    if kind != 'sev-snp':
        keys['sev.page-status'] = 'true'
    words = [options.vmm, 'run', '--host', 'sim', *(word for disk in disks for word in ('--disk', disk)), '--net', 'user', '--trace', folder / 'trace',
             *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
    return list(map(str, words))


def told(options, folder):
    """The map that vmm tells: what the guest shares of its memory, and where there is none."""
    found = json.loads(subprocess.run([options.vmm, 'map', '--json', folder / 'control'], check=True, capture_output=True).stdout)
    if found['record']['refused'] or not found['record']['complete']:
        sys.exit(f'the record is not complete: {found["record"]}')
    whole = Map()
    for each in found['ranges'] + found.get('devices', []):
        whole.set(int(each['gpa'], 16) // 4096, each['size-bytes'] // 4096, True)
    return whole


def tell(what, seconds, counts, record):
    count, changed, most = counts
    pages = record.map.pages
    print(f'| {what} | {seconds:.1f} | {count} | {changed} | {changed / seconds:.1f} | {record.map.ranges} | {pages} ({pages / 256:.1f} MiB) | {most} |', flush=True)


def measure(options, kind, kernel, folder):
    with Guest(command(options, kind, kernel, folder), options.echo) as guest:
        start = time.monotonic()
        for what, line in [('boot to init', ''), *steps(options)]:
            if line:
                start = time.monotonic()
                guest.type(line + '\r')
            else:
                guest.expect('Memory Encryption Features active', seconds=PATIENCE)
                record = Record(folder / 'trace')
            guest.expect('ready', seconds=PATIENCE)
            seconds = time.monotonic() - start
            tell(f'{kind}, {kernel} | {what}', seconds, record.take(), record)
            if told(options, folder).edges != record.map.edges:
                sys.exit(f'vmm map tells {told(options, folder).edges}, but the trace {record.map.edges}')
        guest.type('poweroff -f\r')
        guest.ends(0)
    if options.record:
        (pathlib.Path(options.record) / f'{kind}-linux-{kernel}-io').write_text(''.join(show(each) + '\n' for each in record.conversions))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('--type', nargs='+', default=['sev', 'sev-es', 'sev-snp'], choices=['sev', 'sev-es', 'sev-snp'])
    parser.add_argument('--kernel', nargs='+', type=int, default=[6, 7], choices=PLACES)
    parser.add_argument('--vcpus', type=int, default=2)
    parser.add_argument('--memory', type=int, default=512, help='MiB')
    parser.add_argument('--mib', type=int, default=32, help='how much is received, sent, written and read')
    parser.add_argument('--disks', type=int, default=1)
    parser.add_argument('--times', type=int, default=10, help='how often the drivers are removed and loaded again')
    parser.add_argument('--record', help='a folder for the conversions')
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    print('| guest, kernel | step | seconds | conversions | changes | a second | ranges | pages shared | most ranges |\n|---|---|---|---|---|---|---|---|---|')
    for kind in options.type:
        for kernel in options.kernel:
            with tempfile.TemporaryDirectory() as folder:
                measure(options, kind, kernel, pathlib.Path(folder))


main()
