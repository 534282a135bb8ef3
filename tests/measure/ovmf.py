# SPDX-License-Identifier: Apache-2.0
"""Makes firmware images with OVMF's tables, by the description in edk2, for tests of refusals."""
import struct
import uuid

GUIDS = {
    'footer': '96b582de-1fb2-45f7-baea-a366c55a082d',
    'reset': '00f771de-1a7e-4fcb-890e-68c77e2fb44e',
    'hashes': '7255371f-3a3b-4b04-927b-1da6efa8d454',
    'metadata': 'dc886566-984a-4798-a75e-5585a7bf67cc',
}
SIZE, METADATA_AT = 0x10000, 0x8000
SNP = ((0x800000, 0x9000, 1), (0x80d000, 0x1000, 2), (0x80e000, 0x1000, 3), (0x811000, 0xf000, 1))
HASHES = SNP + ((0x810000, 0x1000, 0x10),)


def guid(name):
    return uuid.UUID(GUIDS[name]).bytes_le


def entry(name, data, length=None):
    return data + struct.pack('<H', len(data) + 18 if length is None else length) + guid(name)


def image(*entries, sections=None, signature=b'ASEV', count=None, total=None):
    """entries: lowest first, as they lie in the image."""
    data = bytearray(b'\xff' * SIZE)
    if sections is not None:
        words = b''.join(struct.pack('<III', *s) for s in sections)
        header = signature + struct.pack('<III', 16 + len(words), 1, len(sections) if count is None else count)
        data[METADATA_AT:METADATA_AT + len(header + words)] = header + words
        entries += (entry('metadata', struct.pack('<I', SIZE - METADATA_AT)),)
    table = b''.join(entries)
    table += struct.pack('<H', len(table) + 18 if total is None else total) + guid('footer')
    data[-32 - len(table):-32] = table
    return bytes(data)


RESET = entry('reset', struct.pack('<I', 0x80b004))
NO_AP = entry('reset', struct.pack('<I', 0))
PLACE = entry('hashes', struct.pack('<II', 0x810c00, 0x400))

IMAGES = {
    'tableless.fd': bytes(SIZE),
    'partial-page.fd': bytes(SIZE - 1),
    'es-only.fd': image(RESET),
    'reset-missing.fd': image(PLACE, sections=SNP),
    'ap-missing.fd': image(NO_AP, sections=SNP),
    'snp.fd': image(RESET, sections=SNP),
    'hashes.fd': image(PLACE, RESET, sections=HASHES),
    'hashes-elsewhere.fd': image(entry('hashes', struct.pack('<II', 0x820c00, 0x400)), RESET, sections=HASHES),
    'hashes-small.fd': image(entry('hashes', struct.pack('<II', 0x810c00, 0x80)), RESET, sections=HASHES),
    'hashes-crooked.fd': image(entry('hashes', struct.pack('<II', 0x810c04, 0x400)), RESET, sections=HASHES),
    'table-long.fd': image(RESET, sections=SNP, total=0xffff),
    'entry-long.fd': image(entry('reset', b'\0\0\0\0', 0x4000), sections=SNP),
    'entry-short.fd': image(entry('reset', b'\0\0'), sections=SNP),
    'entry-twice.fd': image(RESET, RESET, sections=SNP),
    'metadata-unsigned.fd': image(RESET, sections=SNP, signature=b'VESA'),
    'metadata-countless.fd': image(RESET, sections=SNP, count=1000),
    'metadata-far.fd': image(RESET, entry('metadata', struct.pack('<I', SIZE + 1))),
    'section-unknown.fd': image(RESET, sections=SNP + ((0x830000, 0x1000, 7),)),
    'section-overlap.fd': image(RESET, sections=SNP + ((0x80d000, 0x1000, 1),)),
    'section-high.fd': image(RESET, sections=SNP + ((0xfff00000, 0x1000, 1),)),
    'section-crooked.fd': image(RESET, sections=SNP + ((0x830800, 0x1000, 1),)),
    'sections-many.fd': image(RESET, sections=[(0x800000 + i * 0x1000, 0x1000, 1) for i in range(33)]),
}

# A byte of the fifth page differs; of the first one too.
IMAGES['hashes-changed.fd'] = IMAGES['hashes.fd'][:0x4123] + b'\0' + IMAGES['hashes.fd'][0x4124:]
IMAGES['hashes-changed-twice.fd'] = b'\0' + IMAGES['hashes-changed.fd'][1:]
