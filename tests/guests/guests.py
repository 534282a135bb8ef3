#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts what other people wrote, unmodified, on the software platform: BIOS and other firmware, boot loaders, EFI programs, unified
kernel images. Each is taken to where it speaks to a person, and answered where it listens.

usage: guests.py VMM [--case WORD] [--echo]   runs the cases whose name has the word; TAP on standard output
"""
import argparse
import dataclasses
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

import images  # noqa: E402
from boot import CACHE  # noqa: E402
from guest import Failed, Guest  # noqa: E402

GUESTS, FIRMWARE, KERNEL = CACHE / 'guests', CACHE / 'firmware', CACHE / 'lab/kernel'
OVMF = FIRMWARE / 'trixie/OVMF.fd'
SERIAL = 'console=ttyS0,115200'
LINUX = 'console=ttyS0 panic=-1 quiet'
QUIT = '\x1dq'         # vmm's escape: Ctrl-] then q


# ---- what a person does with them ----

def leave(guest):
    guest.type(QUIT)
    guest.ends(0)


def says(*texts):
    """Ends them when they have said all this."""
    def steps(guest):
        for text in texts:
            guest.expect(text)
        leave(guest)
    return steps


def powers_off(text):
    """Says this, and ends by itself."""
    def steps(guest):
        guest.expect(text)
        guest.ends(0)
    return steps


def u_boot(guest):
    guest.expect('Hit any key to stop')
    guest.type('\r')
    guest.expect('=> ')
    guest.type('version\r')
    guest.expect('U-Boot 20')
    leave(guest)


def efi_shell(guest):
    guest.expect('Shell>')
    guest.type('ver\r')
    guest.expect('UEFI Interactive Shell v2')
    guest.type('reset -s\r')
    guest.ends(0)


def grub(guest):
    guest.expect('grub>')
    guest.type('echo one-${grub_platform}\r')
    guest.expect('one-efi')
    guest.type('halt\r')
    guest.ends(0)


def grub_of_a_disk(guest):
    """It sees both disks by the BIOS, which sees them by virtio."""
    guest.expect('grub>')
    guest.type('ls\r')
    guest.expect('(hd1,gpt2)')
    guest.type('echo one-${grub_platform}\r')
    guest.expect('one-pc')
    leave(guest)


def linux(guest):
    """To the prompt, past what the init script has found out; and off, which only works where the FADT is right."""
    guest.expect('DMI: vmm i440FX')
    guest.expect('uuid=123e4567-e89b-12d3-a456-426614174000')
    guest.expect('serial=ds=nocloud;s=http://10.0.2.2/')
    guest.expect('pm=right')
    guest.expect('/ #')
    guest.type('/busybox poweroff -f\r')
    guest.expect('Power down')
    guest.ends(0)


def xen(guest):
    """Xen runs its first guest in ring 3, which switches the machine off."""
    guest.expect('Xen version 4.')
    guest.expect('Building a PV Dom0')
    guest.expect('/ #')
    guest.type('/busybox dmesg | /busybox grep -o "Booting kernel on Xen"\r')
    guest.expect('\nBooting kernel on Xen')
    guest.type('/busybox poweroff -f\r')
    guest.ends(0)


# ---- the cases ----

@dataclasses.dataclass
class Case:
    name: str
    firmware: pathlib.Path
    steps: object
    kernel: pathlib.Path = None     # or a function that makes it in a folder
    cmdline: str = ''
    memory: str = '128M'
    needs: tuple = ()               # more files than firmware and kernel
    more: dict = dataclasses.field(default_factory=dict)
    disks: tuple = ()               # only read

    def missing(self):
        files = [self.firmware, self.kernel, *self.needs, *self.disks]
        return [file for file in files if isinstance(file, pathlib.Path) and not file.exists()]

    def command(self, vmm, folder):
        keys = {'firmware': self.firmware, 'machine.memory': self.memory, **self.more}
        if callable(self.firmware):
            keys['firmware'] = self.firmware(folder)
        if self.kernel:
            keys |= {'boot.kernel': self.kernel(folder) if callable(self.kernel) else self.kernel, 'boot.cmdline': self.cmdline}
        if keys.get('boot.initrd'):
            keys['boot.initrd'] = images.initrd(folder)
        disks = [word for disk in self.disks for word in ('--disk', f'{disk},read-only')]
        return [vmm, 'run', '--host', 'sim', *disks, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def efi(name, suite, program, steps, cmdline='', **more):
    return Case(name, OVMF, steps, GUESTS / suite / program, cmdline, **more)


NO_DISK = says('SeaBIOS (version 1.', 'No bootable device')
SYSTEM = {'machine.uuid': '123e4567-e89b-12d3-a456-426614174000', 'machine.serial': 'ds=nocloud;s=http://10.0.2.2/'}
LAB = (KERNEL / 'vmlinuz', KERNEL / 'busybox')

CASES = [
    Case('a BIOS of 64 KiB goes on below 1 MiB', lambda folder: images.bios(folder, 64), powers_off('BELOW')),
    Case('a BIOS of 256 KiB goes on in its last 128', lambda folder: images.bios(folder, 256), powers_off('BELOW')),
    *(Case(f'SeaBIOS of {name}, {size}', GUESTS / suite / size, NO_DISK, memory='64M')
      for suite, name, size in [('bookworm', 'Debian 12', 'bios-256k.bin'), ('trixie', 'Debian 13', 'bios-256k.bin'),
                                ('sid', 'Debian sid', 'bios-256k.bin'), ('trixie', 'Debian 13', 'bios.bin'),
                                ('trixie', 'Debian 13', 'bios-microvm.bin')]),
    *(Case(f'GRUB of Debian 12 from a disk by SeaBIOS of {name}', GUESTS / suite / 'bios-256k.bin', grub_of_a_disk,
           disks=(CACHE / 'debian/grub-bios.raw', CACHE / 'debian/disk.raw'))
      for suite, name in [('trixie', 'Debian 13'), ('sid', 'Debian sid')]),
    *(Case(f'U-Boot of {name}, {board}', GUESTS / suite / f'u-boot-{board}.rom', u_boot)
      for suite, name in [('bookworm', 'Debian 12'), ('trixie', 'Debian 13')] for board in ('x86', 'x86_64')),
    Case('Linux by qboot: where the PM block is, and power off', GUESTS / 'trixie/qboot.rom', linux, KERNEL / 'vmlinuz', LINUX,
         memory='512M', needs=LAB, more={**SYSTEM, 'boot.initrd': 'made'}),
    Case('Memtest86+ of Debian 13, .bin, by qboot', GUESTS / 'trixie/qboot.rom', says('Memtest86+ v7'),
         GUESTS / 'trixie/memtest86+x64.bin', SERIAL),
    efi('Memtest86+ of Debian 13, .efi', 'trixie', 'memtest86+x64.efi', says('Memtest86+ v7'), SERIAL),
    *(efi(f'UEFI shell of {name}', suite, 'shellx64.efi', efi_shell) for suite, name in [('trixie', 'Debian 13'), ('sid', 'Debian sid')]),
    efi('iPXE of Debian 13', 'trixie', 'ipxe.efi', says('iPXE 1', 'Open Source Network Boot Firmware')),
    efi('GRUB of Debian 12', 'bookworm', 'grubx64.efi', grub, memory='256M'),
    efi('systemd-boot of Debian 12', 'bookworm', 'systemd-bootx64.efi', says('Boot in 1 s.')),     # its menu, with the firmware alone
    efi('systemd-boot of Debian 13', 'trixie', 'systemd-bootx64.efi', says('Unable to open root directory')),
    Case('a unified kernel image of the stub of Debian 13', OVMF, linux,
         lambda folder: images.uki(folder, GUESTS / 'trixie/linuxx64.efi.stub', KERNEL / 'vmlinuz', LINUX), memory='512M',
         needs=(GUESTS / 'trixie/linuxx64.efi.stub', *LAB), more=SYSTEM),
    Case('Xen of Debian 12 and a paravirtualized Linux', OVMF, xen,
         lambda folder: images.xen(folder, GUESTS / 'bookworm/xen-4.17-amd64.efi', KERNEL / 'vmlinuz'), memory='1G',
         needs=(GUESTS / 'bookworm/xen-4.17-amd64.efi', *LAB)),
    efi('an EFI program whose hash is measured, and compared by OVMF.amdsev.fd', 'sid', 'shellx64.efi', efi_shell, memory='256M',
        more={'sev.type': 'sev', 'boot.hashes': 'true', 'firmware': FIRMWARE / 'sid/OVMF.amdsev.fd'},
        needs=(FIRMWARE / 'sid/OVMF.amdsev.fd',)),
]


def run(case, vmm, echo):
    """'' or why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Guest(case.command(vmm, pathlib.Path(folder)), echo) as guest:
                case.steps(guest)
        except Failed as failed:
            return str(failed)
    return ''


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('--case', default='')
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    vmm = str(pathlib.Path(options.vmm).resolve())
    cases, wrong = [case for case in CASES if options.case in case.name], 0
    print(f'1..{len(cases)}', flush=True)
    for number, case in enumerate(cases, 1):
        missing = case.missing()
        if missing:
            print(f'ok {number} - {case.name} # SKIP no {missing[0].parent.name}/{missing[0].name} in the cache, run: '
                  'scripts/setup --firmware --guests --lab --debian --sid', flush=True)
            continue
        why = run(case, vmm, options.echo)
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - {case.name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
