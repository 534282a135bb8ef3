#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket's speed, against QEMU's QMP socket, and what a crowd of clients costs a guest.

usage: control.py VMM [--qemu PATH] [--runs N] [--seconds N]
1. The round trip of queries, of vmm --host sim and of QEMU with -accel tcg, both paused: alternating runs of 1000 queries each.
2. Context switches and processor time of both in some seconds while a client is connected and nothing happens.
3. A guest's instructions and exits a second, with the crowd of tests/control/load.py and without it by turns; and how long a client
   beside the crowd waits for its answers. The vCPU has one processor, and the crowd and vmm's main thread share another. Other programs
   move to where the crowd is not, so seconds also count without those in which the vCPU's thread could run and another one did.
Prints medians and ratios; judges nothing.
"""
import argparse
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / folder) for folder in ('cli', 'control')]
import guests   # noqa: E402
import monitor  # noqa: E402

QUERIES = ['query-status', 'query-name', 'query-cpus-fast', 'query-version']
BATCH = 1000
PORT_FLOOD = guests.back(bytes.fromhex('e680'))  # out 0x80, al, for ever
LOAD = pathlib.Path(__file__).resolve().parent.parent / 'control' / 'load.py'


@contextlib.contextmanager
def started(command, path):
    """The program, with a client that has negotiated."""
    path.unlink(missing_ok=True)  # of a process that was killed; connecting tells that only some milliseconds later
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            monitor.until(lambda: process.poll() is not None or monitor.connects(path))
            yield process, monitor.Client(path).negotiated()
        finally:
            process.kill()
            process.wait()


def vmm(options, folder, code, *sets):
    image, path = folder / 'image', folder / 'vmm'
    image.write_bytes(guests.image(code))
    words = [f'firmware={image}', 'machine.memory=2M', f'control.socket={path}', *sets]
    return started([options.vmm, 'run', '--host', 'sim'] + [part for word in words for part in ('--set', word)], path)


def qemu(options, folder):
    path = folder / 'qemu'
    return started([options.qemu, '-accel', 'tcg', '-M', 'q35', '-m', '64', '-nodefaults', '-display', 'none', '-S',
                    '-qmp', f'unix:{path},server=on,wait=off'], path)


def round_trip(client, command='query-status'):
    """Seconds; an answer comes whole."""
    start = time.perf_counter()
    client.socket.send(f'{{"execute": "{command}"}}\n'.encode())
    client.socket.recv(1 << 16)
    return time.perf_counter() - start


def switches(pid):
    """Context switches of all threads, those of the kernel's that belong to the process included."""
    total = 0
    for task in guests.tasks(pid):
        status = pathlib.Path(f'/proc/{pid}/task/{task}/status').read_text()
        total += sum(map(int, re.findall(r'ctxt_switches:\s*(\d+)', status)))
    return total


def speed(options, folder):
    with vmm(options, folder, guests.SPIN, 'run.paused=true') as (ours, client), qemu(options, folder) as (theirs, other):
        for command in QUERIES:
            found = {ours: [], theirs: []}
            for _ in range(options.runs):
                for who, asked in ((ours, client), (theirs, other)):
                    found[who] += [round_trip(asked, command) for _ in range(BATCH)]
            a, b = (statistics.median(found[who]) * 1e6 for who in (ours, theirs))
            print(f'{command:16} vmm {a:6.1f} us   QEMU {b:6.1f} us   ratio {a / b:.2f}', flush=True)
        before = {who: (switches(who.pid), guests.processor_seconds(who.pid)) for who in (ours, theirs)}
        time.sleep(options.seconds)
        for name, who in (('vmm', ours), ('QEMU', theirs)):
            count, used = switches(who.pid) - before[who][0], guests.processor_seconds(who.pid) - before[who][1]
            print(f'{name:4} paused, a client connected, {options.seconds} s: {count} context switches, {used:.2f} s of processor time', flush=True)


@contextlib.contextmanager
def crowd(path, processor):
    command = ['taskset', '-c', str(processor), sys.executable, str(LOAD), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        load.stdout.readline()
        yield
        print('    the crowd:', load.communicate()[0].strip())


def figures(client):
    """The guest's instructions (it does one in a nanosecond of its time), its exits, and the vCPU's processor time."""
    vcpu = client.call('__vmm_query-exits')['vcpus'][0]
    return client.call('__vmm_query-clock')['ns'], sum(vcpu['exits'].values()), vcpu['processor-ns'] / 1e9


def queued(pid):
    """Seconds in which the vCPU's thread could have run, but another one had its processor (proc(5), schedstat)."""
    (vcpu,) = (task for task, name in guests.tasks(pid).items() if name == 'vcpu0')
    return int(pathlib.Path(f'/proc/{pid}/task/{vcpu}/schedstat').read_text().split()[1]) / 1e9


def watch(client, pid, seconds):
    """Instructions and exits for each second of each kind; waits of a client; peak of memory."""
    start, before, waited, waits, peak = time.perf_counter(), figures(client), queued(pid), [], 0
    while time.perf_counter() - start < seconds:
        time.sleep(0.01)
        waits.append(round_trip(client))
        peak = max(peak, guests.resident_kib(pid))
    took, after, waited = time.perf_counter() - start, figures(client), queued(pid) - waited
    *done, used = (b - a for a, b in zip(before, after))
    kinds = {'of the clock': took, 'without those in the queue': took - waited, 'of processor time': used}
    return {'rates': {kind: [one / length for one in done] for kind, length in kinds.items()}, 'waits': waits, 'kib': peak}


def pin(pid):
    """The vCPU gets the first processor, everything else the last one."""
    first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    for task, name in guests.tasks(pid).items():
        os.sched_setaffinity(task, {first if name == 'vcpu0' else last})
    return last


def loaded(options, folder, name, code, unit):
    with vmm(options, folder, code) as (process, client):
        monitor.until(lambda: figures(client)[2] > 0)
        last, found = pin(process.pid), {True: [], False: []}
        for _ in range(options.runs):
            found[False].append(watch(client, process.pid, 0.4 * options.seconds))
            with crowd(folder / 'vmm', last):
                found[True].append(watch(client, process.pid, 0.4 * options.seconds))
        for kind in found[True][0]['rates']:
            rows = [statistics.median(one['rates'][kind][unit] for one in found[with_]) / 1e6 for with_ in (False, True)]
            print(f'{name}, millions a second {kind}: alone {rows[0]:.3f}, with the crowd {rows[1]:.3f}, ratio {rows[1] / rows[0]:.3f}')
        for with_, word in ((False, 'alone'), (True, 'with the crowd')):
            waits = sorted(wait for one in found[with_] for wait in one['waits'])
            print(f'    {word}: a query waits {statistics.median(waits) * 1e3:.2f} ms (99 of 100 under {waits[len(waits) * 99 // 100] * 1e3:.2f} '
                  f'ms), memory of vmm and guest up to {max(one["kib"] for one in found[with_]) / 1024:.1f} MiB', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        speed(options, folder)
        loaded(options, folder, 'instructions of a guest that computes', guests.SPIN, 0)
        loaded(options, folder, 'exits of a guest that uses a device', PORT_FLOOD, 1)


main()
