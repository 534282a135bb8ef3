#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the conversions of a confidential guest's run for bench_range_map: frame, pages, and what they become.

usage: conversions.py TRACE
TRACE is the file of vmm run --trace: of a SEV-SNP guest, or of a SEV or SEV-ES guest with sev.page-status. traces/snp-linux-6 is that of Debian 13's OVMF
and kernel 6.12 up to its init, with 2 vCPUs and 512 MiB; the other files are from shared.py --record.
"""
import re
import sys

ATTRIBUTES = re.compile(r'KVM_SET_MEMORY_ATTRIBUTES gpa=0x([0-9a-f]+) size=0x([0-9a-f]+) attributes=0x([0-9a-f]+) -> 0$')
REPORT = re.compile(r'KVM_EXIT_HYPERCALL nr=12 gpa=0x([0-9a-f]+) pages=0x([0-9a-f]+) attributes=0x([0-9a-f]+)')
ENCRYPTED = 1 << 4  # of a report (KVM_HC_MAP_GPA_RANGE)
PAGE_BYTES = 4096


class Reader:
    """Finds the conversions in the lines of a trace. A SEV-SNP guest's are what vmm tells KVM, of which the guest's hypercalls are the reason."""
    def __init__(self):
        self.snp = False

    def find(self, line):
        """(frame, pages, whether they become shared); or None."""
        if match := ATTRIBUTES.search(line):
            self.snp = True
            start, size, attributes = (int(word, 16) for word in match.groups())
            return start // PAGE_BYTES, size // PAGE_BYTES, not attributes
        if not self.snp and (match := REPORT.search(line)):
            start, pages, attributes = (int(word, 16) for word in match.groups())
            return start // PAGE_BYTES, pages, not attributes & ENCRYPTED
        return None


def show(conversion):
    """As bench_range_map reads it."""
    frame, pages, shared = conversion
    return f'{frame} {pages} {"shared" if shared else "private"}'


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    with open(sys.argv[1]) as trace:
        for conversion in filter(None, map(Reader().find, trace)):
            print(show(conversion))


if __name__ == '__main__':
    main()
