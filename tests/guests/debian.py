#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian 13 on a disk, from power-on to the login prompt, and what people do there: fio with verify, transfers by the network, ping, an
echo by vsock, reboot, the power button, power-off. The kernel's warnings are compared with those of a QEMU guest with the same disk.

usage: debian.py VMM [--host HOST] [--case WORD] [--network passt|tap|none] [--mib N] [--echo]   TAP on standard output
The disk is in the cache: scripts/setup --debian. What this machine cannot offer (passt, a tap interface, vsock) is left out and named.
"""
import argparse
import base64
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

from boot import CACHE  # noqa: E402
from guest import Failed, Guest, emulation  # noqa: E402

DEBIAN, FIRMWARE, QEMU = CACHE / 'debian', CACHE / 'firmware/trixie', CACHE / 'lab/qemu/run'
PATIENCE = 3600    # for a step; a guest in the lab's emulation is slow, and so is one with encrypted memory
CMDLINE = 'console=ttyS0 quiet'
TAP = 'vmm-debian'
TAP_HOST, TAP_GUEST = '192.168.77.1', '192.168.77.2'
TRANSFERS = 3       # of a download by passt, at most
PASST_RESETS = 15   # seconds without progress, at least, before passt resets a connection
VSOCK_CID, VSOCK_PORT = 77, 7777
VERSIONS = {'6': '6.', '7': '7.'}
FEATURES = {'none': '', 'sev': 'AMD SEV', 'sev-es': 'AMD SEV SEV-ES', 'sev-snp': 'AMD SEV SEV-ES SEV-SNP'}    # which the kernel calls active
MEASUREMENT = slice(0x90, 0xc0)    # in an attestation report
BUSY_WARNINGS = {'clocksource: Long readout interval, skipping watchdog check: cs_nsec: N wd_nsec: N'}    # of a processor that had to wait for this machine's
SEV_WARNINGS = {'software IO TLB: Memory encryption is active and system is using DMA bounce buffers'}    # QEMU's guests here have no SEV


# ---- the host's side ----

class Server(threading.Thread):
    """Serves one connection: sends what it was given and keeps the digest of what came. What only receives says a byte first: Debian 12's
    passt resets a connection of the guest's on which the host has said nothing for 24 seconds (findings/). After the end, error says what
    ended it too early, and idle for how many seconds it had sent and received nothing by then."""
    def __init__(self, family, address, data=b'', echo=False):
        super().__init__(daemon=True)
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(1)
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]
        self.data, self.echo, self.digest = data, echo, hashlib.sha256()
        self.error, self.idle, self.moved = '', 0, time.monotonic()
        self.start()

    def run(self):
        try:
            self.serve()
        except OSError as error:
            self.error, self.idle = str(error), time.monotonic() - self.moved
        self.listener.close()

    def serve(self):
        with self.listener.accept()[0] as connection:
            connection.settimeout(PATIENCE)
            if self.data:
                self.send(connection, self.data)
                connection.shutdown(socket.SHUT_WR)
            elif not self.echo:
                connection.sendall(b'.')
            while block := connection.recv(1 << 16):
                self.moved = time.monotonic()
                self.digest.update(block)
                if self.echo:
                    connection.sendall(block)

    def send(self, connection, data):
        for at in range(0, len(data), 1 << 16):
            connection.sendall(data[at:at + (1 << 16)])
            self.moved = time.monotonic()


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


def make_uplink():
    """The lab has no network of its own, and Debian 12's passt wants an interface with a default route."""
    ip('tuntap', 'add', 'dev', 'up0', 'mode', 'tap')
    ip('addr', 'add', '192.0.2.2/24', 'dev', 'up0')
    ip('link', 'set', 'up0', 'up')
    ip('route', 'add', 'default', 'via', '192.0.2.1')


@contextlib.contextmanager
def tap_interface(name=TAP, address=TAP_HOST):
    ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
    try:
        ip('addr', 'add', f'{address}/24', 'dev', name)
        ip('link', 'set', name, 'up')
        yield
    finally:
        ip('link', 'del', name)


def passt_works():
    """A process of its own in a user namespace is what passt begins with; chroots and some containers refuse it."""
    return shutil.which('passt') and subprocess.run(['unshare', '-U', 'true'], capture_output=True).returncode == 0


def may_ping():
    """passt answers a ping only where its group may send one (its user is nobody when root started it)."""
    first, last = map(int, pathlib.Path('/proc/sys/net/ipv4/ping_group_range').read_text().split())
    return first <= 65534 <= last


# ---- the guest's side ----

def ask(guest, command, seconds=PATIENCE):
    """The output of a command in the guest's shell. Failed if its status is not 0."""
    guest.type(f"{command}; echo 'end''of':$?:\r")
    guest.expect("'end''of':$?:", seconds=seconds)
    start = guest.seen
    guest.expect('endof:', seconds=seconds)
    end = guest.seen
    guest.expect(':', seconds=seconds)
    output = guest.plain()[start:end - len('endof:')].decode(errors='replace').replace('\r', '').strip()
    status = guest.plain()[end:guest.seen - 1].decode()
    guest.expect('root@debian:~# ', seconds=seconds)    # what is typed before the prompt is there is echoed twice
    if status != '0':
        raise Failed(f'in the guest, status {status}: {command}\n{output}')
    return output


def log_in(guest):
    guest.expect('debian login: ', seconds=PATIENCE)
    guest.type('root\r')
    guest.expect('root@debian:~# ', seconds=PATIENCE)
    guest.type("dmesg -n 1; stty cols 300; bind 'set enable-bracketed-paste off'\r")
    guest.expect('root@debian:~# ', seconds=PATIENCE)


def is_whole(guest, case):
    state = ask(guest, 'systemctl is-system-running --wait')
    if state != 'running':
        raise Failed(f'systemd says: {state}')
    processors, release = ask(guest, 'nproc'), ask(guest, 'uname -r')
    if processors != str(case.vcpus) or not release.startswith(VERSIONS[case.kernel]):
        raise Failed(f'{processors} processors and kernel {release}, not {case.vcpus} and {VERSIONS[case.kernel]}x')
    active = ask(guest, "dmesg | sed -n 's/.*Memory Encryption Features active: //p'")
    if active != FEATURES[case.kind]:
        raise Failed(f'the kernel says that these features are active: {active}; not {FEATURES[case.kind]}')


def bounces(step):
    """The step, in which a guest with encrypted memory must use bounce buffers. Other small guests have none."""
    def watched(guest, case):
        if case.kind == 'none':
            step(guest, case)
            return
        most = '/sys/kernel/debug/swiotlb/io_tlb_used_hiwater'
        ask(guest, f'[ -e {most} ] || mount -t debugfs debugfs /sys/kernel/debug; echo 0 >{most}')
        step(guest, case)
        if int(ask(guest, f'cat {most}')) == 0:
            raise Failed(f'a guest of type {case.kind} used no bounce buffers')
    return watched


@bounces
def writes(guest, case):
    ask(guest, f'fio --name=verify --filename=/dev/vdb --rw=randwrite --bs=4k --size={case.fio_mib}m --direct=1 --ioengine=libaio --iodepth=16 '
        '--verify=crc32c --do_verify=1 --verify_fatal=1 --minimal >/dev/null')


def downloads(guest, case, gateway, bind):
    """passt resets a connection on which the guest has acknowledged nothing for 16 seconds (docs/devices.md), which happens to a guest
    whose processor has to wait so long for this machine's. That is told, and the transfer is begun again."""
    data = os.urandom(1 << 20) * case.mib
    for number in range(1, TRANSFERS + 1):
        sender = Server(socket.AF_INET, (bind, 0), data)
        came = ask(guest, f'(set -o pipefail; socat -u TCP:{gateway}:{sender.port} - | sha256sum) || echo failed')
        if came.split() == [hashlib.sha256(data).hexdigest(), '-']:
            return
        sender.join(60)
        why = f'what the host sent did not come whole: {sender.error or "no error"} here after {sender.idle:.0f} s without progress, and there: {came}'
        if case.network != 'passt' or not PASST_RESETS <= sender.idle:
            raise Failed(why)
        print(f'# transfer {number} of at most {TRANSFERS}: {why}', flush=True)
    raise Failed(why)


@bounces
def transfers(guest, case):
    """The guest's gateway is the host."""
    if case.network == 'tap':
        ask(guest, f'for card in /sys/class/net/e*; do card=${{card##*/}}; ip addr add {TAP_GUEST}/24 dev $card; ip link set $card up; done')
        gateway, bind = TAP_HOST, TAP_HOST
    else:
        gateway = ask(guest, "for i in $(seq 60); do ip route | grep -q ^default && break; sleep 1; done; ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'")
        bind = '127.0.0.1'
    downloads(guest, case, gateway, bind)
    receiver = Server(socket.AF_INET, (bind, 0))
    sent = ask(guest, f'head -c {case.mib}M /dev/urandom >/var/tmp/out; sha256sum </var/tmp/out; socat -t 60 - TCP:{gateway}:{receiver.port} </var/tmp/out >/dev/null; '
               'rm /var/tmp/out')
    receiver.join(PATIENCE)
    if sent.split()[0] != receiver.digest.hexdigest():
        raise Failed(f'what the guest sent did not come whole: {receiver.error or "no error"} here, and its digest came as: {sent}')
    if case.network == 'tap' or may_ping():
        ask(guest, f'ping -c 3 -W 30 {gateway}')


def echoes(guest, case):
    server = Server(socket.AF_VSOCK, (socket.VMADDR_CID_ANY, VSOCK_PORT), echo=True)
    answer = ask(guest, f'modprobe vmw_vsock_virtio_transport; echo by-vsock | socat -t 60 - VSOCK-CONNECT:2:{VSOCK_PORT}')
    server.join(PATIENCE)
    if answer != 'by-vsock':
        raise Failed(f'by vsock came: {answer}')


def attests(guest, case):
    """A SEV-SNP guest's own driver fetches a report, which has the measurement that vmm predicted; also after a restart."""
    if not case.measurement:
        return
    one = '/sys/kernel/config/tsm/report/one'
    ask(guest, f'modprobe sev-guest && mkdir {one} && head -c 64 /dev/urandom >{one}/inblob')
    found = base64.b64decode(ask(guest, f'base64 -w 0 {one}/outblob'))[MEASUREMENT].hex()
    if found != case.measurement:
        raise Failed(f'the report has the measurement {found}, not {case.measurement}')


def warnings(guest):
    """The kernel's warnings and errors, without what is different each time: times, numbers, addresses."""
    text = ask(guest, 'dmesg -t -l emerg,alert,crit,err,warn')
    return {re.sub(r'0x[0-9a-f]+|\d+', 'N', line) for line in text.splitlines()}


def reboots(guest, case):
    ask(guest, 'echo kept >~/kept; sync')
    guest.type('reboot\r')
    log_in(guest)
    if ask(guest, 'cat ~/kept') != 'kept':
        raise Failed('the file that was written before the reboot is gone')
    attests(guest, case)


def powers_off(guest):
    guest.type('poweroff\r')
    guest.ends(0, PATIENCE)


def presses_power_button(guest):
    """What vmm does on SIGTERM. Debian hears it only once systemd-logind has opened the button, and a user may log in before."""
    ask(guest, 'until ls -l /proc/$(systemctl show -p MainPID --value systemd-logind)/fd | grep -q /dev/input/; do sleep 1; done')
    os.kill(guest.process.pid, signal.SIGTERM)
    guest.ends(0, PATIENCE)


# ---- the cases ----

@dataclasses.dataclass
class Case:
    name: str
    kernel: str
    vcpus: int
    kind: str = 'none'
    grub: bool = False      # OVMF starts GRUB from the disk; otherwise it gets the kernel by boot.kernel
    whole: bool = True      # all steps; otherwise those of one boot
    network: str = ''       # filled in from the command line
    mib: int = 0
    fio_mib: int = 0
    vsock: bool = False
    measurement: str = ''   # of a SEV-SNP guest, filled in from what vmm predicts

    def keys(self, folder):
        keys = {'firmware': FIRMWARE / 'OVMF.fd', 'machine.memory': '512M', 'machine.vcpus': self.vcpus, 'sev.type': self.kind, 'run.grace': 600}
        if self.grub:
            keys |= {'firmware': FIRMWARE / 'OVMF_CODE_4M.fd', 'firmware-vars': folder / 'vars.fd'}
        else:
            keys |= {'boot.kernel': DEBIAN / f'vmlinuz-{self.kernel}', 'boot.initrd': DEBIAN / f'initrd-{self.kernel}', 'boot.cmdline': CMDLINE}
        return keys

    def command(self, vmm, host, folder):
        words = [vmm, 'run', '--host', host, '--disk', folder / 'disk.raw', '--disk', folder / 'scratch.raw']
        if self.network:
            words += ['--net', f'tap={TAP}' if self.network == 'tap' else 'user']
        if self.vsock:
            words += ['--device', f'vsock,cid={VSOCK_CID}']
        for key, value in self.keys(folder).items():
            words += ['--set', f'{key}={value}']
        return list(map(str, words))


MATRIX = [Case(f'Debian 13, kernel {kernel}, {vcpus} vCPU', kernel, vcpus) for kernel in '67' for vcpus in (1, 2, 4)]
SEV_MATRIX = [Case(f'Debian 13, kernel {kernel}, {kind.upper()}, {vcpus} vCPU', kernel, vcpus, kind)
              for kind, guests in (('sev', [('6', 1), ('7', 2)]), ('sev-es', [('6', 1), ('7', 2)]), ('sev-snp', [('6', 1), ('6', 4), ('7', 2)]))
              for kernel, vcpus in guests]
CASES = [
    Case('to the login prompt: Debian 13, kernel 6, 1 vCPU', '6', 1, whole=False),
    *MATRIX,
    Case('Debian 13 by GRUB from the disk, kernel 6, 2 vCPU', '6', 2, grub=True),
]


def make_files(folder):
    subprocess.run(['cp', '--sparse=always', DEBIAN / 'disk.raw', folder / 'disk.raw'], check=True)
    with open(folder / 'scratch.raw', 'wb') as scratch:
        scratch.truncate(256 << 20)
    shutil.copy(FIRMWARE / 'OVMF_VARS_4M.fd', folder / 'vars.fd')


def qemu_warnings(kernel, vcpus):
    """What the same kernel warns of in a guest of QEMU without KVM, with the same disk and firmware; None: there is no QEMU."""
    if not QEMU.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder)
        command = [QEMU, '-accel', 'tcg', '-machine', 'pc', '-cpu', 'EPYC-Rome', '-smp', vcpus, '-m', 512, '-nodefaults', '-display', 'none', '-serial', 'stdio',
                   '-bios', FIRMWARE / 'OVMF.fd', '-kernel', DEBIAN / f'vmlinuz-{kernel}', '-initrd', DEBIAN / f'initrd-{kernel}', '-append', CMDLINE,
                   '-drive', f'if=virtio,format=raw,file={folder}/disk.raw']
        with Guest(list(map(str, command))) as guest:
            log_in(guest)
            return warnings(guest)


def first_boot(guest, case):
    log_in(guest)
    is_whole(guest, case)
    writes(guest, case)
    if case.network:
        transfers(guest, case)
    if case.vsock:
        echoes(guest, case)
    attests(guest, case)
    return warnings(guest)


def run(case, vmm, host, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory(dir=os.environ.get('TMPDIR', '/var/tmp')) as name:
        folder = pathlib.Path(name)
        make_files(folder)
        command = case.command(vmm, host, folder)
        if case.kind == 'sev-snp':
            words = [word for key, value in case.keys(folder).items() for word in ('--set', f'{key}={value}')]
            case.measurement = subprocess.run([vmm, 'measure', *words], check=True, capture_output=True, text=True).stdout.strip()
        try:
            with Guest(command, echo) as guest:
                warned = first_boot(guest, case)
                if case.whole:
                    reboots(guest, case)
                    presses_power_button(guest)
                else:
                    powers_off(guest)
            if case.whole:
                with Guest(command, echo) as guest:
                    log_in(guest)
                    ask(guest, 'test "$(cat ~/kept)" = kept')
                    powers_off(guest)
                more = warned - BUSY_WARNINGS - (SEV_WARNINGS if case.kind != 'none' else set())
                if more:    # QEMU's guest takes a quarter of an hour in the lab, and often there is nothing to compare
                    more -= qemu_warnings(case.kernel, case.vcpus) or more
                if more:
                    raise Failed('the kernel warns here, and not in a guest of QEMU:\n' + '\n'.join(sorted(more)))
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


def cases_for(options):
    cases = [*CASES, *(SEV_MATRIX if options.host == 'sim' else [])]
    for case in cases:
        case.mib, case.fio_mib = (options.mib, 32) if case.whole else (min(4, options.mib), 4)
        case.network = options.network if options.network == 'tap' or options.network == 'passt' and passt_works() else ''
        case.vsock = os.path.exists('/dev/vhost-vsock')
    return [case for case in cases if options.case in case.name]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--case', default='')
    parser.add_argument('--network', default='passt', choices=['passt', 'tap', 'none'])
    parser.add_argument('--mib', type=int, default=100)
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    vmm, cases, wrong = str(pathlib.Path(options.vmm).resolve()), cases_for(options), 0
    print(f'1..{len(cases)}', flush=True)
    if emulation.IN_LAB and options.network == 'passt':
        make_uplink()
    with tap_interface() if options.network == 'tap' else contextlib.nullcontext():
        for number, case in enumerate(cases, 1):
            if not (DEBIAN / 'disk.raw').exists():
                print(f'ok {number} - {case.name} # SKIP no disk with Debian, run: scripts/setup --firmware --debian', flush=True)
                continue
            why = emulation.judge(lambda: run(case, vmm, options.host, options.echo), lambda: run(case, vmm, 'sim', options.echo)[0])
            left_out = ([] if case.network else ['network']) + ([] if case.vsock else ['vsock'])
            wrong += bool(why)
            print(f'{"not ok" if why else "ok"} {number} - {case.name}' + (f'\n# {why}' if why else '') +
                  (f'\n# left out: {", ".join(left_out)}' if left_out else ''), flush=True)
    return 1 if wrong or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
