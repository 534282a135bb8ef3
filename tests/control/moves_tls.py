#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests move over TLS: who shows which certificate, and what a stranger on the way sees. The openssl program issues the certificates, and is
the other side of a handshake. Exit 77: it is not installed."""
import contextlib
import functools
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import monitor
import movers
from monitor import guests

KEY = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2')


def openssl(*words, **how):
    return subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True, text=True, timeout=monitor.LIMIT, **how)


@functools.cache
def authority(name):
    """A folder with its certificate, and with those that it has issued."""
    folder = pathlib.Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, folder)
    openssl('req', '-x509', *KEY, '-subj', f'/CN={name}', '-keyout', folder / 'ca.key', '-out', folder / 'ca.pem')
    for host, names in (('here', 'DNS:here.test,IP:127.0.0.1'), ('there', 'DNS:there.test,IP:127.0.0.1'), ('other', 'DNS:other.test')):
        openssl('req', '-x509', *KEY, '-CA', folder / 'ca.pem', '-CAkey', folder / 'ca.key', '-subj', f'/CN={host}', '-addext',
                f'subjectAltName={names}', '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', folder / f'{host}.key', '-out',
                folder / f'{host}.pem')
    return folder


def keys(host, issuer='ours', trusted='ours', **more):
    """The configuration of a side that shows the issuer's certificate for a host."""
    own, others = authority(issuer), authority(trusted)
    sets = {'authority': others / 'ca.pem', 'certificate': own / f'{host}.pem', 'key': own / f'{host}.key', **more}
    return [f'migrate.tls-{key}={value}' for key, value in sets.items()]


class Relay:
    """Hands on what comes over TCP, both ways, and keeps it. change() makes another record of each that the target sends."""
    def __init__(self, test, port, change=None):
        self.change = change
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port, self.to, self.seen, self.socks = self.listener.getsockname()[1], port, bytearray(), []
        threading.Thread(target=self.serve, daemon=True).start()
        test.addCleanup(self.close)

    def close(self):
        for sock in [self.listener, *self.socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def serve(self):
        with contextlib.suppress(OSError):
            source, _ = self.listener.accept()
            target = socket.create_connection(('127.0.0.1', self.to))
            self.socks = [source, target]
            for from_, to in ((source, target), (target, source)):
                threading.Thread(target=self.hand_on, args=(from_, to), daemon=True).start()

    def hand_on(self, from_, to):
        with contextlib.suppress(OSError):
            for data in records(from_) if self.change and from_ is self.socks[1] else pieces(from_):
                self.seen += data
                to.sendall(self.change(data) if self.change and from_ is self.socks[1] else data)
            to.shutdown(socket.SHUT_WR)


def pieces(sock):
    while data := sock.recv(65536):
        yield data


def records(sock):
    """Of TLS: a type, a version, a length, and what that says."""
    with sock.makefile('rb') as file:
        while len(head := file.read(5)) == 5:
            yield head + file.read(int.from_bytes(head[3:]))


class Flip:
    """Changes a bit of the n-th record that holds a frame without payload: 32 bytes, the record's own type, and its tag."""
    def __init__(self, number):
        self.left = number

    def __call__(self, data):
        if len(data) == 5 + 32 + 1 + 16:
            self.left -= 1
            if self.left == 0:
                return data[:20] + bytes([data[20] ^ 1]) + data[21:]
        return data


class Tls(unittest.TestCase):
    def target(self, *sets):
        """A target at a port of the kernel's choice."""
        with socket.create_server(('127.0.0.1', 0)) as server:
            self.port = server.getsockname()[1]
            return movers.Side(self, *sets, address=f'fd:{server.fileno()}', pass_fds=[server.fileno()])

    def moves(self, source, target, port=None, host='127.0.0.1'):
        source.control.call('migrate', uri=f'tcp:{host}:{port or self.port}')
        source.ends('completed')
        monitor.until(lambda: target.state() == 'running')

    def fails(self, source, words, uri=None):
        source.control.call('migrate', uri=uri or f'tcp:127.0.0.1:{self.port}')
        self.assertIn(words, source.ends('failed')['error-desc'])
        self.assertEqual(source.state(), 'running')

    def test_nothing_of_the_stream_can_be_read_on_the_way(self):
        for here, there, legible in (([], [], True), (keys('here'), keys('there'), False)):
            with self.subTest(legible=legible):
                target = self.target(*there)
                relay = Relay(self, self.port)
                self.moves(movers.Side(self, *here), target, relay.port)
                for words in (b'VMM1', b'machine.vcpus'):
                    self.assertEqual(words in relay.seen, legible, words)

    def test_who_has_another_authority_is_turned_away_and_the_target_waits(self):
        target = self.target(*keys('there'))
        self.fails(movers.Side(self, *keys('here', issuer='theirs')), 'unknown ca')
        self.fails(movers.Side(self, *keys('here', trusted='theirs')), 'certificate is not accepted: ')
        self.fails(movers.Side(self), 'the connection to the other vmm is over')
        self.assertEqual(target.state(), 'inmigrate')
        self.moves(movers.Side(self, *keys('here')), target)

    def test_a_target_without_tls_gets_nothing(self):
        target = self.target()
        self.fails(movers.Side(self, *keys('here')), 'TLS with the other vmm: ')
        self.assertEqual(target.state(), 'inmigrate')

    def test_the_certificate_is_for_the_other_side(self):
        target = self.target(*keys('other', name='here.test'))
        self.fails(movers.Side(self, *keys('here')), 'certificate is not accepted: IP address mismatch')
        self.fails(movers.Side(self, *keys('here', name='there.test')), 'certificate is not accepted: hostname mismatch')
        self.fails(movers.Side(self, *keys('there', name='other.test')), 'bad certificate')
        self.moves(movers.Side(self, *keys('here', name='other.test')), target)

    def test_a_socket_file_has_no_name(self):
        pair = movers.Pair(self, here=keys('here'), there=keys('there'))
        answer = pair.source.control.ask('migrate', uri=pair.address)
        self.assertIn('migrate.tls-name', answer['error']['desc'])
        named = movers.Side(self, *keys('here', name='there.test'))
        named.control.call('migrate', uri=pair.address)
        named.ends('completed')

    def test_a_doubt_ends_over_tls(self):
        pair = movers.Pair(self, here=keys('here', name='there.test'), there=keys('there'))
        pair.migrate()
        pair.source.ends('completed')
        # A target that owns the guest answers whoever may ask it, and nobody else.
        stranger = openssl_client(pair.address, authority('theirs'))
        self.assertIn('unknown ca', stranger.stdout + stranger.stderr)
        friend = openssl_client(pair.address, authority('ours'))
        self.assertIn('Verify return code: 0 (ok)', friend.stdout)
        monitor.until(lambda: pair.target.state() == 'running')

    def test_a_damaged_record_is_nobody_s_word(self):
        """READY and DONE are the target's frames without payload. Whoever is on the way can change them, but not decide who has the guest."""
        for number, end in ((1, 'failed'), (2, 'in-doubt')):
            with self.subTest(end=end):
                target = self.target(*keys('there'))
                source = movers.Side(self, *keys('here'))
                source.control.call('migrate', uri=f'tcp:127.0.0.1:{Relay(self, self.port, Flip(number)).port}')
                self.assertIn('TLS with the other vmm: ', source.ends(end)['error-desc'])
                if end == 'failed':
                    self.assertEqual(source.state(), 'running')
                    monitor.until(lambda target=target: target.moves().get('status') == 'in-doubt')
                    continue
                monitor.until(lambda target=target: target.state() == 'running')
                self.assertEqual((source.records()[0], target.records()[0]), (['gave'], ['took']))
                source.control.call('migrate', uri=f'tcp:127.0.0.1:{self.port}', resume=True)
                source.ends('completed')

    def test_openssl_agrees_with_a_target(self):
        pair = movers.Pair(self, there=keys('there'))
        shown = openssl_client(pair.address, authority('ours'))
        self.assertIn('TLSv1.3', shown.stdout)
        self.assertNotIn('unexpected eof', shown.stderr)
        self.assertIn('Verify return code: 0 (ok)', shown.stdout)
        older = openssl_client(pair.address, authority('ours'), '-tls1_2')
        self.assertIn('alert protocol version', older.stderr)
        nobody = subprocess.run(['openssl', 's_client', '-ign_eof', '-unix', pair.address[5:]], input='x' * 100, capture_output=True, text=True,
                                errors='replace', timeout=monitor.LIMIT)
        self.assertIn('certificate required', nobody.stderr)
        self.assertEqual(pair.target.state(), 'inmigrate')

    def test_files_that_do_not_serve(self):
        ours, theirs = authority('ours'), authority('theirs')
        broken = guests.Folder(self).path / 'broken'
        broken.write_text('-----BEGIN CERTIFICATE-----\nno\n')
        for sets, words in (({'authority': broken}, 'migrate.tls-authority'), ({'certificate': broken}, 'migrate.tls-certificate'),
                            ({'key': broken}, 'migrate.tls-key'), ({'key': theirs / 'here.key'}, 'key values mismatch')):
            with self.subTest(sets=sets):
                words_of = {'authority': ours / 'ca.pem', 'certificate': ours / 'here.pem', 'key': ours / 'here.key', **sets}
                with self.assertRaisesRegex(AssertionError, f'(?s)vmm ended: .*{words}'):
                    monitor.Machine(self, guests.SPIN, *(f'migrate.tls-{key}={value}' for key, value in words_of.items()))


def openssl_client(address, folder, *words):
    """s_client sends what is no frame, so that the target hangs up."""
    own = ('-CAfile', authority('ours') / 'ca.pem', '-cert', folder / 'here.pem', '-key', folder / 'here.key')
    return subprocess.run(['openssl', 's_client', '-ign_eof', '-unix', address[5:], *own, *words], input='x' * 100, capture_output=True, text=True,
                          errors='replace', timeout=monitor.LIMIT)


if __name__ == '__main__':
    if not shutil.which('openssl'):
        print('skipped: there is no openssl program')
        sys.exit(77)
    unittest.main()
