#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Genuine reports and certificates of many machines, which are not part of the tree: unpacks them for test_attest_pairs.

usage: genuine.py PAIRS-PROGRAM ARCHIVE    (exit 77: the archive is not there)
"""
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile


def main():
    program, archive = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    if not archive.exists():
        print(f'skipped: {archive.name} is not beside the tree; the genuine reports in it are not part of the tree')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = pathlib.PurePath(member.name).name
                if member.isfile() and re.fullmatch(r'[rc]\d\d|pairs', name):
                    (pathlib.Path(folder) / name).write_bytes(tar.extractfile(member).read())
        sys.exit(subprocess.run([program, folder]).returncode)


main()
