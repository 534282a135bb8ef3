# SPDX-License-Identifier: Apache-2.0
"""Decides which failures a test in the lab may blame on the emulation.

The lab's processor is QEMU's emulation of AMD-V. It loses a nested guest now and then: the guest ends in a triple fault at a random
place, or executes or takes an interrupt where there is no memory, or its kernel panics, or it goes on for ever without doing anything
(docs/hacking.md has what was measured). Nothing of that is ever seen on the software platform, nor where QEMU emulates the same guest
without a KVM in between.

So a run may be repeated, but only if
- this is the lab,
- the run ended by a crash of the guest or by silence, and everything that the guest said until then is right,
- the same guest does right, now and here, where no nested processor is involved.
The test passes when one of RUNS runs is right as a whole. Each lost guest is reported in a line that begins with TOLD.

Once a probe lost its state in the middle of a test and went on: the line of this test had no verdict, and all others were right. That is judged
in the same way, but two runs in a row must be right then.
"""
import os
import pathlib
import time

RUNS = 5
TOLD = 'emulation: '
WENT_ON = 'the guest went on'
QUIET = 60              # seconds without a word: a line takes milliseconds, even where eight others want the processor
CRASHED = 3             # vmm's exit status
# What vmm says of a guest that executes, or has its stack, where there is no memory.
ASTRAY = ('KVM could not emulate an instruction of the guest', 'KVM could not deliver an interrupt or exception')
# Linux finds itself there with a page fault or a double fault, and says so. It may restart itself then, so that vmm goes on.
PANIC = 'Kernel panic - not syncing'
IN_LAB = os.environ.get('LAB') == 'inside'


def kernel_counts(pid):
    """{name: count} of the kernel's statistics of this process's virtual machine."""
    return {path.name: int(path.read_text()) for folder in pathlib.Path('/sys/kernel/debug/kvm').glob(f'{pid}-*')
            for path in folder.iterdir() if path.is_file() and path.name in ('exits', 'io_exits', 'mmio_exits', 'irq_injections')}


def polls(pid):
    """Does the guest still ask its devices for something? Then the devices owe it an answer, and the emulation is not to blame."""
    before = kernel_counts(pid)
    time.sleep(2)
    after = kernel_counts(pid)
    print('the kernel counted in two seconds:', *(f'{name} {after[name] - before[name]}' for name in sorted(after.keys() & before.keys())))
    return not before or any(after.get(name, 0) != before[name] for name in ('io_exits', 'mmio_exits'))


def crashed(status, said):
    """Did the guest crash, by vmm's exit status (None: it has none yet) and by what was said?"""
    return status == CRASHED or any(words in said for words in (*ASTRAY, PANIC))


def judge(run, evidence):
    """'' or why the test fails. run() returns ('', '') or (why, how the emulation may have lost it); evidence() returns '' if the same
    guest does right where the emulation has no part in it, or what was wrong there."""
    right, wanted, why = 0, 1, ''
    for number in range(1, RUNS + 1):
        wrong, lost = run()
        right = 0 if wrong else right + 1
        if right == wanted:
            return ''
        if not wrong:
            continue
        why, wanted = wrong, 2 if lost.startswith(WENT_ON) else wanted
        if not IN_LAB or not lost:
            return why
        print(f'{TOLD}run {number} of at most {RUNS}: {lost}', why, sep='\n', flush=True)
        if number == 1:
            wrong = evidence()
            if wrong:
                return f'the same guest is not right without the emulation either: {wrong}'
    return f'of {RUNS} runs {"no two in a row were" if wanted == 2 else "none was"} right; the last wrong one: {why}'
