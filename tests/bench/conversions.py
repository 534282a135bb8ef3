#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the conversions of a SEV-SNP guest's run for bench_range_map: frame, pages, and what they become.

usage: conversions.py TRACE
TRACE is the file of vmm run --trace. traces/snp-linux-6 is that of Debian 13's OVMF and kernel 6.12 up to its init, with 2 vCPUs and 512 MiB.
"""
import re
import sys

CALL = re.compile(r'KVM_SET_MEMORY_ATTRIBUTES gpa=0x([0-9a-f]+) size=0x([0-9a-f]+) attributes=0x([0-9a-f]+) -> 0$')
PAGE_BYTES = 4096


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    with open(sys.argv[1]) as trace:
        for match in filter(None, map(CALL.search, trace)):
            start, size, attributes = (int(word, 16) for word in match.groups())
            print(start // PAGE_BYTES, size // PAGE_BYTES, 'private' if attributes else 'shared')


main()
