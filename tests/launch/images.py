# SPDX-License-Identifier: Apache-2.0
"""A firmware image of 64 KiB with all that launches look for: SEV metadata, a reset block, a place for secrets."""
import pathlib
import struct
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cli'))
import guests  # noqa: E402

RESET, SECRET = '00f771de-1a7e-4fcb-890e-68c77e2fb44e', '4c2eb361-7d9b-4cc3-8081-127c90d3d294'
METADATA, FOOTER = 'dc886566-984a-4798-a75e-5585a7bf67cc', '96b582de-1fb2-45f7-baea-a366c55a082d'
SECTIONS = [(0x10000, 0x3000, 1), (0x14000, 0x1000, 2), (0x15000, 0x1000, 3)]  # memory, secrets, CPUID
SECRET_GPA, SECRET_BYTES = 0x20000, 0x400


def entry(guid, data):
    return data + struct.pack('<H', len(data) + 18) + uuid.UUID(guid).bytes_le


def image(code):
    data = bytearray(guests.image(code))
    metadata = b'ASEV' + struct.pack('<III', 16 + 12 * len(SECTIONS), 1, len(SECTIONS))
    metadata += b''.join(struct.pack('<III', *section) for section in SECTIONS)
    data[0x8000:0x8000 + len(metadata)] = metadata
    table = entry(METADATA, struct.pack('<I', len(data) - 0x8000)) + entry(SECRET, struct.pack('<II', SECRET_GPA, SECRET_BYTES))
    table += entry(RESET, struct.pack('<I', 0xfffff000))
    table += struct.pack('<H', len(table) + 18) + uuid.UUID(FOOTER).bytes_le
    data[-32 - len(table):-32] = table
    return bytes(data)
