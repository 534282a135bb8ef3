#!/usr/bin/env python3
"""The ELF note by which packagers learn of the library that is loaded by name, against the name that crypto.c loads.

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
SOURCE = pathlib.Path(__file__).resolve().parents[3] / 'src/base/crypto.c'


def section(program, name):
    """Its bytes, by a program that is not ours; '' if there is none."""
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
loaded = re.search('#define LIBRARY "(.*)"', SOURCE.read_text()).group(1)
libraries = json.loads(text[:-1])
assert [row['soname'] for row in libraries] == [[loaded]], (libraries, loaded)
assert libraries[0]['priority'] == 'required' and libraries[0]['feature'] and libraries[0]['description'], libraries
