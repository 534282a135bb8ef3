# SPDX-License-Identifier: Apache-2.0
"""A file that stands in for a firmware image of every kind of guest, and for a Linux kernel: what vmm looks for is there."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'measure'))
import ovmf  # noqa: E402


def contents():
    data = bytearray(ovmf.IMAGES['hashes.fd'])
    data[-16:] = b'\xeb\xfe' + b'\x90' * 14  # code at the reset vector
    data[0x1f1] = 1                          # setup sectors
    data[0x202:0x206] = b'HdrS'
    data[0x206:0x208] = b'\x0f\x02'            # protocol 2.15
    data[0x260:0x264] = bytes([0, 0, 1, 0])    # 64 KiB when it runs
    return bytes(data)


def write(path):
    pathlib.Path(path).write_bytes(contents())
    return str(path)
