#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""idblock.py VMM DATA: ID blocks that vmm makes, taken apart here by SNP ABI 8.18 and verified by openssl; and what vmm
says of blocks that do not fit. Exit 77: there is no openssl."""
import base64
import hashlib
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import ovmf


def call(*words, cwd, fails=None):
    done = subprocess.run(words, cwd=cwd, capture_output=True, timeout=60)
    text = done.stderr.decode()
    if fails is None:
        assert done.returncode == 0, (words, text)
    else:
        status, part = fails
        assert done.returncode == status and part in text, (words, done.returncode, text)
    return done.stdout


def der_integer(number):
    data = number.to_bytes(number.bit_length() // 8 + 1, 'big')
    return b'\x02' + bytes([len(data)]) + data


def verify(folder, pem, signed, sig):
    """sig: 512 bytes, r and s little-endian in 72 bytes each."""
    assert not any(sig[144:])
    numbers = der_integer(int.from_bytes(sig[:72], 'little')) + der_integer(int.from_bytes(sig[72:144], 'little'))
    (folder / 'sig.der').write_bytes(b'\x30' + bytes([len(numbers)]) + numbers)
    (folder / 'signed').write_bytes(signed)
    call('openssl', 'ec', '-in', pem, '-pubout', '-out', 'public.pem', cwd=folder)
    call('openssl', 'dgst', '-sha384', '-verify', 'public.pem', '-signature', 'sig.der', 'signed', cwd=folder)


def public(folder, pem):
    """The 1028 bytes of a public key, from the text that openssl prints for the private one."""
    der = call('openssl', 'ec', '-in', pem, '-pubout', '-outform', 'DER', cwd=folder)
    x, y = der[-96:-48], der[-48:]
    return struct.pack('<I', 2) + x[::-1] + bytes(24) + y[::-1] + bytes(24) + bytes(880)


def check_made(folder, digest):
    block, auth = (folder / 'block').read_bytes(), (folder / 'auth').read_bytes()
    assert (len(block), len(auth)) == (96, 4096)
    assert block == bytes.fromhex(digest) + b'family'.ljust(16, b'\0') + bytes(16) + struct.pack('<IIQ', 1, 7, 0xb0000)
    assert struct.unpack_from('<II', auth) == (1, 1) and not any(auth[8:0x40])
    assert auth[0x240:0x240 + 1028] == public(folder, 'id.pem')
    assert auth[0x880:0x880 + 1028] == public(folder, 'author.pem')
    verify(folder, 'id.pem', block, auth[0x40:0x240])
    verify(folder, 'author.pem', auth[0x240:0x240 + 1028], auth[0x680:0x880])


def main():
    vmm, data = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    if not shutil.which('openssl'):
        print('skipped: openssl is not installed')
        sys.exit(77)
    guest = ('--set', 'sev.type=sev-snp', '--set', 'firmware=snp.fd', '--set', 'sev.policy=0xb0000')
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'snp.fd').write_bytes(ovmf.IMAGES['snp.fd'])
        for pem in ('id.pem', 'author.pem'):
            call('openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', pem, cwd=folder)
        digest = json.loads(call(vmm, 'measure', '--json', *guest, cwd=folder))['digest']
        names = ('--family-id', b'family'.ljust(16, b'\0').hex(), '--guest-svn', '7')
        keys = ('--id-key', 'id.pem', '--author-key', 'author.pem', '--out-block', 'block', '--out-auth', 'auth')
        call(vmm, 'idblock', 'make', *guest, *names, *keys, cwd=folder)
        check_made(folder, digest)
        call(vmm, 'idblock', 'make', '--digest', digest, *keys, cwd=folder, fails=(2, 'already exists'))
        check_made(folder, digest)
        key = (folder / 'id.pem').read_bytes()
        call(vmm, 'idblock', 'make', '--digest', digest, *keys[:4], '--out-block', 'new', '--out-auth', 'id.pem',
             cwd=folder, fails=(2, 'already exists'))
        assert (folder / 'id.pem').read_bytes() == key and not (folder / 'new').exists()
        for name in ('block', 'auth'):
            (folder / name).unlink()
        call(vmm, 'idblock', 'make', '--digest', digest, '--policy', '0xb0000', *names, *keys, cwd=folder)
        check_made(folder, digest)
        shown = call(vmm, 'idblock', 'show', 'block', 'auth', cwd=folder).decode()
        assert hashlib.sha384(public(folder, 'author.pem')).hexdigest() in shown and digest in shown

        block = ('--set', 'sev.id-block=block', '--set', 'sev.id-auth=auth')
        call(vmm, 'idblock', 'check', 'block', 'auth', *guest, cwd=folder)
        call(vmm, 'measure', *guest, *block, cwd=folder)
        (folder / 'block.b64').write_bytes(base64.encodebytes((folder / 'block').read_bytes()).replace(b'\n', b''))
        call(vmm, 'idblock', 'check', 'block.b64', 'auth', cwd=folder)
        two = ('--set', 'machine.vcpus=2')
        call(vmm, 'idblock', 'check', 'block', 'auth', *guest, *two, cwd=folder, fails=(1, 'BAD_MEASUREMENT'))
        call(vmm, 'measure', *guest, *block, *two, cwd=folder, fails=(2, 'BAD_MEASUREMENT'))
        call(vmm, 'idblock', 'check', 'block', str(data / 'attestation/id-auth-example.bin'), cwd=folder,
             fails=(1, 'BAD_SIGNATURE'))
        call(vmm, 'idblock', 'check', 'block', 'block', cwd=folder, fails=(2, 'has 96 bytes'))
        call(vmm, 'idblock', 'make', *guest, '--id-key', 'snp.fd', *keys[2:], cwd=folder, fails=(2, 'limit is 16384'))
        call(vmm, 'idblock', 'make', *guest, '--digest', digest, *keys, cwd=folder, fails=(2, 'stands alone'))
        call(vmm, 'idblock', 'make', '--digest', digest[2:], *keys, cwd=folder, fails=(2, '96 hexadecimal'))
        call(vmm, 'idblock', 'make', *keys, cwd=folder, fails=(2, 'which guest'))
        call(vmm, 'idblock', 'make', '--digest', digest, '--policy', '0x1', *keys, cwd=folder, fails=(2, 'bit 17'))
        call(vmm, 'idblock', 'make', '--digest', digest, '--guest-svn', '0x100000000', *keys, cwd=folder,
             fails=(2, 'up to 0xffffffff'))
        assert sorted(p.name for p in folder.iterdir() if p.name.startswith(('block', 'auth'))) == \
            ['auth', 'author.pem', 'block', 'block.b64'], 'a draft was left behind'
    print('ID blocks: made, taken apart, verified by openssl; refusals as they should be')


main()
