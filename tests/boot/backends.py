#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices whose work others do, under the lab's own Linux kernel: a folder by virtiofsd, memory that goes back, sockets by the kernel's vhost.

usage: backends.py VMM ECHO [--host sim] [--echo] [--case NAME]   TAP on standard output; ECHO is the program vsock_echo
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import time

from boot import MEMORY
from guest import Failed, Guest, emulation
from linux import FIRMWARE, KERNEL, make_initrd

VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/virtiofsd', '/usr/lib/qemu/virtiofsd']
MIB = 1 << 20
FILE = 100 * MIB
GONE = 40 * MIB         # of its memory, at least, when it is gone: what is left in pieces below 2 MiB is not reported
CID = 4242
PORT = 5000

INIT = '''#!/busybox sh
/busybox mkdir -p /proc /sys /dev /mnt
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs dev /dev
for module in /*.ko; do
	[ ! -e "$module" ] || /busybox insmod "$module" || echo "no $module"
done
'''

# A guest that restarts has a new driver, and virtiofsd a new session.
FS = '''
/busybox mount -t virtiofs share /mnt || echo "no mount"
if [ ! -e /mnt/restarted ]; then
	echo yes >/mnt/restarted
	/busybox umount /mnt
	/busybox reboot -f
fi
echo "read=$(/busybox sha256sum </mnt/in)"
/busybox dd if=/dev/urandom of=/mnt/out bs=64k count=4 2>/dev/null
/busybox mkdir /mnt/folder
/busybox ln -s ../in /mnt/folder/link
/busybox rm /mnt/gone
/busybox sync
echo "written=$(/busybox sha256sum </mnt/out)"
/busybox umount /mnt
/busybox poweroff -f
'''

# Reporting waits for two seconds of the guest, in which more may become free.
BALLOON = '''
/busybox mount -t tmpfs -o size=400m tmpfs /mnt
/busybox dd if=/dev/zero of=/mnt/file bs=1M count=100 2>/dev/null
echo "filled=$(/busybox wc -c </mnt/file)"
read word
/busybox rm /mnt/file
echo "freed"
read word
/busybox dd if=/dev/zero of=/mnt/file bs=1M count=100 2>/dev/null
echo "again=$(/busybox wc -c </mnt/file)"
/busybox poweroff -f
'''

VSOCK = f'''
echo "listening"
/vsock_echo {PORT}
echo "echoed=$?"
/busybox poweroff -f
'''


def modules(*names):
    """Those that the lab's kernel does not have built in, in their order."""
    return [file for file in sorted((KERNEL / 'guest-modules').glob('*.ko')) if file.name.split('-', 1)[1][:-3] in names]


class Bench:
    """What a case needs: vmm, the host, a folder of its own, the program for vsock."""
    def __init__(self, vmm, host, folder, echo, program):
        self.vmm, self.host, self.folder, self.echo, self.program = vmm, host, folder, echo, program

    @contextlib.contextmanager
    def start(self, device, init, files, sev='none'):
        """A guest of this type with this device, these files beside busybox, and an init that ends so."""
        keys = {'firmware': FIRMWARE, 'machine.memory': MEMORY, 'boot.kernel': KERNEL / 'vmlinuz',
                'boot.initrd': make_initrd(self.folder, INIT + init, files), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet', 'sev.type': sev}
        words = [word for key, value in keys.items() for word in ('--set', f'{key}={value}')]
        with Guest([self.vmm, 'run', '--host', self.host, *words, '--device', device], self.echo) as guest:
            yield guest


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def demand(condition, why):
    if not condition:
        raise Failed(why)


# ---- what each guest does, and what must be seen from outside ----

def folder_both_ways(bench, sev='none'):
    share = pathlib.Path(bench.folder) / 'share'
    share.mkdir()
    (share / 'in').write_bytes(os.urandom(300017))
    (share / 'gone').write_text('gone')
    if sev != 'none':
        (share / 'restarted').write_text('once is enough')
    with bench.start(f'fs,tag=share,folder={share}', FS, modules('fuse', 'virtiofs'), sev) as guest:
        guest.expect(f'read={digest(share / "in")}')
        guest.expect('written=')
        guest.ends(0)
        written = guest.plain().decode(errors='replace').split('written=')[1][:64]
        demand(written == digest(share / 'out'), f'the guest wrote {written}, and here is {digest(share / "out")}')
        demand(os.path.getsize(share / 'out') == MIB // 4, 'the file is not as long as the guest wrote it')
        demand(os.readlink(share / 'folder/link') == '../in' and not (share / 'gone').exists(), 'the folder is not as the guest left it')


def folder_of_a_sev_guest(bench):
    """Its buffers are encrypted, so its driver copies by way of shared ones, which ACCESS_PLATFORM tells it to."""
    folder_both_ways(bench, 'sev')


def resident(pid):
    """Memory of the process that is there, the guest's above all."""
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    raise Failed('no VmRSS')


def memory_goes_back(bench):
    with bench.start('balloon', BALLOON, modules('virtio_balloon')) as guest:
        guest.expect(f'filled={FILE}')
        full = resident(guest.process.pid)
        guest.type('\n')
        guest.expect('freed')
        end = time.monotonic() + 120
        while resident(guest.process.pid) > full - GONE and time.monotonic() < end:
            guest.read(0.5)
        empty = resident(guest.process.pid)
        guest.type('\n')
        guest.expect(f'again={FILE}')
        guest.ends(0)
        print(f'# resident: {full // MIB} MiB with a file of {FILE // MIB} MiB, {empty // MIB} MiB without', flush=True)
        demand(full - empty > GONE, f'{full // MIB} MiB were resident, and {empty // MIB} MiB after {FILE // MIB} MiB had become free')


def connect(guest, end):
    """A connection to the guest's port, which does not listen yet when it says so. A socket that was refused is of no more use."""
    while True:
        s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        s.settimeout(30)
        error = s.connect_ex((CID, PORT))
        if not error:
            s.settimeout(120)
            return s
        s.close()
        demand(time.monotonic() < end, f'no connection to the guest: {os.strerror(error)}')
        guest.read(0.5)


def sockets_echo(bench):
    files = [*modules('vsock', 'vmw_vsock_virtio_transport_common', 'vmw_vsock_virtio_transport'), bench.program]
    with bench.start(f'vsock,cid={CID}', VSOCK, files) as guest:
        guest.expect('listening')
        data, heard = os.urandom(MIB), b''
        with connect(guest, time.monotonic() + 120) as s:
            for at in range(0, MIB, 16384):
                s.sendall(data[at:at + 16384])
                while len(heard) < at + 16384:
                    got = s.recv(65536)
                    demand(got, 'the guest hung up')
                    heard += got
        demand(heard == data, 'the echo differs')
        guest.expect('echoed=0')
        guest.ends(0)


def why_not_fs(host):
    return '' if shutil.which('virtiofsd') or any(map(os.path.exists, VIRTIOFSD)) else 'no virtiofsd, run: scripts/setup --test'


def why_not_sev(host):
    return why_not_fs(host) if host == 'sim' else 'the lab has no SEV'


def why_not_vsock(host):
    return '' if os.path.exists('/dev/vhost-vsock') else 'this kernel has no /dev/vhost-vsock'


CASES = [
    ('fs: a folder is read and written', folder_both_ways, why_not_fs),
    ('sev fs: the same in an encrypted guest', folder_of_a_sev_guest, why_not_sev),
    ('balloon: free memory goes back, and comes again', memory_goes_back, lambda host: ''),
    ('vsock: the guest echoes a MiB', sockets_echo, why_not_vsock),
]


def attempt(case, vmm, host, echo, program):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(vmm, host, folder, echo, program)
        try:
            case(bench)
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def verdict(case, why_not, *bench):
    """(why it failed, why it was skipped); both '': it passed."""
    if not all(map(os.path.exists, [KERNEL / 'vmlinuz', FIRMWARE])):
        return '', 'no kernel or no firmware, run: scripts/setup --firmware --lab'
    vmm, host, echo, program = bench
    if why_not(host):
        return '', why_not(host)
    return emulation.judge(lambda: attempt(case, *bench), lambda: attempt(case, vmm, 'sim', echo, program)[0]), ''


def main():
    vmm, program = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    host, echo = sys.argv[sys.argv.index('--host') + 1] if '--host' in sys.argv else 'kvm', '--echo' in sys.argv
    only = sys.argv[sys.argv.index('--case') + 1] if '--case' in sys.argv else ''
    cases = [case for case in CASES if case[0].startswith(only)]
    print(f'1..{len(cases)}', flush=True)
    failed = False
    for number, (name, case, why_not) in enumerate(cases, 1):
        why, skip = verdict(case, why_not, vmm, host, echo, program)
        failed = failed or bool(why)
        print(f'not ok {number} - {name}\n# {why}' if why else f'ok {number} - {name}' + (f' # SKIP {skip}' if skip else ''), flush=True)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
