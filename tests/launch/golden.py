#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm says about launches on the software platform, and the calls that they issue, against golden files.

usage: golden.py VMM [--write]     --write makes the golden files anew: look at what git diff says of them
"""
import pathlib
import subprocess
import sys
import tempfile

import images

HERE = pathlib.Path(__file__).resolve().parent / 'golden'
# The guest leaves its memory at once. The exit status shows whose fault that is, which depends on the type. A SEV-ES guest
# would get a #VC for it and go on; it asks to be ended instead, by the GHCB's MSR protocol.
TYPES = {'none': 1, 'sev': 1, 'sev-es': 3, 'sev-snp': 3}
TERMINATE = bytes.fromhex('66b9300101c0 66b800010000 6631d2 0f30 f30f01d9')  # wrmsr c0010130, 0x100; vmgexit
COMMON = ['machine.memory=1M', 'machine.cpu=EPYC-Milan', 'firmware=image.fd']


def sets(*words):
    return [part for word in words for part in ('--set', word)]


def cases():
    """Name, arguments, exit status, and what is golden: standard output, or the trace up to the guest's first exits."""
    for kind, status in TYPES.items():
        words = sets(f'sev.type={kind}', 'machine.vcpus=2', *COMMON)
        yield f'dry-{kind}', ['run', '--host', 'sim', '--dry-run', *words], 0, 'out'
        ends = ['firmware=ends.fd'] if kind == 'sev-es' else []
        yield f'trace-{kind}', ['run', '--host', 'sim', '--trace', 'trace', *sets(f'sev.type={kind}', *COMMON, *ends)], status, 'trace'
    snp = sets('sev.type=sev-snp', *COMMON)
    yield 'dry-json', ['run', '--host', 'sim', '--dry-run', '--json', *snp], 0, 'out'
    yield 'dry-refused', ['run', '--host', 'sim', '--dry-run', *snp, *sets('sev.policy=migrate-ma,abi=9.9,ciphertext-hiding',
                          'sev.vmsa-features=secure-tsc,vtom')], 4, 'out'
    yield 'dry-no-sev', ['run', '--host', 'sim', '--dry-run', *snp, *sets('sim.product=none')], 4, 'out'
    yield 'dry-no-smt', ['run', '--host', 'sim', '--dry-run', *snp, *sets('sev.policy=single-socket', 'sim.smt=false')], 0, 'out'
    yield 'dry-memlock', ['run', '--host', 'sim', '--dry-run', *sets('sev.type=sev', 'sim.memlock=1M', *COMMON)], 4, 'out'
    yield 'trace-legacy', ['run', '--host', 'sim', '--trace', 'trace', *sets('sev.type=sev', 'sev.init=legacy', *COMMON)], 1, 'trace'
    for product in ('none', 'Naples', 'Milan', 'Turin'):
        yield f'host-{product.lower()}', ['host', '--host', 'sim', *sets(f'sim.product={product}', 'sim.cgroup=cgroup')], 0, 'out'
    yield 'host-hiding', ['host', '--host', 'sim', *sets('sim.snp-asids=20', 'sim.cgroup=cgroup')], 0, 'out'
    yield 'host-limited', ['host', '--host', 'sim', *sets('sim.cgroup=limited')], 0, 'out'
    yield 'host-limited-json', ['host', '--host', 'sim', '--json', *sets('sim.cgroup=limited')], 0, 'out'
    for name in ('prometheus', 'nfd'):
        yield f'host-{name}', ['host', '--host', 'sim', '--format', name, *sets('sim.cgroup=limited')], 0, 'out'
        yield f'host-{name}-hiding', ['host', '--host', 'sim', '--format', name, *sets('sim.snp-asids=20', 'sim.cgroup=cgroup')], 0, 'out'
    yield 'host-json', ['host', '--host', 'sim', '--json', *sets('sim.cgroup=cgroup')], 0, 'out'


def launch_part(trace):
    """Without what the guest does once it runs."""
    lines = []
    for line in trace.splitlines():
        if 'KVM_RUN' in line:
            break
        lines.append(line)
    return '\n'.join(lines) + '\n'


def without_capabilities(text):
    """They are KVM's, and tests/abi looks at each."""
    return ''.join(line for line in text.splitlines(True) if 'KVM_CAP_' not in line)


def answer(vmm, folder, args, what):
    run = subprocess.run([vmm, *args], cwd=folder, stdin=subprocess.DEVNULL, timeout=300, capture_output=True, text=True)
    text = without_capabilities(run.stdout) if what == 'out' else launch_part((folder / 'trace').read_text())
    return run.returncode, text, run.stderr


def judge(vmm, folder, name, args, status, what, write):
    """'' or what is wrong."""
    found, text, stderr = answer(vmm, folder, args, what)
    path = HERE / name
    if found != status:
        return f'exit status {found}, not {status}: {stderr}'
    if write:
        path.write_text(text)
    if not path.exists() or path.read_text() != text:
        (folder / name).write_text(text)
        return subprocess.run(['diff', '-u', path, folder / name], capture_output=True, text=True).stdout or 'no golden file'
    return ''


def main():
    vmm, write = pathlib.Path(sys.argv[1]).resolve(), '--write' in sys.argv
    wrong, names = 0, set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'image.fd').write_bytes(images.image(images.guests.OUTSIDE))
        (folder / 'ends.fd').write_bytes(images.image(TERMINATE))
        (folder / 'limited').mkdir()
        (folder / 'limited/misc.max').write_text('sev 3\nsev_es max\n')
        for name, args, status, what in cases():
            names.add(name)
            why = judge(vmm, folder, name, args, status, what, write)
            wrong += bool(why)
            print(f'{"not ok" if why else "ok"} - {name}' + (f'\n{why}' if why else ''))
    for orphan in {path.name for path in HERE.iterdir()} - names:
        print(f'not ok - {orphan}: nothing makes it')
        wrong += 1
    return 1 if wrong else 0


sys.exit(main())
