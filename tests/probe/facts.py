#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts probe-efi.efi, and compares what it says from inside the guest with the configuration and with what vmm says.

usage: facts.py VMM COMPILER=IMAGE... [--case WORD] [--print]   TAP on standard output; --print shows the line, too
Each case takes the images in turn, so that those of all compilers run. On the software platform only.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'support'), str(HERE.parent / 'control')]
from monitor import Client  # noqa: E402
from places import CACHE  # noqa: E402

LIMIT = 600
MIB = 1 << 20
KEPT_BYTES = 8 * MIB        # firmware keeps this at most, and does not tell of it as RAM
STATUS = {'none': 0, 'sev': 1, 'sev-es': 3, 'sev-snp': 7}
SEV, SEV_ES, SEV_SNP = 1 << 1, 1 << 3, 1 << 4   # CPUID 8000001F, EAX
BITS = {'sev': SEV, 'sev-es': SEV | SEV_ES, 'sev-snp': SEV | SEV_ES | SEV_SNP}
ADDED = [128, 256]                  # MiB that a SEV-SNP guest gets while it runs
ADDED_GPA = 4 << 30
VIRTUAL_KHZ = 1000000               # of the software platform's clock, which begins at this time
VIRTUAL_DAY = '2026-01-01T'
# name, image of Debian's, type of guest, vCPUs, MiB; does the guest wait while vmm is asked who has its pages?
CASES = [('plain', 'trixie', 'none', 2, 512, False), ('SEV', 'trixie', 'sev', 4, 300, True), ('SEV', 'sid', 'sev', 2, 512, False),
         ('SEV-ES', 'trixie', 'sev-es', 1, 512, False), ('SEV-ES', 'trixie', 'sev-es', 4, 512, True),
         ('SEV-SNP with more memory', 'trixie', 'sev-snp', 2, 512, True), ('SEV-SNP with more memory', 'sid', 'sev-snp', 1, 300, True)]
FRAME = 4096
BOUND = 8 << 30                     # no RAM of these guests is above it
TURNS = [1, 2, 1, 3, 1, 2]          # of the probe's conversions: odd ones leave the pages shared
HOLE = (0xa0000, 0x60000)           # video memory and option ROMs


class Failed(Exception):
    """Inside and outside differ."""


def demand(what, inside, outside):
    if inside != outside:
        raise Failed(f'{what}: inside {inside}, outside {outside}')


def make_disk(folder, image):
    disk = folder / 'disk.raw'
    for command in (['mformat', '-i', disk, '-C', '-f', '2880', '::'], ['mmd', '-i', disk, '::/EFI', '::/EFI/BOOT'],
                    ['mcopy', '-i', disk, image, '::/EFI/BOOT/BOOTX64.EFI']):
        subprocess.run(command, check=True)
    return disk


def connect(path, vmm):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and vmm.poll() is None:
        try:
            return Client(path).negotiated()
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.05)
    raise Failed('there is no control socket')


def add_memory(client):
    """The guest has run only for a moment, so the program has not started."""
    client.call('stop')
    for number, mib in enumerate(ADDED):
        client.call('object-add', qom_type='memory-backend-ram', id=f'ram{number}', size=mib * MIB)
        client.call('device_add', driver='pc-dimm', id=f'dimm{number}', memdev=f'ram{number}')
    client.call('cont')


def ask_vmm(path, vmm, kind):
    """What vmm says of the guest, which waits until then."""
    client = connect(path, vmm)
    said = {name: client.call(name) for name in ('query-sev', 'query-cpus-fast', 'query-memory-size-summary')}
    client.call('cont')
    if kind == 'sev-snp':
        add_memory(client)
    client.close()
    return said


def ask_map(vmm, path):
    """The same map by the command line and by the socket."""
    drawn = json.loads(subprocess.run([vmm, 'map', '--json', path], check=True, stdout=subprocess.PIPE).stdout)
    client = Client(path).negotiated()
    asked = client.call('__vmm_query-map')
    client.close()
    for key in ('regions', 'ranges', 'generation'):
        demand(f'{key} of vmm map', drawn[key], asked[key])
    return asked


def read_to_the_end(process, vmm, path):
    """What the guest printed. The map is asked for while the guest, which has told what it maps, waits for a key."""
    text, found = '', None
    for line in process.stdout:
        text += line.decode(errors='replace')
        if path and line.startswith(b'{"probe":'):
            found = ask_map(vmm, path)
            process.stdin.write(b'k')
            process.stdin.flush()
    process.wait()
    return text, found


def command_of(vmm, folder, image, case):
    _, suite, kind, vcpus, mib, waits = case
    keys = {'firmware': CACHE / 'firmware' / suite / 'OVMF.fd', 'machine.memory': f'{mib}M', 'machine.vcpus': vcpus, 'sev.type': kind,
            'control.socket': folder / 'control', 'run.paused': 'true'}
    if kind == 'sev-snp':
        keys['machine.memory-max'] = f'{mib + sum(ADDED)}M'
    elif waits:
        keys['sev.page-status'] = 'true'
    if waits:
        keys |= {'boot.kernel': image, 'boot.cmdline': 'wait'}
    disk = [] if waits else ['--disk', f'{make_disk(folder, image)},read-only']
    return [vmm, 'run', '--host', 'sim', *disk, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def run(vmm, folder, image, case):
    """What was said inside, and outside."""
    socket, waits = folder / 'control', case[5]
    with subprocess.Popen(command_of(vmm, folder, image, case), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        watchdog = threading.Timer(LIMIT, process.kill)
        watchdog.start()
        try:
            outside = ask_vmm(socket, process, case[2])
            text, outside['map'] = read_to_the_end(process, vmm, waits and socket)
        finally:
            watchdog.cancel()
            process.kill()
    lines = [line for line in text.splitlines() if line.startswith('{"probe":')]
    if process.returncode or len(lines) != 1:
        raise Failed(f'exit status {process.returncode}, {len(lines)} lines of JSON; the last output:\n{text[-1000:]}')
    outside['host'] = json.loads(subprocess.run([vmm, 'host', '--host', 'sim', '--json'], check=True, stdout=subprocess.PIPE).stdout)
    return lines[0], outside


def compare_encryption(inside, outside, kind):
    c_bit, leaf = outside['host']['processor']['c-bit'], inside['cpuid-8000001f']
    demand('the type', inside['type'], kind)
    demand('whether vmm says SEV', outside['query-sev']['enabled'], kind != 'none')
    demand('SEV_STATUS', inside['sev-status'], hex(STATUS[kind]) if kind != 'none' else None)
    if kind == 'none':
        demand('what only encrypted guests have', [leaf, inside['c-bit'], inside['ghcb']], [None, None, None])
        return
    demand('SEV of CPUID', int(leaf['eax'], 16) & (SEV | SEV_ES | SEV_SNP), BITS[kind])
    demand('the C-bit of CPUID', int(leaf['ebx'], 16) & 0x3f, c_bit)
    demand('the C-bit', inside['c-bit'], {'position': c_bit, 'paging-levels': inside['c-bit']['paging-levels'], 'own-page': True,
                                          'apic-page': False, 'hides': None if kind == 'sev-snp' else True,
                                          'shares': None if kind == 'sev-snp' else True})


def compare_ghcb(inside, outside, kind):
    if kind not in ('sev-es', 'sev-snp'):
        demand('the GHCB', inside['ghcb'], None)
        return
    ghcb = inside['ghcb']
    demand('GHCB versions', (ghcb['version-min'], ghcb['version-max']), (1, 2))
    demand("the GHCB's C-bit", ghcb['c-bit'], outside['host']['processor']['c-bit'])
    demand('whether the features are known', ghcb['hypervisor-features'] is not None, True)


def compare_board(inside, outside, vcpus, mib):
    demand('the hypervisor', inside['hypervisor']['signature'], 'KVMKVMKVM')
    demand('vCPUs', outside['query-cpus-fast'] and len(outside['query-cpus-fast']), vcpus)
    demand('processors', inside['processors'], {'total': vcpus, 'enabled': vcpus, 'answered': vcpus, 'same-sev-status': True})
    memory = outside['query-memory-size-summary']['base-memory']
    demand('memory', memory, mib * MIB)
    ram = inside['memory']['ram-bytes']
    demand(f'whether {ram} bytes are the memory but for what firmware keeps', memory - KEPT_BYTES <= ram <= memory, True)


def compare_added(inside, kind):
    """All of it was accepted by the program, and nobody accepted it before."""
    rows, at = [], ADDED_GPA
    for size in (mib * MIB for mib in ADDED):
        rows.append({'gpa': hex(at), 'size-bytes': size, 'accepted-bytes': size, 'accepted-before-bytes': 0, 'refused-bytes': 0, 'held-bytes': size})
        at += size
    demand('memory that was added', inside['added-memory'], rows if kind == 'sev-snp' else None)


# ---- pages ----


def frames(runs, bound):
    """The numbers of the pages of all runs, below a bound in bytes."""
    found = set()
    for run_ in runs:
        first = int(run_['gpa'], 16) // FRAME
        found.update(range(first, min(first + run_['size-bytes'] // FRAME, bound // FRAME)))
    return found


def words_of(pages):
    """The runs of these pages, for a person."""
    words, last = [], None
    for page in sorted(pages):
        if last is not None and page == last + 1:
            words[-1][1] += 1
        else:
            words.append([page * FRAME, 1])
        last = page
    return ', '.join(f'{count} pages at {at:#x}' for at, count in words) or 'none'


def compare_tables(inside, ram):
    """The pages of RAM that the guest's page tables share; all others they map as the guest's own."""
    shared, encrypted = (frames(inside['page-tables'][key], max(ram) * FRAME + FRAME) & ram for key in ('shared', 'encrypted'))
    demand('bytes that firmware maps elsewhere', inside['page-tables']['moved-bytes'], 0)
    demand('pages mapped both ways', words_of(shared & encrypted), 'none')
    demand('pages of RAM that no table maps', words_of(ram - shared - encrypted), 'none')
    demand('conversions', [(piece['turns'], piece['shared']) for piece in inside['conversions']], [(turns, turns % 2 == 1) for turns in TURNS])
    for piece in inside['conversions']:
        pages = frames([piece], max(ram) * FRAME)
        demand(f'pages that the probe has {"shared" if piece["shared"] else "taken back"} and the tables have not',
               words_of(pages - (shared if piece['shared'] else encrypted)), 'none')
    return shared


def untold(inside, kind, vcpus):
    """Pages of RAM that the guest's tables share, and of which the hypervisor is not told."""
    hole = frames([{'gpa': hex(HOLE[0]), 'size-bytes': HOLE[1]}], BOUND)  # firmware takes it for devices, as on a PC
    if kind != 'sev-es':
        return hole
    # Firmware calls the GHCBs, one for each processor and a page of its own behind each, reserved memory. The probe reports RAM.
    return hole | {int(inside['ghcb']['msr'], 16) // FRAME + 2 * i for i in range(vcpus)}


def compare_pages(inside, outside, kind, vcpus, mib):
    if kind == 'none':
        demand('pages of a plain guest', [inside[key] for key in ('conversions', 'reports', 'page-tables')], [None] * 3)
        return
    shared = compare_tables(inside, set(range(mib * MIB // FRAME)))
    if not outside['map']:
        demand('reports', inside['reports'], None)
        return
    demand('reports that were refused', inside['reports'] and inside['reports']['refused'], None if kind == 'sev-snp' else 0)
    demand('whether the record is complete', outside['map']['record']['complete'], True)
    ram = frames([region for region in outside['map']['regions'] if region['kind'] == 'ram'], BOUND)
    demand('RAM', ram, set(range(mib * MIB // FRAME)))
    told, rest = frames(outside['map']['ranges'], BOUND), untold(inside, kind, vcpus)
    demand('pages that the tables share and vmm does not', words_of((shared - told) - rest), 'none')
    demand('pages that vmm shares and the tables do not', words_of((told & ram) - shared), 'none')
    demand('pages that nobody tells vmm of', words_of(rest - (shared - told)), 'none')
    # The program has accepted added memory by tables of its own. Firmware maps its addresses as it maps devices.
    demand('added memory that is shared', words_of(told & frames(
        [region for region in outside['map']['regions'] if region['kind'] == 'added'], BOUND)), 'none')


def compare_time(clock):
    demand('the day', clock['rtc'][:len(VIRTUAL_DAY)], VIRTUAL_DAY)
    demand(f'whether {clock["tsc-khz"]} kHz agree with the ACPI timer', abs(clock['tsc-khz'] - VIRTUAL_KHZ) < VIRTUAL_KHZ // 100, True)
    demand(f'whether {clock["timer-ticks"]} ticks came in 100 ms, one each 10 ms', 8 <= clock['timer-ticks'] <= 11, True)


def judged(vmm, image, case, show):
    """'' or why inside and outside differ."""
    with tempfile.TemporaryDirectory() as name:
        try:
            line, outside = run(vmm, pathlib.Path(name), image, case)
            if show:
                print(f'# {line}', flush=True)
            inside = json.loads(line)
            _, _, kind, vcpus, mib, _ = case
            compare_encryption(inside, outside, kind)
            compare_ghcb(inside, outside, kind)
            compare_board(inside, outside, vcpus, mib)
            compare_added(inside, kind)
            compare_pages(inside, outside, kind, vcpus, mib)
            compare_time(inside['time'])
        except (Failed, AssertionError) as failed:
            return str(failed)
    return ''


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('vmm', type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument('images', nargs='+')
    parser.add_argument('--case', default='')
    parser.add_argument('--print', action='store_true')
    options = parser.parse_args()
    images, wrong = [word.split('=', 1) for word in options.images], 0
    named = [(f'{case[0]}, OVMF of {case[1]}, {case[3]} vCPU, built by {images[i % len(images)][0]}', images[i % len(images)][1], case)
             for i, case in enumerate(CASES)]
    named = [case for case in named if options.case in case[0]]
    print(f'1..{len(named)}', flush=True)
    for number, (name, image, case) in enumerate(named, 1):
        if not shutil.which('mformat') or not (CACHE / 'firmware' / case[1] / 'OVMF.fd').exists():
            print(f'ok {number} - {name} # SKIP no mtools or no firmware, run: scripts/setup --test --firmware --sid', flush=True)
            continue
        why = judged(options.vmm, image, case, options.print)
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong or not named else 0


if __name__ == '__main__':
    sys.exit(main())
