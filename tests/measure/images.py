# SPDX-License-Identifier: Apache-2.0
"""Finds the firmware images for which digests are known, by their SHA-256: they come from packages and are not
in the tree. Searched: $VMM_IMAGES, the cache of scripts/setup, /usr/share, and ../shared beside the checkout."""
import hashlib
import lzma
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = {  # by the beginning of a name
    'debian12': 'package ovmf of Debian 12',
    'debian13': 'package ovmf of Debian 13',
    'sid': 'packages ovmf-generic, ovmf-amdsev and ovmf-inteltdx of Debian sid',
}


def places():
    given, beside = os.environ.get('VMM_IMAGES'), ROOT.parent / 'shared/data/firmware'
    for place in [given, CACHE, '/usr/share/ovmf', '/usr/share/OVMF', beside]:
        if place and pathlib.Path(place).is_dir():
            yield pathlib.Path(place)


def candidates():
    for place in places():
        for path in sorted(place.rglob('*')):
            if path.is_file() and path.name.endswith(('.fd', '.fd.xz')) and path.stat().st_size <= 64 << 20:
                yield path


def find(wanted, work):
    """wanted: {name: sha256}; returns {name: path}. What is packed is unpacked into the folder work."""
    found = {}
    for path in candidates():
        data = path.read_bytes()
        if path.suffix == '.xz':
            data = lzma.decompress(data)
        digest = hashlib.sha256(data).hexdigest()
        for name, sha256 in wanted.items():
            if sha256 == digest and name not in found:
                found[name] = path
                if path.suffix == '.xz':
                    found[name] = work / name
                    found[name].write_bytes(data)
        if len(found) == len(wanted):
            break
    return found


def generated(seed, size):
    """kernel.bin and initrd.bin of tests/data/expected-digests.json."""
    data = b''.join(hashlib.sha256(seed + i.to_bytes(8, 'little')).digest() for i in range(size // 32 + 1))
    return data[:size]
