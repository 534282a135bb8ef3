#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm says where KVM is missing, forbidden or something else. Moves /dev/kvm about, so it runs in the lab only.

usage: refusals.py VMM; TAP on standard output
"""
import contextlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

KVM, AWAY = pathlib.Path('/dev/kvm'), pathlib.Path('/dev/kvm-away')
NOBODY = 65534
CANNOT = 4      # exit status: this host cannot do it


@contextlib.contextmanager
def missing():
    KVM.rename(AWAY)
    try:
        yield
    finally:
        KVM.unlink(missing_ok=True)
        AWAY.rename(KVM)


@contextlib.contextmanager
def not_kvm():
    with missing():
        os.mknod(KVM, stat.S_IFCHR | 0o666, os.makedev(1, 3))    # /dev/null
        yield


CASES = [
    # name, state of /dev/kvm, user, parts of the message
    ('no /dev/kvm: says what to load', missing, 0, ('/dev/kvm is missing', 'modprobe kvm_amd')),
    ('/dev/kvm of another user: says which group', contextlib.nullcontext, NOBODY, ('/dev/kvm', 'group', 'Permission denied')),
    ('/dev/kvm is another device: names the call', not_kvm, 0, ('/dev/kvm', 'KVM_GET_API_VERSION')),
]


def refusal(vmm, firmware, state, user, parts):
    """'' or what is wrong with the answer."""
    command = [vmm, 'run', '--set', f'firmware={firmware}', '--set', 'machine.memory=16M']
    with state():
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, user=user,
                             group=user, extra_groups=[])
    lacks = [part for part in parts if part not in run.stderr]
    if run.returncode == CANNOT and not lacks and not run.stdout:
        return ''
    return f'exit status {run.returncode}, lacks {lacks}: {run.stdout}{run.stderr}'


def main():
    if os.environ.get('LAB') != 'inside':
        print('1..0 # SKIP it moves /dev/kvm: run it with tests/lab/lab')
        return 77
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)         # the other user must get at both
        vmm, firmware = shutil.copy(sys.argv[1], folder), pathlib.Path(folder) / 'firmware'
        firmware.write_bytes(bytes(65536))
        os.chmod(KVM, 0o660)
        print(f'1..{len(CASES)}')
        for number, (name, state, user, parts) in enumerate(CASES, 1):
            why = refusal(vmm, firmware, state, user, parts)
            wrong += bool(why)
            print(f'{"not ok" if why else "ok"} {number} - {name}' + (f'\n# {why}' if why else ''))
    return 1 if wrong else 0


sys.exit(main())
