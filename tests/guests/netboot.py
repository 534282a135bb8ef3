#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's installer over the network: OVMF asks dnsmasq for an address and loads the signed loader by TFTP, that loads GRUB, and GRUB the
installer's own Linux, each with its own driver of the network card.

usage: netboot.py VMM [--host HOST] [--echo]   TAP on standard output
As root. The installer's files are in the cache: scripts/setup --debian.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

from boot import CACHE  # noqa: E402
from debian import PATIENCE, tap_interface  # noqa: E402
from guest import Failed, Guest, emulation  # noqa: E402

FILES, FIRMWARE = CACHE / 'netboot', CACHE / 'firmware/trixie'
CARD = 'vmm-netboot'
HOST_ADDRESS, GUESTS_FIRST, GUESTS_LAST = '192.168.78.1', '192.168.78.10', '192.168.78.19'
LOADERS = 'bootnetx64.efi', 'grubx64.efi'   # the first loads the second from where it came from itself
PLACE = 'debian-installer/amd64'    # where Debian's GRUB looks for its settings
GRUB = f'''
echo "GRUB was loaded by the network"
set gfxpayload=text
linux /{PLACE}/linux console=ttyS0 --- quiet
initrd /{PLACE}/initrd.gz
boot
'''


@contextlib.contextmanager
def network(folder):
    """A tap interface with a DHCP and TFTP server on it; dnsmasq's log is in the folder."""
    root = folder / 'tftp'
    (root / PLACE / 'grub').mkdir(parents=True)
    for name in LOADERS:
        (root / name).symlink_to(FILES / name)
    for name in ('linux', 'initrd.gz'):
        (root / PLACE / name).symlink_to(FILES / name)
    (root / PLACE / 'grub/grub.cfg').write_text(GRUB)
    command = ['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--user=root', '--port=0', '--bind-interfaces', f'--interface={CARD}',
               f'--dhcp-range={GUESTS_FIRST},{GUESTS_LAST}', f'--dhcp-leasefile={folder}/leases', f'--dhcp-boot={LOADERS[0]}',
               '--enable-tftp', f'--tftp-root={root}']
    with tap_interface(CARD, HOST_ADDRESS), open(folder / 'log', 'w') as log, subprocess.Popen(command, stderr=log) as server:
        try:
            yield
        finally:
            server.terminate()


def run(vmm, host, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    command = [vmm, 'run', '--host', host, '--net', f'tap={CARD}', '--device', 'rng', '--set', f'firmware={FIRMWARE}/OVMF.fd', '--set', 'machine.memory=1G']
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            with network(folder), Guest(command, echo) as guest:
                guest.expect('Start PXE over IPv4', seconds=PATIENCE)
                guest.expect('NBP file downloaded successfully', seconds=PATIENCE)
                guest.expect('GRUB was loaded by the network', seconds=PATIENCE)
                guest.expect('Choose the language', seconds=PATIENCE)
        except Failed as failed:
            return f'{failed}\n{(folder / "log").read_text()}', failed.lost
    return '', ''


def missing():
    if os.geteuid() != 0:
        return 'a tap interface wants root'
    if not shutil.which('dnsmasq') or not FILES.exists():
        return 'no dnsmasq, or no installer in the cache, run: scripts/setup --firmware --debian'
    return ''


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    vmm, name = str(pathlib.Path(options.vmm).resolve()), "Debian's installer over the network"
    print('1..1', flush=True)
    if missing():
        print(f'ok 1 - {name} # SKIP {missing()}')
        return 0
    why = emulation.judge(lambda: run(vmm, options.host, options.echo), lambda: run(vmm, 'sim', options.echo)[0])
    print(f'{"not ok" if why else "ok"} 1 - {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if why else 0


if __name__ == '__main__':
    sys.exit(main())
