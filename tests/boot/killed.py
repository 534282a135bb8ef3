#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL ends vmm while its guest writes: all that the guest had flushed is in the image, and the next vmm gets the image's lock.

usage: killed.py VMM GUEST [--host sim] [--times N] [--echo]   TAP on standard output
GUEST is the program disk_guest of tests/bench, which writes numbered blocks and tells which of them it has flushed.
"""
import argparse
import pathlib
import random
import re
import signal
import struct
import sys
import tempfile
import time

from guest import Failed, Guest, emulation
from linux import FIRMWARE, KERNEL, make_initrd

BLOCK, PLACES = 4096, 4096     # the log goes round in an image of 16 MiB
WAIT = 1500 if emulation.IN_LAB else 300
INIT = '''#!/busybox sh
/busybox insmod /{module}
exec /disk_guest
'''


def command(vmm, host, folder, initrd):
    keys = {'firmware': FIRMWARE, 'machine.memory': '512M', 'boot.kernel': KERNEL / 'vmlinuz', 'boot.initrd': initrd,
            'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1 log'}
    return [vmm, 'run', '--host', host, '--disk', str(folder / 'image'), *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def write_until_killed(words, seconds, echo):
    """The last block of which the guest said that it was flushed."""
    with Guest(words, echo) as guest:
        guest.expect('flushed ', 'failed', seconds=WAIT)
        end = time.monotonic() + seconds
        while time.monotonic() < end and guest.read(0.05):
            pass
        guest.process.send_signal(signal.SIGKILL)
        guest.process.wait()
        said = re.findall(rb'flushed (\d+)\s', guest.plain())
        if not said:
            raise Failed(f'nothing was flushed; the last output:\n{guest.tail()}')
        return int(said[-1])


def check(image, last):
    """A block may also hold what the guest wrote there one round later and had not flushed yet."""
    data = image.read_bytes()
    for number in range(max(1, last - PLACES + 1), last + 1):
        at = number % PLACES * BLOCK
        if not set(struct.unpack_from(f'<{BLOCK // 8}Q', data, at)) <= {number, number + PLACES}:
            raise Failed(f'block {number} is not there, and the guest had flushed all up to {last}')


def run(options, host, folder, initrd):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    image = folder / 'image'
    with open(image, 'wb') as file:
        file.truncate(PLACES * BLOCK)
    try:
        check(image, write_until_killed(command(options.vmm, host, folder, initrd), random.uniform(0, 2), options.echo))
    except Failed as failed:
        return str(failed), failed.lost
    return '', ''


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm')
    parser.add_argument('guest', type=pathlib.Path)
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--times', type=int, default=3)
    parser.add_argument('--echo', action='store_true')
    options = parser.parse_args()
    module = next((KERNEL / 'guest-modules').glob('*-virtio_blk.ko'), None)
    print(f'1..{options.times}', flush=True)
    if not module:
        for number in range(1, options.times + 1):
            print(f'ok {number} # SKIP no kernel, run: scripts/setup --lab --firmware')
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        initrd = make_initrd(folder, INIT.format(module=module.name), [options.guest.resolve(), module])
        for number in range(1, options.times + 1):
            why = emulation.judge(lambda: run(options, options.host, folder, initrd), lambda: run(options, 'sim', folder, initrd)[0])
            wrong += bool(why)
            print(f'{"not ok" if why else "ok"} {number} - killed while it wrote' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
