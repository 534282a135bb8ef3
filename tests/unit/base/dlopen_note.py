#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ELF note by which packagers learn of the libraries that are loaded by name, against the names in the sources.

usage: dlopen_note.py PROGRAM    UAPI group, "dlopen() Metadata for ELF Files"
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

OWNER, TYPE = b'FDO\0', 0x407c0c0a
SOURCES = {'src/base/crypto.c': ['required', 'suggested'], 'src/launch/volume.c': ['suggested'], 'src/back/nbd_library.c': ['suggested'],
           'src/sandbox/library.c': ['required'], 'src/cli/ctl_edit.c': ['suggested']}
TOP = pathlib.Path(__file__).resolve().parents[3]


def section(program, name):
    """Returns the section's bytes, read by a program that is not ours; b'' if there is no such section."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(['objcopy', '-O', 'binary', f'--only-section={name}', program, out.name], check=True)
        return pathlib.Path(out.name).read_bytes()


def padded(size):
    return (size + 3) // 4 * 4


note = section(sys.argv[1], '.note.dlopen')
owner_size, size, kind = struct.unpack_from('<III', note)
assert note[12:12 + owner_size] == OWNER and kind == TYPE, note
text = note[12 + padded(owner_size):][:size]
assert len(note) == 12 + padded(owner_size) + padded(size) and text[-1:] == b'\0', note
libraries = json.loads(text[:-1])
loaded_by = [(loaded, priority) for source, priorities in SOURCES.items()
             for loaded, priority in zip(re.findall(r'#define LIBRARY\w* +"(.*)"', (TOP / source).read_text()), priorities, strict=True)]
assert len(libraries) == len(loaded_by), libraries
for row, (loaded, priority) in zip(libraries, loaded_by):
    assert row['soname'] == [loaded] and row['priority'] == priority and row['feature'] and row['description'], row
