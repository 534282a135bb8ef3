#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm's attestation verbs against the openssl program and Python's hmac: what both find must agree.

usage: outside.py VMM DATA    (exit 77: the openssl program is not installed)
"""
import base64
import hashlib
import hmac
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

VMM, DATA = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve() / 'attestation'
GUID, GUID_BYTES = '736869e5-84f0-4973-92ec-06879ce3da0b', bytes.fromhex('e5696873f084734992ec06879ce3da0b')
NIL = '00000000-0000-0000-0000-000000000000'
TABLE_BYTES = bytes.fromhex('42f5741edd71664d963eef4287ff173b')


def openssl(*args, data=None):
    run = subprocess.run(['openssl', *map(str, args)], input=data, capture_output=True)
    return run.returncode == 0, run.stdout


def vmm(*args, status=0, data=b''):
    run = subprocess.run([VMM, *map(str, args)], capture_output=True, input=data)
    assert run.returncode == status, (args, run.returncode, run.stdout, run.stderr)
    return run.stdout.decode(), run.stderr.decode()


def der_int(little_endian):
    n = int.from_bytes(little_endian, 'little')
    raw = n.to_bytes(n.bit_length() // 8 + 1, 'big')
    return bytes([2, len(raw)]) + raw


def report_signature_agrees():
    """openssl verifies the same chain and the same signature; and refuses what vmm refuses."""
    ask, ark = (DATA / 'ask_ark_milan.pem').read_text().split('-----END CERTIFICATE-----\n')[:2]
    for name, text in ('ask.pem', ask), ('ark.pem', ark):
        pathlib.Path(name).write_text(text + '-----END CERTIFICATE-----\n')
    for which in 'ab':
        report, vcek = (DATA / f'milan-report-{which}.bin').read_bytes(), DATA / f'milan-vcek-{which}.der'
        r, s = (der_int(report[at:at + 72]) for at in (0x2a0, 0x2e8))
        pathlib.Path('sig').write_bytes(bytes([0x30, len(r + s)]) + r + s)
        pathlib.Path('signed').write_bytes(report[:0x2a0])
        _, pem = openssl('x509', '-inform', 'DER', '-in', vcek)
        pathlib.Path('vcek.pem').write_bytes(pem)
        pathlib.Path('key.pem').write_bytes(openssl('x509', '-in', 'vcek.pem', '-noout', '-pubkey')[1])
        assert openssl('verify', '-attime', 1750000000, '-CAfile', 'ark.pem', '-untrusted', 'ask.pem', 'vcek.pem')[0]
        assert openssl('dgst', '-sha384', '-verify', 'key.pem', '-signature', 'sig', 'signed')[0]
        common = ('--vcek', vcek, '--chain', DATA / 'ask_ark_milan.pem', '--at', '@1750000000')
        vmm('report', 'verify', DATA / f'milan-report-{which}.bin', *common)
        bad = bytearray(report)
        bad[0x90] ^= 1
        pathlib.Path('bad').write_bytes(bad)
        pathlib.Path('signed').write_bytes(bad[:0x2a0])
        assert not openssl('dgst', '-sha384', '-verify', 'key.pem', '-signature', 'sig', 'signed')[0]
        vmm('report', 'verify', 'bad', *common, status=1)


def cert_of(key):
    """A PDH certificate around the public half of an openssl key file."""
    spki = openssl('pkey', '-in', key, '-pubout', '-outform', 'DER')[1]
    x, y = spki[-96:-48], spki[-48:]
    head = struct.pack('<IBBHIII', 1, 0, 24, 0, 0x1003, 0x103, 2)
    point = x[::-1].ljust(72, b'\0') + y[::-1].ljust(72, b'\0')
    return (head + point).ljust(0x414, b'\0') + struct.pack('<II', 0x1002, 0x102) + bytes(512) + \
        struct.pack('<II', 0x1000, 0) + bytes(512)


def kdf(key, label, context):
    return hmac.new(key, b'\1\0\0\0' + label + b'\0' + context + b'\x80\0\0\0', hashlib.sha256).digest()[:16]


def ctr(key, iv, data):
    return openssl('enc', '-d', '-aes-128-ctr', '-K', key.hex(), '-iv', iv.hex(), data=data)[1]


def platform_opens_session():
    """The platform's half with openssl pkeyutl, hmac and openssl enc. Returns TEK and TIK."""
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', 'pdh.key')
    pathlib.Path('pdh').write_bytes(cert_of('pdh.key'))
    out = ('--out-keys', 'keys', '--out-session', 'session', '--out-godh', 'godh')
    _, warning = vmm('session', 'new', '--pdh', 'pdh', '--policy', '0x5', *out)
    assert 'not verified' in warning
    assert stat.S_IMODE(os.stat('keys').st_mode) == 0o600
    vmm('session', 'new', '--pdh', 'pdh', '--policy', 'nodbg,ess', '--out-keys', 'k', '--out-session', 's', '--out-godh',
        'g', status=2)
    keys, session, godh = (pathlib.Path(name).read_bytes() for name in ('keys', 'session', 'godh'))
    x, y = godh[0x14:0x44][::-1], godh[0x5c:0x8c][::-1]
    prefix = bytes.fromhex('3076301006072a8648ce3d020106052b8104002203620004')
    pathlib.Path('godh.der').write_bytes(prefix + x + y)
    z = openssl('pkeyutl', '-derive', '-inkey', 'pdh.key', '-peerform', 'DER', '-peerkey', 'godh.der')[1]
    nonce, wrap, iv, wrap_mac, policy_mac = session[:16], session[16:48], session[48:64], session[64:96], session[96:]
    master = kdf(z, b'sev-master-secret', nonce)
    assert hmac.new(kdf(master, b'sev-kik', b''), wrap, hashlib.sha256).digest() == wrap_mac
    assert ctr(kdf(master, b'sev-kek', b''), iv, wrap) == keys
    assert hmac.new(keys[16:], struct.pack('<I', 5), hashlib.sha256).digest() == policy_mac
    vmm('session', 'new', '--pdh', 'pdh', '--policy', '0x5', *out, status=2)    # nothing is overwritten
    assert pathlib.Path('keys').read_bytes() == keys
    vmm('session', 'new', '--pdh', 'pdh', '--policy', '5', '--out-keys', 'k2', '--out-session', 'session', '--out-godh',
        'g2', status=2)
    assert not pathlib.Path('k2').exists()                                      # all files or none
    return keys[:16], keys[16:]


def owner_trusts_only_the_measurement(tek, tik):
    digest, mnonce = hashlib.sha256(b'a guest').digest(), os.urandom(16)
    message = bytes([4, 1, 55, 21]) + struct.pack('<I', 5) + digest + mnonce
    pathlib.Path('measure').write_bytes(hmac.new(tik, message, hashlib.sha256).digest() + mnonce)
    common = ('session', 'verify', '--keys', 'keys', '--measure', 'measure', '--session', 'session')
    vmm(*common, '--digest', digest.hex(), '--policy', '5', '--firmware', '1.55.21')
    measure = pathlib.Path('measure').read_bytes()
    for text in base64.b64encode(measure), base64.encodebytes(measure), measure.hex().encode() + b'\n':
        pathlib.Path('measure.txt').write_bytes(text)
        vmm('session', 'verify', '--keys', 'keys', '--measure', 'measure.txt', '--digest', digest.hex(), '--policy', '0x5',
            '--firmware', '1.55.21')
    # The session in the form of sevctl, QEMU and libvirt; keys from a pipe; the policy in words.
    session = base64.encodebytes(pathlib.Path('session').read_bytes())
    pathlib.Path('session.b64').write_bytes(session)
    vmm('session', 'verify', '--keys', '-', '--measure', 'measure', '--session', 'session.b64', '--digest', digest.hex(),
        '--policy', 'nodbg,es', '--firmware', '1.55.21', data=tek + tik)
    vmm(*common, '--digest', digest.hex(), '--policy', 'nodbg', '--firmware', '1.55.21', status=1)
    vmm(*common, '--digest', digest.hex(), '--policy', '5', '--firmware', '1.55.20', status=1)
    vmm(*common, '--digest', digest.hex(), '--policy', '1', '--firmware', '1.55.21', status=1)
    vmm(*common, '--digest', hashlib.sha256(b'another').hexdigest(), '--policy', '5', '--firmware', '1.55.21', status=1)


def firmware_opens_secret(tek, tik):
    pathlib.Path('pass').write_bytes(b'correct horse')
    vmm('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--entry', f'{GUID}=pass', '--out-header', 'header',
        '--out-secret', 'secret')
    _, why = vmm('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--entry', f'{NIL}=pass', '--out-header', 'h',
                 '--out-secret', 's', status=2)
    assert 'GUID of zeros' in why                                               # guests never show such a secret
    header, secret, measure = (pathlib.Path(n).read_bytes() for n in ('header', 'secret', 'measure'))
    lengths = struct.pack('<II', len(secret), len(secret))
    mac = hmac.new(tik, b'\1' + header[:20] + lengths + secret + measure[:32], hashlib.sha256).digest()
    assert mac == header[20:]
    table = TABLE_BYTES + struct.pack('<I', 53) + GUID_BYTES + struct.pack('<I', 33) + b'correct horse'
    assert ctr(tek, header[4:20], secret) == table.ljust(64, b'\0')


def main():
    if not shutil.which('openssl'):
        print('skipped: the openssl program is not installed')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        report_signature_agrees()
        keys = platform_opens_session()
        owner_trusts_only_the_measurement(*keys)
        firmware_opens_secret(*keys)
        os.chdir('/')


main()
