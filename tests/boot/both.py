#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: both.py VMM [--linux]: on the software platform the interpreter and the translator agree about each block of a whole boot that is compared
(sim.cpu=both): Debian 13's OVMF to its shell, or with --linux Debian's kernel to its init; TAP on standard output."""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import linux  # noqa: E402
from boot import POWER_OFF  # noqa: E402
from guest import Failed, Guest, init_begins  # noqa: E402
from places import CACHE  # noqa: E402

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
KERNEL = CACHE / 'debian/vmlinuz-6'
INIT = init_begins('poweroff') + 'echo init is here\npoweroff -f\n'
SCRIPT = {False: POWER_OFF, True: 'timeout 1000\nexpect "init is here"\nexpect end\n'}
FIGURES = re.compile(rb'software platform: (\d+) blocks were the same by the interpreter and by the translator, (\d+) could not be compared')
COMPARED_MIN = 1000000
ALONE_MAX = 0.05        # of the blocks


def boot(vmm, with_linux, folder):
    (folder / 'script').write_text(SCRIPT[with_linux].replace('timeout 300', 'timeout 1000'))
    keys = {'firmware': FIRMWARE, 'machine.memory': '512M', 'log': 'info', 'sim.cpu': 'both'}
    if with_linux:
        keys |= {'boot.kernel': KERNEL, 'boot.initrd': linux.make_initrd(folder, INIT), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'}
    words = [vmm, 'run', '--host', 'sim', '--expect', folder / 'script']
    with Guest(list(map(str, words)) + [word for key, value in keys.items() for word in ('--set', f'{key}={value}')]) as guest:
        guest.ends(0, 3000)
        found = FIGURES.search(guest.plain())
    if not found:
        raise Failed('vmm has compared nothing')
    return tuple(map(int, found.groups()))


def main():
    with_linux = '--linux' in sys.argv
    what = f'{"Linux" if with_linux else "OVMF"} by the interpreter and by the translator'
    print('1..1', flush=True)
    if not FIRMWARE.exists() or with_linux and not KERNEL.exists():
        print(f'ok 1 - {what} # SKIP no firmware or kernel, run: scripts/setup --firmware --debian')
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            compared, alone = boot(sys.argv[1], with_linux, pathlib.Path(folder))
        except Failed as failed:
            print(f'not ok 1 - {what}\n# {failed}')
            return 1
    right = compared >= COMPARED_MIN and alone <= ALONE_MAX * compared
    print(f'{"ok" if right else "not ok"} 1 - {what}: {compared} blocks are the same, {alone} could not be compared')
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
