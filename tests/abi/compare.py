#!/usr/bin/env python3
"""usage: compare.py ABI kvm|sim: runs the program on that host and compares what it prints with the transcript of a real KVM. Lines
of tests/abi/differences say where the software platform differs, and why."""
import difflib
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def known():
    """Lines of the software platform that take the place of lines of KVM: {(KVM's line, ours): reason}."""
    found = {}
    for line in (HERE / 'differences').read_text().splitlines():
        if line and not line.startswith('#'):
            kvm, sim, reason = (part.strip() for part in line.split('|'))
            found[kvm, sim] = reason
    return found


def real_kvm():
    """Does the processor virtualise? An emulation of KVM without that is not the judge here."""
    return re.search(r'^flags\s*:.*\b(vmx|svm)\b', pathlib.Path('/proc/cpuinfo').read_text(), re.M)


def main():
    abi, host = sys.argv[1:]
    if host == 'kvm' and not real_kvm():
        print('skipped: this processor has neither VMX nor SVM; tests/lab/lab has one that does')
        return 77
    run = subprocess.run([abi, host], capture_output=True, text=True, timeout=300)
    if run.returncode:
        print(run.stderr, end='')
        return run.returncode
    want, got = (HERE / 'transcript').read_text().splitlines(), run.stdout.splitlines()
    if host == 'sim':
        allowed = known()
        got = [w if len(want) == len(got) and (w, g) in allowed else g for w, g in zip(want, got)] + got[len(want):]
    lines = list(difflib.unified_diff(want, got, 'transcript', host, lineterm='', n=6))
    print('\n'.join(lines) if lines else f'{len(got)} lines, as a real KVM prints them')
    return 1 if lines else 0


sys.exit(main())
