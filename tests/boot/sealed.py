# SPDX-License-Identifier: Apache-2.0
"""What a SEV guest that moves has: an owner for each vmm, who gives its migration helper a root key, and firmware variables by which Linux allows the move."""
import os
import pathlib
import struct
import subprocess
import threading
import time
import uuid

from boot import CACHE

CODE, VARS = (CACHE / 'firmware/trixie' / f'OVMF_{name}_4M.fd' for name in ('CODE', 'VARS'))
ROOT = '6cde44fe-0c86-40aa-8a8d-eb9926f7486b'
# What Linux reads at its boot, and OVMF of Debian 13 does not make.
NAME, GUID = 'SevLiveMigrationEnabled', uuid.UUID('0cf29b71-9e51-433a-a3b7-81f3ab16b875')
ATTRIBUTES = 7      # EFI_VARIABLE_NON_VOLATILE, BOOTSERVICE_ACCESS, RUNTIME_ACCESS
STORE_HEADER, VARIABLE_HEADER = 28, struct.Struct('<HBBIQ16sIII16s')     # VARIABLE_STORE_HEADER, AUTHENTICATED_VARIABLE_HEADER


def variables():
    """The template of Debian's OVMF, which has no variables, with this one."""
    data = bytearray(VARS.read_bytes())
    at = struct.unpack_from('<H', data, 0x30)[0] + STORE_HEADER
    name, value = (NAME + '\0').encode('utf-16-le'), b'\1'
    whole = VARIABLE_HEADER.pack(0x55aa, 0x3f, 0, ATTRIBUTES, 0, bytes(16), 0, len(name), len(value), GUID.bytes_le) + name + value
    assert data[at:at + len(whole)] == b'\xff' * len(whole)
    data[at:at + len(whole)] = whole
    return data


class Owner:
    """Of one launch."""
    def __init__(self, vmm, host, folder, root):
        self.vmm, self.path = vmm, pathlib.Path(folder)
        self.path.mkdir()
        (self.path / 'root').write_bytes(root)
        self.run('host', '--host', host, '--certificates', 'certs', '--generation', 'sev', '--out-root', 'ark')
        self.run('session', 'new', '--pdh', 'certs', '--root', 'ark', '--policy', '0x1', '--out-keys', 'keys', '--out-session', 'session', '--out-godh', 'godh')
        self.thread = threading.Thread(target=self.give, daemon=True)
        self.thread.start()

    def run(self, *words):
        subprocess.run([self.vmm, *words], cwd=self.path, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)

    def keys(self):
        """Of the launch's configuration."""
        return {'sev.session': self.path / 'session', 'sev.dh-cert': self.path / 'godh', 'sev.measurement': self.path / 'measure',
                'sev.secret': self.path / 'secret', 'sev.secret-header': self.path / 'header', 'sev.secret-address': 'fef07000', 'sev.secret-wait': 300}

    def give(self):
        """The root key, when the guest was measured."""
        measure = self.path / 'measure'
        while not measure.exists():
            time.sleep(0.1)
        self.run('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--entry', f'{ROOT}=root', '--out-header', 'header', '--out-secret', 'part')
        os.rename(self.path / 'part', self.path / 'secret')
