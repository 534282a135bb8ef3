#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A word that a SEV or SEV-ES guest wrote into private memory is nowhere in what vmm has of the guest's RAM, nor in the rest of its
memory, nor in the core file that a debugger of root takes. The kernel writes none. Once the guest shares the word, it is in its RAM.

Only the software platform's own pages have it, as a processor's caches would. They are told apart by two flags in smaps that
nothing else of vmm has together: no core file has them (dd), and no child gets them (dc).

usage: marker.py VMM IMAGE     TAP on standard output; the guest is IMAGE, marker.S
       marker.py VMM --linux   the guest is Linux, and a program in it makes the word; it shares the word when it writes to a disk
"""
import contextlib
import hashlib
import mmap
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

from boot import MEMORY
from guest import Failed, Guest
from linux import FIRMWARE, KERNEL, make_initrd

# What marker.S has the complements of, one for each processor; and where the number of processors stands in the image.
WORDS = [~complement & 0xffffffffffffffff for complement in (0x5c37e1946b0da2f8, 0x2e91c458fd7316ab)]
VCPUS_AT, SHARED = 0xffe0, 0x5000
RAM_BYTES = 4 << 20
KINDS = {'sev': 'AMD SEV', 'sev-es': 'AMD SEV SEV-ES'}    # and what Linux says of them
CHUNK = 1 << 20
CORE_OF_ALL = '0xff'    # core(5): also mappings of files, and shared ones
ET_CORE = 4


def patterns(vcpus):
    return [struct.pack('<Q', word) for word in WORDS[:vcpus]]


class Mapping:
    """Of /proc/PID/smaps: flags are those of the line VmFlags."""

    def __init__(self, text):
        first = text.split('\n', 1)[0].split()
        self.start, self.end = (int(word, 16) for word in first[0].split('-'))
        self.name = ' '.join(first[5:])
        self.flags = set(re.search(r'^VmFlags:(.*)$', text, re.M)[1].split())
        self.resident = sum(int(kib) for kib in re.findall(r'^(?:Rss|Swap): *(\d+)', text, re.M))

    @property
    def kind(self):
        if {'dd', 'dc'} <= self.flags:
            return 'platform'
        return 'ram' if 'dd' in self.flags else 'rest'

    def has_bytes(self):
        """Not so: the kernel's own pages, and addresses that nobody used."""
        return not {'io', 'pf'} & self.flags and self.name != '[vsyscall]' and (self.resident or self.name)


def mappings(pid):
    text = pathlib.Path(f'/proc/{pid}/smaps').read_text()
    return [Mapping(part) for part in re.split(r'\n(?=[0-9a-f]+-[0-9a-f]+ )', text)]


def count(read, size, wanted):
    """How often each of the patterns, which are equally long, is in these bytes, at any address."""
    found, at, rest = [0] * len(wanted), 0, b''
    while at < size:
        data = read(at, min(CHUNK, size - at))
        if not data:
            break
        for i, pattern in enumerate(wanted):
            found[i] += (rest + data).count(pattern)
        rest, at = data[1 - len(wanted[0]):], at + len(data)
    return found


@contextlib.contextmanager
def stopped(pid):
    """Nothing of it runs."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    yield
    os.kill(pid, signal.SIGCONT)


def search(pid, wanted):
    """{kind of memory: how often each pattern is there}, and what is at SHARED in the guest's RAM."""
    found, shared = {kind: [0] * len(wanted) for kind in ('platform', 'ram', 'rest')}, None
    with stopped(pid):
        memory = os.open(f'/proc/{pid}/mem', os.O_RDONLY)
        for mapping in filter(Mapping.has_bytes, mappings(pid)):
            size = mapping.end - mapping.start
            here = count(lambda at, n, start=mapping.start: os.pread(memory, n, start + at), size, wanted)
            found[mapping.kind] = [a + b for a, b in zip(found[mapping.kind], here)]
            if mapping.kind == 'ram' and size == RAM_BYTES:
                shared = os.pread(memory, 8 * len(wanted), mapping.start + SHARED)
        os.close(memory)
    return found, shared


def core_of(pid, folder):
    """The core file that gdb writes, as bytes. Root may do that though the process is not dumpable."""
    subprocess.run(['gcore', '-o', folder / 'core', str(pid)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    with (folder / f'core.{pid}').open('rb') as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if data[:4] != b'\x7fELF' or struct.unpack_from('<H', data, 16)[0] != ET_CORE:
        raise Failed('what gcore wrote is no core file')
    return data


def demand(condition, what, found):
    if not condition:
        raise Failed(f'{what}: {found}')


def look_at_private(guest, wanted, folder, name):
    pid = guest.process.pid
    found, _ = search(pid, wanted)
    demand(not any(found['ram'] + found['rest']), 'the guest wrote privately, and vmm has its words', found)
    demand(all(found['platform']), "the platform's own pages lack the words", found)
    if shutil.which('gcore'):
        data = core_of(pid, folder)
        demand(data.find(name.encode()) >= 0, f'the core file lacks what vmm has in its memory, {name}', len(data))
        here = count(lambda at, n: data[at:at + n], len(data), wanted)
        demand(not any(here), 'the core file has the words', here)
    else:
        print('# no gcore here (install gdb): the memory that it would save was searched in the running process')


def crash(guest):
    """A signal that leaves a core file of other programs."""
    os.kill(guest.process.pid, signal.SIGABRT)
    status = os.waitid(os.P_PID, guest.process.pid, os.WEXITED | os.WNOWAIT)
    demand(status.si_code == os.CLD_KILLED, 'vmm left a core file, or did not end by the signal', status)


def run(vmm, image, kind, vcpus):
    """The first guest ends as by a crash, the second one shares its words."""
    wanted = patterns(vcpus)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = bytearray(pathlib.Path(image).read_bytes())
        data[VCPUS_AT] = vcpus
        (folder / 'image').write_bytes(data)
        os.chdir(folder)
        name = f'guest-of-{os.getpid()}-{kind}-{vcpus}'
        keys = {'name': name, 'firmware': folder / 'image', 'machine.memory': '4M', 'machine.vcpus': vcpus, 'sev.type': kind}
        command = [vmm, 'run', '--host', 'sim', *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        with Guest(command) as guest:
            guest.expect('private', seconds=60)
            look_at_private(guest, wanted, folder, name)
            crash(guest)
        with Guest(command) as guest:
            guest.expect('private', seconds=60)
            guest.type('\n')
            guest.expect('shared', seconds=60)
            found, shared = search(guest.process.pid, wanted)
            demand(all(found['ram']), "the guest's RAM lacks the words that it shared", found)
            demand(shared == b''.join(wanted), 'the shared page', shared)
            guest.type('\n')
            guest.ends(0, seconds=60)
        os.chdir('/')


# ---- Linux ----

# Its word is a digest, so that no file of the guest's has it. A guest with encrypted memory copies what its disk gets into shared memory.
INIT = '''#!/busybox sh
/busybox mkdir -p /proc /dev
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs dev /dev
/busybox insmod /virtio_blk.ko
word=$(/busybox printf SEED | /busybox sha256sum | /busybox cut -c 1-16)
echo "active: $(/busybox dmesg | /busybox sed -n 's/.*Memory Encryption Features active: //p')."
read key
echo "$word" >/dev/vda
/busybox sync
echo 'written'
read key
/busybox poweroff -f
'''


def linux_command(vmm, kind, folder, name, seed):
    driver = folder / 'virtio_blk.ko'
    driver.write_bytes(next((KERNEL / 'guest-modules').glob('*-virtio_blk.ko')).read_bytes())
    (folder / 'disk').write_bytes(bytes(1 << 20))
    keys = {'name': name, 'firmware': FIRMWARE, 'machine.memory': MEMORY, 'sev.type': kind, 'boot.kernel': KERNEL / 'vmlinuz',
            'boot.initrd': make_initrd(folder, INIT.replace('SEED', seed), [driver]), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'}
    return [vmm, 'run', '--host', 'sim', '--disk', folder / 'disk', *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def run_linux(vmm, kind):
    seed = os.urandom(16).hex()
    wanted = [hashlib.sha256(seed.encode()).hexdigest()[:16].encode()]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        name = f'linux-of-{os.getpid()}-{kind}'
        with Guest(linux_command(vmm, kind, folder, name, seed)) as guest:
            guest.expect(f'active: {KINDS[kind]}.', seconds=600)
            look_at_private(guest, wanted, folder, name)
            guest.type('\r')
            guest.expect('written')
            found, _ = search(guest.process.pid, wanted)
            demand(all(found['ram']), "the guest's RAM lacks the word that went to the disk", found)
            demand((folder / 'disk').read_bytes().startswith(wanted[0]), 'the disk lacks the word', found)
            guest.type('\r')
            guest.ends(0)


def cases(vmm, what):
    """(name, the function that throws Failed)"""
    if what == '--linux':
        return [(f'{kind}, Linux: a private word is not in RAM nor in a core file, one on its way to a disk is in RAM',
                 lambda kind=kind: run_linux(vmm, kind)) for kind in KINDS]
    image = pathlib.Path(what).resolve()
    return [(f'{kind}, {vcpus} vCPU: private words are not in RAM nor in a core file, shared ones are in RAM',
             lambda kind=kind, vcpus=vcpus: run(vmm, image, kind, vcpus)) for kind in KINDS for vcpus in (1, 2)]


def why_not(what):
    if os.geteuid():
        return 'only root can read the memory of a process that is not dumpable'
    if what == '--linux' and not all(map(os.path.exists, [KERNEL / 'vmlinuz', FIRMWARE])):
        return 'no kernel or no firmware, run: scripts/setup --firmware --lab'
    return ''


def main():
    vmm, what, failed = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2], 0
    pathlib.Path('/proc/self/coredump_filter').write_text(CORE_OF_ALL)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    rows = cases(vmm, what)
    print(f'1..{len(rows)}', flush=True)
    for number, (name, judge) in enumerate(rows, 1):
        if why_not(what):
            print(f'ok {number} - {name} # SKIP {why_not(what)}')
            continue
        try:
            judge()
            print(f'ok {number} - {name}', flush=True)
        except Failed as why:
            failed += 1
            print(f'not ok {number} - {name}\n# {why}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
