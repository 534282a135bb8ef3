#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guest's life as a client of the control socket steers it and hears of it, and the part of a confidential guest's owner."""
import base64
import contextlib
import json
import unittest

import monitor
from monitor import guests


class Life(unittest.TestCase):
    def names(self, client):
        names = [event['event'] for event in client.events if event['event'] != '__VMM_LAUNCH']
        client.events.clear()
        return names

    def test_stop_and_cont_tell_all_clients(self):
        machine = monitor.Machine(self)
        one, two, silent = machine.monitor(), machine.monitor(), machine.client()
        monitor.until(lambda: one.call('query-status')['running'])
        self.names(one)
        for command, event, status in (('stop', 'STOP', 'paused'), ('cont', 'RESUME', 'running')):
            self.assertEqual(one.call(command), {})
            told = [told for told in one.events if told['event'] == event]
            self.assertEqual(len(told), 1)
            self.assertEqual(sorted(told[0]), ['event', 'timestamp'])
            self.assertEqual(sorted(told[0]['timestamp']), ['microseconds', 'seconds'])
            self.names(one)
            self.assertEqual(two.wait_event(event)['event'], event)
            self.assertEqual(one.call(command), {})
            self.assertEqual(self.names(one), [], 'the second time nothing happens')
            self.assertEqual(one.call('query-status'), {'running': command == 'cont', 'status': status})
        silent.send(monitor.NEGOTIATE)
        self.assertEqual(silent.line(), b'{"return": {}}\r\n', 'no event before it')

    def test_reset(self):
        client = monitor.Machine(self).monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        self.names(client)
        client.call('system_reset')
        self.assertIn('RESET', self.names(client))
        self.assertEqual(client.call('query-status'), {'running': True, 'status': 'running'})
        client.call('stop')
        client.call('system_reset')
        reset = [event for event in client.events if event['event'] == 'RESET']
        self.assertEqual(reset[0]['data'], {'guest': False, 'reason': 'host-qmp-system-reset'})
        self.assertEqual(client.call('query-status'), {'running': False, 'status': 'prelaunch'})

    def test_paused_from_the_start(self):
        client = monitor.Machine(self, guests.SPIN, 'run.paused=true').monitor()
        self.assertEqual(client.call('query-status'), {'running': False, 'status': 'prelaunch'})
        client.call('stop')
        self.assertEqual(client.call('query-status'), {'running': False, 'status': 'prelaunch'})
        client.call('cont')
        self.assertIn('RESUME', self.names(client))
        self.assertEqual(client.call('query-status'), {'running': True, 'status': 'running'})

    def test_quit(self):
        machine = monitor.Machine(self)
        client = machine.monitor()
        client.send('{"execute": "quit", "id": "q"}')
        shutdown, answer = json.loads(client.line()), None
        while shutdown['event'] != 'SHUTDOWN':
            shutdown = json.loads(client.line())
        answer = client.line()
        self.assertEqual(shutdown['data'], {'guest': False, 'reason': 'host-qmp-quit'})
        self.assertEqual(answer, b'{"return": {}, "id": "q"}\r\n')
        self.assertEqual(client.line(), b'')
        self.assertEqual(machine.status(), 0)
        self.assertFalse(machine.path.exists())

    def test_events_come_before_the_answer(self):
        """Each command with what is heard until it is answered; vmm's own events are left out."""
        cause = {'guest': False, 'reason': 'host-qmp-system-reset'}
        client = monitor.Machine(self).monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        self.names(client)
        for command, expected in [
                ('stop', [('STOP', None)]), ('stop', []), ('system_reset', [('RESET', cause)]), ('stop', []),
                ('system_powerdown', [('POWERDOWN', None)]), ('cont', [('RESUME', None)]), ('cont', []),
                ('system_reset', [('RESET', cause)]), ('stop', [('STOP', None)]), ('cont', [('RESUME', None)])]:
            self.assertEqual(client.call(command), {})
            heard = [(event['event'], event.get('data')) for event in client.events if event['event'] != '__VMM_LAUNCH']
            self.assertEqual(heard, expected, command)
            client.events.clear()

    def test_powerdown(self):
        machine = monitor.Machine(self, guests.BUTTON)
        client = machine.monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        self.names(client)
        with contextlib.suppress(OSError):  # the connection ends with the guest
            while client.ask('system_powerdown') is not None:  # a press before the guest looks is lost
                pass
        self.assertEqual(self.names(client)[0], 'POWERDOWN')
        self.assertEqual(machine.status(), 0)

    def test_sigterm(self):
        machine = monitor.Machine(self, guests.SPIN, 'run.grace=0')
        client = machine.monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        machine.vmm.terminate()
        self.assertEqual(client.wait_event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-signal'})
        self.assertEqual(client.line(), b'')
        machine.status()
        self.assertFalse(machine.path.exists())

    def test_guest_that_ends_itself(self):
        machine = monitor.Machine(self, guests.POWER_OFF, 'run.paused=true')
        client = machine.monitor()
        client.call('cont')
        self.assertEqual(client.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-shutdown'})
        self.assertEqual(machine.status(), 0)

    def test_guest_that_crashes(self):
        machine = monitor.Machine(self, guests.TRIPLE_FAULT, 'run.paused=true')
        client = machine.monitor()
        client.call('cont')
        self.assertEqual(client.wait_event('GUEST_PANICKED')['data'], {'action': 'poweroff'})
        self.assertEqual(client.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-panic'})
        self.assertEqual(machine.status(), 3)


SECRET = b'only for the guest: 0123456789ab'


def coded(data):
    return base64.b64encode(data).decode()


class Sev(unittest.TestCase):
    def paused(self, kind, *sets, code=guests.SPIN, **how):
        """A guest whose launch has come to where its owner may judge it."""
        machine = monitor.Machine(self, code, f'sev.type={kind}', 'run.paused=true', *sets, **how)
        client = machine.monitor()
        state = 'launch-update' if kind == 'sev-snp' else 'launch-secret'
        monitor.until(lambda: client.call('query-sev')['state'] == state)
        self.assertEqual(client.call('query-status'), {'running': False, 'status': 'prelaunch'})
        return machine, client

    def test_sev_es_guest_that_terminates(self):
        """By the GHCB's MSR protocol, for reason 12 of set 1."""
        code = bytes.fromhex('66b9300101c0 66b800110c00 6631d2 0f30 f30f01d9') + guests.SPIN  # wrmsr c0010130, 0xc1100; vmgexit
        machine, client = self.paused('sev-es', code=code)
        client.call('cont')
        self.assertEqual(client.wait_event('GUEST_PANICKED')['data'],
                         {'action': 'poweroff', 'info': {'type': 'sev', 'set': 1, 'code': 12}})
        self.assertEqual(client.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-panic'})
        self.assertEqual(machine.status(), 3)

    def test_owner_sends_a_secret(self):
        """From the session to the guest that says what it was sent; the owner has vmm, too."""
        for kind, policy in (('sev', 1), ('sev-es', 5)):
            with self.subTest(kind=kind):
                owner = monitor.Owner(self, policy)
                with open(owner.path / 'console', 'wb') as console:
                    machine, client = self.paused(kind, *owner.sets, code=monitor.TELLS[kind], stdout=console)
                (owner.path / 'measure').write_bytes(base64.b64decode(client.call('query-sev-launch-measure')['data']))
                (owner.path / 'plain').write_bytes(SECRET)
                owner.vmm('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--raw', 'plain', '--out-header', 'header',
                          '--out-secret', 'secret')
                header, secret = ((owner.path / name).read_bytes() for name in ('header', 'secret'))
                wrong = bytes([header[0], header[1], header[2], header[3], header[4] ^ 1]) + header[5:]
                self.assertIn('error', client.ask('sev-inject-launch-secret', packet_header=coded(wrong), secret=coded(secret)))
                self.assertEqual(client.call('sev-inject-launch-secret', packet_header=coded(header), secret=coded(secret)), {})
                self.assertEqual(client.call('__vmm_query-launch')['secrets'], 1)
                client.send('{"execute": "cont"}')
                self.assertEqual(client.wait_event('RESUME').keys(), {'event', 'timestamp'})
                with contextlib.suppress(OSError):
                    while client.answer():
                        pass
                monitor.assert_told(machine, kind, owner.path / 'console', SECRET)

    def test_what_the_owner_sends_is_checked(self):
        _, client = self.paused('sev')
        header, secret = coded(bytes(52)), coded(bytes(32))
        for arguments, words in [
                ({'packet_header': '!', 'secret': secret}, "Base64 data '!' is not valid"),
                ({'packet_header': secret, 'secret': secret}, 'the packet header has 32 bytes; it must have 52'),
                ({'packet_header': header, 'secret': coded(b'short')}, 'has 5 bytes, which is not a multiple of 16'),
                ({'packet_header': header, 'secret': coded(bytes(16400))}, 'has 16400 bytes; one launch secret has at most 16384'),
                ({'packet_header': header, 'secret': secret, 'gpa': -1},
                 "32 bytes at 0xffffffffffffffff do not lie in the guest's memory")]:
            self.assertEqual(client.ask('sev-inject-launch-secret', **arguments)['error'], {'class': 'GenericError', 'desc': words})
        self.assertIn('error', client.ask('sev-inject-launch-secret', packet_header=header, secret=secret), 'a wrong MAC')
        client.call('cont')
        self.assertEqual(client.ask('sev-inject-launch-secret', packet_header=header, secret=secret)['error']['desc'],
                         'SEV: Not in correct state. (LSECRET) running')

    def test_facts_of_a_sev_guest(self):
        _, client = self.paused('sev')
        measure = base64.b64decode(client.call('query-sev-launch-measure')['data'], validate=True)
        self.assertEqual(len(measure), 48)
        client.call('cont')
        self.assertIn('RESUME', [event['event'] for event in client.events])
        sev = client.call('query-sev')
        self.assertEqual((sev['enabled'], sev['state'], sev['sev-type'], sev['policy']), (True, 'running', 'sev', 1))
        self.assertGreater(sev['handle'], 0)
        digest = client.call('__vmm_query-digest')
        self.assertEqual(digest['expected'], digest['actual'])
        rows = client.call('__vmm_query-launch')['rows']
        self.assertTrue(all(row['state'] == 'done' for row in rows), rows)
        self.assertEqual(base64.b64decode(client.call('query-sev-launch-measure')['data']), measure, 'as QEMU keeps it')

    def test_attestation_report(self):
        _, client = self.paused('sev')
        client.call('cont')
        nonce = bytes(range(16))
        report = base64.b64decode(client.call('query-sev-attestation-report', mnonce=coded(nonce))['data'])
        self.assertEqual((len(report), report[:16]), (0xd0, nonce))
        self.assertEqual(report[16:48].hex(), client.call('__vmm_query-digest')['actual'])
        for mnonce, words in ((coded(bytes(15)), 'SEV: mnonce must be 16 bytes (got 15)'), ('!', "Base64 data '!' is not valid")):
            self.assertEqual(client.ask('query-sev-attestation-report', mnonce=mnonce)['error'],
                             {'class': 'GenericError', 'desc': words})

    def test_reset_measures_again(self):
        _, client = self.paused('sev-es')
        client.call('cont')
        before = client.call('__vmm_query-digest')
        client.call('system_reset')
        self.assertEqual(client.call('__vmm_query-digest'), before)
        self.assertEqual(client.call('__vmm_query-launch')['resets'], 1)

    def test_capabilities(self):
        client = monitor.Machine(self, guests.SPIN, 'sev.type=sev').monitor()
        answer = client.call('query-sev-capabilities')
        self.assertEqual(len(base64.b64decode(answer['pdh'])), 0x824)
        self.assertEqual(len(base64.b64decode(answer['cert-chain'])), 3 * 0x824)
        self.assertEqual(answer['cbitpos'], 51)
        self.assertEqual(client.ask('dump-guest-memory', paging=False, protocol='file:/nowhere')['error'], {
            'class': 'GenericError', 'desc': 'the guest is confidential: the host sees only ciphertext of its private memory, so a '
                                             'dump would be worthless'})

    def test_snp(self):
        machine, client = self.paused('sev-snp')
        sev = client.call('query-sev')
        self.assertEqual((sev['enabled'], sev['sev-type'], sev['snp-policy']), (True, 'sev-snp', 0x30000))
        for command, arguments, words in [
                ('query-sev-launch-measure', {}, 'SEV launch measurement is not available'),
                ('query-sev-attestation-report', {'mnonce': coded(bytes(16))}, 'SEV is not enabled'),
                ('sev-inject-launch-secret', {'packet_header': '', 'secret': ''}, 'SEV not enabled for guest')]:
            self.assertEqual(client.ask(command, **arguments)['error'], {'class': 'GenericError', 'desc': words})
        client.call('cont')
        pages = client.call('__vmm_query-pages')
        self.assertIn(pages.pop('held-twice-bytes'), (0, None))
        self.assertEqual(pages, {'ram-bytes': 16 << 20, 'private-bytes': 16 << 20, 'shared-bytes': 0,
                                 'migration-allowed': None, 'record': {'ranges': 0, 'ranges-max': 65536, 'refused': 0,
                                                                       'complete': True, 'doubt': None, 'conversions': 0,
                                                                       'conversions-per-second': 0, 'flips': 0, 'storms': 0}})
        found = client.call('__vmm_query-map', start=4096)
        self.assertEqual({key: found[key] for key in ('ranges', 'next', 'record', 'devices', 'devices-complete', 'flippers')},
                         {'ranges': [], 'next': None, 'record': pages['record'], 'devices': [], 'devices-complete': True, 'flippers': []})
        self.assertEqual([region['kind'] for region in found['regions']], ['ram', 'firmware'])
        self.assertEqual(found['regions'][0], {'kind': 'ram', 'gpa': '0x0', 'size-bytes': 16 << 20})
        self.assertEqual(len(bytes.fromhex(client.call('__vmm_query-digest')['expected'])), 48)

    def test_conversions_are_told_by_map_and_event(self):
        def report(at, pages, attributes):  # mov eax, ebx, ecx, edx: KVM_HC_MAP_GPA_RANGE; vmmcall
            return b''.join(b'\x66' + bytes([code]) + value.to_bytes(4, 'little')
                            for code, value in ((0xb8, 12), (0xbb, at), (0xb9, pages), (0xba, attributes))) + b'\x0f\x01\xd9'
        once = report(0xc0000000, 2, 0) + report(0x20000, 3, 0)
        turn = report(0x10000, 1, 0) + report(0x10000, 1, 0x10)
        code = once + turn + b'\xeb' + (-len(turn) - 2).to_bytes(1, 'little', signed=True)
        _, client = self.paused('sev', 'sev.page-status=true', 'sev.conversion-storm=1', code=code)
        client.call('cont')
        told = client.wait_event('__VMM_CONVERSION_STORM')['data']
        self.assertEqual(told['conversion-storm'], 1)

        def stopped():
            """The map, if the guest has come that far. One that runs meanwhile may find a counter in use, and then counts in the sum alone."""
            client.call('cont')
            client.call('stop')
            found = client.call('__vmm_query-map')
            return found if found['flippers'] else None
        found = monitor.until(stopped)
        self.assertEqual((found['devices'], found['devices-complete']), ([{'gpa': '0xc0000000', 'size-bytes': 8192}], True))
        self.assertIsNone(found['held-twice'])
        shared = next(row for row in found['ranges'] if row['gpa'] == '0x20000')
        self.assertEqual((shared['size-bytes'], shared['flips']), (12288, 1))
        self.assertGreaterEqual(found['record']['storms'], 1)
        top, = found['flippers']
        self.assertEqual((top['gpa'], top['size-bytes']), ('0x10000', 4096))
        self.assertEqual(top['flips'] + 2, found['record']['conversions'])
        self.assertEqual(top['flips'] - 1, found['record']['flips'])
        self.assertGreaterEqual(top['last-ns'], shared['last-ns'])


if __name__ == '__main__':
    monitor.main()
