#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that README.md, docs/*.md and the manual pages show, as they are written, in a folder that looks like
the tree after scripts/demo. Commands that cannot run here are in NOT_RUN with the reason. Exit 77: no firmware image.

usage: examples.py VMM TREE | examples.py guest VMM ARGUMENT... (a guest at whose prompt somebody types)
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

IMAGE = 'firmware/trixie/OVMF.fd'  # of the cache
PACKAGED = '/usr/share/ovmf/OVMF.fd'
LIMIT = 900  # seconds for a document, on however busy a machine

# Commands that are judged elsewhere, or need what a test cannot have. Every row must be met.
NOT_RUN = {
    r'scripts/(demo|setup|test)\b.*': 'installs and builds; continuous integration runs them',
    r'(FUZZ_SECONDS=\d+ )?scripts/test .*': 'runs all other tests',
    r'(meson|ninja) .*': 'builds',
    r'build\S*/tests/.*': 'programs of the tests',
    r'(LAB_TIMEOUT=\d+ )?tests/(lab|bench)/.*|cpio .*': 'needs the lab, or measures',
    r'vmm run --set firmware=\$firmware --set machine.memory=512M': 'needs /dev/kvm; tests/boot does it',
    r'vmm run --host sim guest.json --expect - .*': 'needs an operating system with a login',
    r'test "\$\(vmm measure guest.json\).*': 'needs the digest that a project has kept',
    r'vmm run (--dry-run )?guest.json': 'needs a host with SEV',
    r'vmm run --disk .*(debian.raw|nbd\+unix).*': 'needs an operating system on a disk; tests/boot does it',
    r'ip (tuntap|link) .*|modprobe .*|qemu-nbd .*': 'changes the network or the kernel of this machine, or needs a qcow2 image',
    r'vmm host': 'judges this machine, which may offer nothing',
    r'cat /sys/module/kvm_amd/.*|dmesg .*|usermod .*|udevadm .*': 'reads or changes a host with SEV',
    r'(systemctl|journalctl) .*|vmm ctl /run/vmm/.*': 'changes the services of this machine, or asks one',
    r'vmm report (show|verify) report.bin.*|curl .*': 'needs the report of a SEV-SNP guest, and the network',
    r'vmm (run --set control.socket=/run/(here|there).sock|ctl /run/here.sock) .*': 'needs /dev/kvm, twice; tests/control moves guests',
    r'vmm (run --set machine.memory-shared=true|ctl /run/old.sock) .*': 'needs /dev/kvm, twice; tests/control/handover.py does it',
    r'vmm run guest.json --incoming file:guest.saved': 'needs a saved guest; tests/control/saves.py does it',
    r'vmm platform --(explain|trace calls) qemu-system-x86_64 .*|vmm measure --compare calls .*': 'needs QEMU; tests/preload/qemu.py does it',
    r'vmm secret pack .*6cde44fe-.*|vmm run --set sev.helper=true .*': 'needs the launch of a SEV guest; tests/helper does it',
    r"printf '.*>/sys/firmware/efi/.*": 'changes the variables of the firmware, in a guest',
    r'(cat OVMF.fd /usr/share/vmm/helper.bin|sha256sum both.fd|virt-qemu-sev-validate --firmware both.fd).*': 'needs an installed vmm',
    r'vmm run guest.json --set sev.policy=smt,single-socket': 'needs a host with SEV-SNP',
}
# Output that the documents show.
SHOWN = re.compile(r'vmm: |guest of this kind')

PROLOGUE = r'''
set -euo pipefail
vmm() {
	case "$*" in
	run*--dry-run*) command vmm "$@" ;;
	run*sev.secret-wait*) # another terminal's
		command vmm "$@" </dev/null >run.out 2>run.err &
		for _ in $(seq 600); do [ ! -e guest.measure ] || return 0; sleep 0.1; done
		cat run.err >&2; return 1 ;;
	run*--expect*) command vmm "$@" ;;
	run*) "$EXAMPLES" guest vmm "$@" ;;
	*) command vmm "$@" ;;
	esac
}
'''
# The guest that waited for its secret has got it and runs.
EPILOGUE = r'''
[ ! -e run.out ] || { for _ in $(seq 3000); do [ ! -s run.out ] || exit 0; kill -0 $! || break; sleep 0.1; done
	cat run.err >&2; exit 1; }
'''


def statements(lines):
    """Commands of a block: lines that end with a backslash go on, and so does what has a text behind it; comments go."""
    text = re.sub(r'\\\n\s*', '', '\n'.join(line.removeprefix('    ') for line in lines))
    for command, behind in re.findall(r"^(\S.*?)(?:(?<=<<'END')\n(.*?^END))?$", text, re.S | re.M):
        yield f'{command}\n{behind}' if behind else re.sub(r'\s{2,}# .*', '', command).strip()


def of_markdown(text):
    """Indented blocks behind an empty line, but for those between fences."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)
    for block in re.findall(r'(?<=\n\n)((?: {4}\S.*\n| {5,}\S.*\n)+)', text):
        yield from statements(block.split('\n'))


def of_page(text):
    """Of EXAMPLES: .Dl lines and literal blocks. A configuration becomes guest.json, what stands behind a name that file."""
    text = text.split('.Sh EXAMPLES')[1].split('.Sh SEE ALSO')[0]
    for line, name, block in re.findall(r'^\.Dl ([^\n]*)$|(?:^\.Pa (\S+) :\n)?^\.Bd -literal[^\n]*\n(.*?)^\.Ed', text, re.S | re.M):
        shown = (line or block).replace(r'\-', '-').replace(r'\e', '\\').replace(r'\(dq', '"')
        name = name or ('guest.json' if shown.startswith('{') else None)
        if name:
            yield f"cat >{name} <<'END'\n{shown}END"
        else:
            yield from statements(shown.split('\n'))


def documents(tree):
    for path in [tree / 'README.md', *sorted((tree / 'docs').glob('*.md'))]:
        yield path.name, list(of_markdown(path.read_text()))
    for path in sorted((tree / 'docs').glob('vmm*.in')):
        yield path.name, list(of_page(path.read_text()))


def choose(commands, met):
    """Yields the commands to run, and prints those that are left out."""
    for command in commands:
        row = next((row for row in NOT_RUN if re.fullmatch(row, command, re.S)), None)
        met.add(row)
        if row:
            print(f'  not run: {command.splitlines()[0]}: {NOT_RUN[row]}')
        elif not SHOWN.match(command):
            yield command


def folder_like_the_tree(path, tree, vmm, cache):
    (path / 'build-demo/src').mkdir(parents=True)
    (path / 'build-demo/src/vmm').symlink_to(vmm)
    (path / 'docs').symlink_to(tree / 'docs')
    (path / 'tests').mkdir()
    (path / 'tests/data').symlink_to(tree / 'tests/data')
    (path / '.cache').mkdir()
    (path / '.cache/vmm').symlink_to(cache)


def run_document(name, commands, tree, vmm, cache):
    if not pathlib.Path(PACKAGED).exists():
        commands = [command.replace(PACKAGED, str(cache / IMAGE)) for command in commands]
    # What a guest prints last need not end with a line break.
    steps = [f'printf "\\n+ %s\\n" {number} >&2\n{command}\n' for number, command in enumerate(commands)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        folder_like_the_tree(path, tree, vmm, cache)
        where = f'{path}/build-demo/src:{os.environ["PATH"]}' if name != 'README.md' else os.environ['PATH']
        env = os.environ | {'HOME': folder, 'PATH': where, 'EXAMPLES': str(pathlib.Path(__file__).resolve())}
        with open(path / 'log', 'w+') as log:
            shell = subprocess.Popen(['bash', '-c', PROLOGUE + ''.join(steps) + EPILOGUE], cwd=path, env=env, stdout=log,
                                     stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                status = shell.wait(LIMIT)
            finally:
                try:
                    os.killpg(shell.pid, signal.SIGKILL)  # what runs in its background
                except ProcessLookupError:
                    pass
            log.seek(0)
            text = log.read()
    last = re.findall(r'^\+ (\d+)$', text, re.M)
    if status:
        print(f'  FAILED with {status}: {commands[int(last[-1])] if last else "?"}\n{text[-3000:]}')
    elif len(last) != len(commands):
        print(f'  FAILED: of {len(commands)} commands these were run: {", ".join(last)}')
    return status == 0 and len(last) == len(commands)


def guest(words):
    """Waits for the prompt of the UEFI shell, types what ends the guest, and gives the status of vmm."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as vmm:
        seen, end = b'', time.monotonic() + LIMIT
        while b'Shell>' not in seen:
            data = os.read(vmm.stdout.fileno(), 65536)
            seen += data
            if not data or time.monotonic() > end:
                vmm.kill()
                print('no prompt came:', seen[-1000:].decode(errors='replace'))
                return 1
        time.sleep(1)  # the shell empties its input before it reads
        vmm.stdin.write(b'reset -s\r')
        vmm.stdin.flush()
        vmm.stdout.read()
        return vmm.wait()


def main():
    if sys.argv[1] == 'guest':
        sys.exit(guest(sys.argv[2:]))
    vmm, tree = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    cache = CACHE.resolve()
    if not (cache / IMAGE).exists():
        print(f'skipped: there is no {cache / IMAGE}; scripts/setup --firmware gets it')
        sys.exit(77)
    good, ran, met = True, 0, set()
    for name, commands in documents(tree):
        print(name)
        chosen = list(choose(commands, met))
        runnable = [command for command in chosen if not command.startswith('cat >')]
        ran += len(runnable)
        if runnable:
            good &= run_document(name, chosen, tree, vmm, cache)
    for row in set(NOT_RUN) - met:
        print(f'no document shows what NOT_RUN excuses: {row}')
        good = False
    print(f'{ran} commands were run')
    sys.exit(0 if good and ran >= 15 else 1)


main()
