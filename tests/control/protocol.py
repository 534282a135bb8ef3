#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket line by line: the session, every error byte for byte, every command against the schema that vmm tells."""
import json
import random
import shutil
import unittest

import monitor
from monitor import guests

ERROR = '{"error": {"class": "%s", "desc": "%s"}%s}\r\n'


class Session(unittest.TestCase):
    def test_greeting_then_negotiation(self):
        client = monitor.Machine(self).client()
        greeting = json.loads(client.greeting)
        self.assertEqual(list(greeting), ['QMP'])
        self.assertEqual(sorted(greeting['QMP']['version']['qemu']), ['major', 'micro', 'minor'])
        self.assertIsInstance(greeting['QMP']['version']['package'], str)
        self.assertEqual(greeting['QMP']['capabilities'], [])
        client.send('{"execute": "query-status", "id": 1}')
        self.assertEqual(client.line().decode(), ERROR % (
            'CommandNotFound', "Expecting capabilities negotiation with 'qmp_capabilities'", ', "id": 1'))
        client.send('{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}')
        self.assertEqual(client.line().decode(), ERROR % ('GenericError', 'Capability oob not available', ''))
        client.send('{"execute": "qmp_capabilities", "arguments": {"enable": []}}')
        self.assertEqual(client.line(), b'{"return": {}}\r\n')
        client.send('{"execute": "qmp_capabilities"}')
        self.assertEqual(client.line().decode(), ERROR % (
            'CommandNotFound', 'Capabilities negotiation is already complete, command ignored', ''))

    def test_errors_byte_for_byte(self):
        """Each request alone, and again with an id, which the error then carries."""
        client = monitor.Machine(self).monitor()
        inject = '"execute": "sev-inject-launch-secret", "arguments": {"packet-header": "", "secret": "", "gpa": %s}'
        for kind, request, text in [
                ('GenericError', '"execute": "stop", "bogus": 1', "QMP input member 'bogus' is unexpected"),
                ('GenericError', '"execute": "nope", "bogus": 1', "QMP input member 'bogus' is unexpected"),
                ('GenericError', '"exec-oob": "stop"', "QMP input member 'exec-oob' is unexpected"),
                ('GenericError', '"exec-oob": "stop", "execute": "stop"', "QMP input member 'exec-oob' is unexpected"),
                ('GenericError', '', "QMP input lacks member 'execute'"),
                ('GenericError', '"execute": 1', "QMP input member 'execute' must be a string"),
                ('GenericError', '"execute": "nope", "arguments": []', "QMP input member 'arguments' must be an object"),
                ('CommandNotFound', '"execute": "nope", "arguments": {"x": 1}', 'The command nope has not been found'),
                ('CommandNotFound', '"execute": "qmp_capabilities"', 'Capabilities negotiation is already complete, command ignored'),
                ('GenericError', '"execute": "qmp_capabilities", "arguments": {"enable": ["nope"]}',
                 "Parameter 'null' does not accept value 'nope'"),
                ('GenericError', '"execute": "stop", "arguments": {"x": 1}', "Parameter 'x' is unexpected"),
                ('GenericError', '"execute": "human-monitor-command", "arguments": {"x": 1}', "Parameter 'command-line' is missing"),
                ('GenericError', '"execute": "human-monitor-command", "arguments": {"command-line": 1}',
                 "Invalid parameter type for 'command-line', expected: string"),
                ('GenericError', '"execute": "human-monitor-command", "arguments": {"command-line": "help", "cpu-index": 1}',
                 "Parameter 'cpu-index' expects a CPU number"),
                ('GenericError', inject % '1.0', "Parameter 'gpa' expects uint64"),
                ('GenericError', inject % '18446744073709551616', "Parameter 'gpa' expects uint64"),
                ('GenericError', inject % '-1', 'SEV not enabled for guest'),
                ('GenericError', '"execute": "query-sev-launch-measure"', 'SEV launch measurement is not available'),
                ('GenericError', '"execute": "query-sev-attestation-report", "arguments": {"mnonce": "AAAA"}', 'SEV is not enabled'),
                ('GenericError', '"execute": "dump-guest-memory", "arguments": {"paging": false, "protocol": "file:/nowhere"}',
                 'vmm writes no dumps of guest memory'),
                ('GenericError', '"execute": "system_wakeup"', 'wake-up from suspend is not supported by this guest'),
                ('GenericError', '"execute": "getfd", "arguments": {}', "Parameter 'fdname' is missing"),
                ('GenericError', '"execute": "getfd", "arguments": {"fdname": "x"}', 'No file descriptor supplied via SCM_RIGHTS'),
                ('GenericError', '"execute": "closefd", "arguments": {"fdname": "x"}', "File descriptor named 'x' not found"),
                ('GenericError', '"execute": "add-fd"', 'No file descriptor supplied via SCM_RIGHTS'),
                ('GenericError', '"execute": "add-fd", "arguments": {"fdset-id": 1.5}',
                 "Invalid parameter type for 'fdset-id', expected: integer"),
                ('GenericError', '"execute": "remove-fd", "arguments": {"fdset-id": 9}',
                 "File descriptor named 'fdset-id:9' not found"),
                ('GenericError', '"execute": "remove-fd", "arguments": {"fdset-id": 0, "fd": 99}',
                 "File descriptor named 'fdset-id:0, fd:99' not found"),
                ('DeviceNotFound', '"execute": "set_link", "arguments": {"name": "net9", "up": true}', "Device 'net9' not found"),
                ('GenericError', '"execute": "block_resize", "arguments": {"device": "a", "node-name": "b", "size": 1}',
                 "Cannot find device='a' nor node-name='b'"),
                ('GenericError', '"execute": "block_resize", "arguments": {"size": 1}', "Cannot find device='' nor node-name=''"),
                ('GenericError', '"execute": "device_add", "arguments": {"driver": "virtio-blk-pci", "drive": "x", "id": "y"}',
                 "Bus 'pci.0' does not support hotplugging; add the device to the configuration (devices[])"),
                ('DeviceNotFound', '"execute": "device_del", "arguments": {"id": "x"}', "Device 'x' not found")]:
            with self.subTest(request=request):
                client.send('{%s}' % request)
                self.assertEqual(client.answer_line().decode(), ERROR % (kind, text, ''))
                for name in ('"libvirt-9"', 'null', '[1, {"a": false}]'):
                    client.send('{%s"id": %s}' % (request + ', ' if request else '', name))
                    self.assertEqual(client.answer_line().decode(), ERROR % (kind, text, f', "id": {name}'))

    def test_what_is_no_request_byte_for_byte(self):
        client = monitor.Machine(self).monitor()
        for sent, text in [
                ('[]', 'QMP input must be a JSON object'), ('"stop"', 'QMP input must be a JSON object'),
                ('12 ', 'QMP input must be a JSON object'), ('null ', 'QMP input must be a JSON object'),
                ('{"execute": "stop", "execute": "cont"}', 'JSON parse error, duplicate key'),
                ('}', 'JSON parse error, expecting value'), ('{"execute": "\u00ff\x01"\n', 'JSON parse error, invalid character or token'),
                ('[' * 1025 + '\n', 'JSON nesting depth limit exceeded')]:
            with self.subTest(sent=sent[:100]):
                client.send(sent)
                self.assertEqual(client.answer_line().decode(), ERROR % ('GenericError', text, ''))
        self.assertEqual(client.call('query-name'), {'name': 'guest'})

    def test_broken_text_is_told_and_the_next_request_served(self):
        client = monitor.Machine(self).monitor()
        for text in (b'{"execute": @}', b'\xff', b'\xef\xbb\xbf', b'{"a": "\x01"}', b'{"a" 1}', b'{"a": "\xff"}', b'{"a": tru}\n'):
            with self.subTest(text=text):
                client.send(text + b'{"execute": "query-status", "id": "next"}')
                lines = [client.answer()]
                while 'return' not in lines[-1]:
                    lines.append(client.answer())
                self.assertIn(len(lines), (2, 3))
                for line in lines[:-1]:
                    self.assertTrue(line['error']['desc'].startswith('JSON parse error'), line)
                self.assertEqual(lines[-1]['id'], 'next')

    def test_noise_does_not_cost_the_connection(self):
        """Whatever stands in a line, the next request is answered. Characters may be cut anywhere."""
        client = monitor.Machine(self).monitor()
        chance = random.Random(1)
        for _ in range(2000):
            noise = bytes(chance.choice(b'\xe4\xe2\x82\xac\xf0\x9f\x98\xed\xa0\x80\xff\x01abc"\\u0{}[],:1') for _ in range(12))
            client.send(b'{"execute": "' + noise + chance.choice((b'"}', b'" x}', b'', b'}')) + b'\xff\n')
            client.send('{"execute": "query-name", "id": "n"}')
            while (answer := client.answer() or self.fail(noise)).get('id') != 'n':
                self.assertIn(answer['error']['class'], ('GenericError', 'CommandNotFound'))

    def test_ids_come_back(self):
        client = monitor.Machine(self).monitor()
        for name in ('"libvirt-1"', '"__qmp#00001"', 'null', 'false', '[]', '{"a": [1, "b"]}', '2.5', '-9', '"\\u00e4\\"\\\\"'):
            with self.subTest(id=name):
                client.send('{"execute": "query-status", "id": %s}' % name)
                line = client.answer_line()
                self.assertEqual(json.loads(line)['id'], json.loads(name))
                line.decode('ascii')

    def test_requests_in_one_write_are_answered_in_order(self):
        client = monitor.Machine(self).monitor()
        client.send(''.join("{'execute': 'query-name', 'id': %d}" % i for i in range(500)))
        self.assertEqual([client.answer()['id'] for _ in range(500)], list(range(500)))

    def test_half_closed_connection_gets_its_answers(self):
        client = monitor.Machine(self).monitor()
        client.send('{"execute": "stop", "id": 1}{"execute": "cont", "id": 2}{"execute": "query-status", "id": 3}')
        client.socket.shutdown(monitor.socket.SHUT_WR)
        self.assertEqual([client.answer()['id'] for _ in range(3)], [1, 2, 3])
        self.assertIsNone(client.answer())


class Schema:
    """What query-qmp-schema says, as a judge of values."""

    def __init__(self, entities):
        self.by_name = {entity['name']: entity for entity in entities}
        assert len(self.by_name) == len(entities), 'a name is there twice'

    def of(self, name):
        return self.by_name[name]

    def check(self, name, value, path=''):
        entity = self.of(name)
        kind = entity['meta-type']
        if kind == 'builtin':
            types = {'string': str, 'int': int, 'boolean': bool, 'number': (int, float), 'value': object}
            assert isinstance(value, types[entity['json-type']]), (path, value)
        elif kind == 'enum':
            assert value in [member['name'] for member in entity['members']] == entity['values'], (path, value)
        elif kind == 'array':
            assert isinstance(value, list), (path, value)
            for i, element in enumerate(value):
                self.check(entity['element-type'], element, f'{path}[{i}]')
        else:
            self.check_object(entity, value, path)

    def check_object(self, entity, value, path):
        members = list(entity['members'])
        if 'tag' in entity:
            case = [variant for variant in entity['variants'] if variant['case'] == value[entity['tag']]]
            members += self.of(case[0]['type'])['members'] if case else []
        for member in members:
            if member['name'] in value:
                self.check(member['type'], value[member['name']], f"{path}.{member['name']}")
            else:
                assert 'default' in member, f"{path}.{member['name']} is missing"
        assert not value.keys() - {member['name'] for member in members}, (path, value)


# Arguments with which each command goes well. Those without a row here take none; refused ones are in REFUSED.
ARGUMENTS = {
    'human-monitor-command': {'command-line': 'info status'},
    'block_resize': {'device': 'blk0', 'size': 2 << 20},
    '__vmm_set-log-level': {'level': 'warn'},
    'migrate-set-parameters': {'max-bandwidth': 0, 'downtime-limit': 300, 'mode': 'normal'},
    'migrate-set-capabilities': {'capabilities': [{'capability': 'events', 'state': True}]},
    '__vmm_inject-fault': {'call': 'KVM_CREATE_VM', 'nth': 1000000, 'errno': 12, 'delay-ns': 0},
    '__vmm_inject-firmware-fault': {'command': 'LAUNCH_START', 'status': 3},
}
# Commands that have tests of their own, or that fail on this guest.
ELSEWHERE = {'qmp_capabilities', 'quit', 'system_wakeup', 'device_add', 'device_del', 'object-add', 'object-del', 'dump-guest-memory', 'getfd', 'closefd',
             'add-fd', 'remove-fd', 'set_link', 'sev-inject-launch-secret', 'query-sev-launch-measure', 'query-sev-attestation-report',
             '__vmm_query-map', 'migrate', 'migrate-start-postcopy', '__vmm_migrate-resolve', '__vmm_mirror-add', '__vmm_mirror-run', '__vmm_mirror-kick', '__vmm_mirror-del'}


class Commands(unittest.TestCase):
    def machine(self, *sets, **how):
        machine = monitor.Machine(self, guests.SPIN, *sets, **how)
        return machine, machine.monitor()

    def test_every_command_answers_what_the_schema_says(self):
        folder = guests.Folder(self)
        disk = folder.path / 'disk'
        disk.write_bytes(bytes(1 << 20))
        _, client = self.machine(options=['--disk', str(disk)])
        schema = Schema(client.call('query-qmp-schema'))
        names = {command['name'] for command in client.call('query-commands')}
        self.assertEqual(names, {name for name, entity in schema.by_name.items() if entity['meta-type'] == 'command'})
        for name in sorted(names - ELSEWHERE):
            with self.subTest(command=name):
                arguments = ARGUMENTS.get(name, {})
                entity = schema.of(name)
                self.assertEqual(entity['allow-oob'], False)
                schema.check(entity['arg-type'], arguments, name)
                schema.check(entity['ret-type'], client.call(name, **arguments), name)
        self.assertEqual(client.call('query-block')[0]['inserted']['image']['virtual-size'], 2 << 20)
        for event in client.events:
            schema.check(schema.of(event['event'])['arg-type'], event.get('data', {}), event['event'])

    def test_facts_are_those_of_the_configuration(self):
        machine, client = self.machine('name=otto', 'machine.vcpus=3', 'machine.uuid=12345678-9abc-def0-1234-56789abcdef0')
        self.assertEqual(client.call('query-name'), {'name': 'otto'})
        self.assertEqual(client.call('query-uuid'), {'UUID': '12345678-9abc-def0-1234-56789abcdef0'})
        self.assertEqual(client.call('query-memory-size-summary'), {'base-memory': 2 << 20, 'plugged-memory': 0})
        self.assertEqual(client.call('query-kvm'), {'enabled': False, 'present': False})
        monitor.until(lambda: client.call('query-status')['running'])
        cpus = client.call('query-cpus-fast')
        self.assertEqual([cpu['cpu-index'] for cpu in cpus], [0, 1, 2])
        names = guests.tasks(machine.vmm.pid)
        self.assertEqual([names[cpu['thread-id']] for cpu in cpus], ['vcpu0', 'vcpu1', 'vcpu2'])
        exits = client.call('__vmm_query-exits')
        self.assertEqual([vcpu['thread-id'] for vcpu in exits['vcpus']], [cpu['thread-id'] for cpu in cpus])

    def passes(self, client, command, **arguments):
        """A command with a descriptor; the library qemu.qmp sends it with a blank before the request."""
        with open('/dev/null', 'rb') as null:
            monitor.socket.send_fds(client.socket, [b' '], [null.fileno()])
            return client.ask(command, **arguments)

    def test_descriptors_are_kept_and_closed(self):
        machine, client = self.machine()
        monitor.until(lambda: client.call('query-status')['running'])  # a launch opens descriptors
        before = monitor.descriptors(machine.vmm.pid)
        self.assertEqual(self.passes(client, 'getfd', fdname='1x')['error']['desc'],
                         "Parameter 'fdname' expects a name not starting with a digit")
        self.assertIn('has at most 255 bytes', self.passes(client, 'getfd', fdname='x' * 256)['error']['desc'])
        self.assertEqual(monitor.descriptors(machine.vmm.pid), before, 'a refused request has used it up')
        for _ in range(40):
            self.assertEqual(self.passes(client, 'getfd', fdname='x')['return'], {})
        self.assertEqual(monitor.descriptors(machine.vmm.pid), before + 1)
        client.call('closefd', fdname='x')
        for i in range(17):
            answer = self.passes(client, 'getfd', fdname=f'x{i}')
        self.assertIn('at most 16 descriptors', answer['error']['desc'])
        client.close()
        monitor.until(lambda: monitor.descriptors(machine.vmm.pid) == before - 1)

    def test_sets_of_descriptors(self):
        """As QEMU 10 answers: sets from the largest number down, their descriptors in the order in which they came."""
        machine, client = self.machine()
        monitor.until(lambda: client.call('query-status')['running'])
        other, before = machine.monitor(), monitor.descriptors(machine.vmm.pid)
        self.assertEqual(self.passes(client, 'add-fd', fdset_id=-1)['error']['desc'],
                         "Parameter 'fdset-id' expects a non-negative value")
        self.assertIn('has at most 255 bytes', self.passes(client, 'add-fd', opaque='x' * 256)['error']['desc'])
        added = [self.passes(client, 'add-fd', **arguments)['return'] for arguments in (
            {'opaque': 'a'}, {'fdset_id': 0, 'opaque': 'b'}, {'fdset_id': 7}, {'fdset_id': 2**63 - 1}, {})]
        self.assertEqual([one['fdset-id'] for one in added], [0, 0, 7, 2**63 - 1, 1])
        fds = [one['fd'] for one in added]
        self.assertEqual(other.call('query-fdsets'), [
            {'fds': [{'fd': fds[3]}], 'fdset-id': 2**63 - 1}, {'fds': [{'fd': fds[2]}], 'fdset-id': 7},
            {'fds': [{'fd': fds[4]}], 'fdset-id': 1},
            {'fds': [{'fd': fds[0], 'opaque': 'a'}, {'fd': fds[1], 'opaque': 'b'}], 'fdset-id': 0}])
        other.call('remove-fd', fdset_id=0, fd=fds[0])
        other.call('remove-fd', fdset_id=7)
        self.assertEqual([one['fdset-id'] for one in client.call('query-fdsets')], [2**63 - 1, 1, 0])
        for _ in range(64 - 3):
            self.passes(client, 'add-fd', fdset_id=5)
        self.assertIn('at most 64 descriptors', self.passes(client, 'add-fd')['error']['desc'])
        client.close()
        self.assertEqual(len(other.call('query-fdsets')), 4)
        other.close()
        monitor.until(lambda: monitor.descriptors(machine.vmm.pid) == before - 2)
        self.assertEqual(machine.monitor().call('query-fdsets'), [])

    @unittest.skipUnless(shutil.which('passt'), 'passt is not installed')
    def test_cable_is_pulled_and_put_in(self):
        _, client = self.machine(options=['--net', 'user'])
        for up, word in ((False, 'down'), (False, 'down'), (True, 'up')):
            self.assertEqual(client.call('set_link', name='net0', up=up), {})
            self.assertEqual([net['link-up'] for net in client.call('__vmm_query-networks')], [up])
            self.assertIn(f'link={word}\r\n', client.call('human-monitor-command', command_line='info network'))

    def test_disk_grows_and_never_shrinks(self):
        disk = guests.Folder(self).path / 'disk'
        disk.write_bytes(bytes(1 << 20))
        _, client = self.machine(options=['--disk', str(disk)])
        self.assertEqual(client.call('block_resize', node_name='blk0', size=3 << 20), {})
        self.assertEqual(disk.stat().st_size, 3 << 20)
        self.assertEqual(client.call('query-block')[0]['inserted']['image']['virtual-size'], 3 << 20)
        self.assertEqual(client.ask('block_resize', device='blk0', size=-1)['error']['desc'],
                         "Parameter 'size' expects a >0 size")
        self.assertEqual(client.ask('block_resize', device='blk0', size=1 << 20)['error']['class'], 'GenericError')
        self.assertEqual(disk.stat().st_size, 3 << 20)

    def test_threads_of_devices(self):
        disk = guests.Folder(self).path / 'disk'
        disk.write_bytes(bytes(1 << 20))
        machine, client = self.machine(options=['--disk', str(disk)])
        threads = client.call('query-iothreads')
        self.assertEqual([thread['id'] for thread in threads], ['blk0'])
        self.assertEqual(guests.tasks(machine.vmm.pid)[threads[0]['thread-id']], 'blk0')
        answer = client.ask('device_del', id='blk0')
        self.assertEqual(answer['error'], {'class': 'GenericError', 'desc': "Bus 'pci.0' does not support hotplugging"})

    def test_own_commands_that_refuse(self):
        _, client = self.machine('sim.product=none')
        for command, arguments, words in [
                ('__vmm_inject-fault', {'call': 'KVM_NOPE'}, ''),
                ('__vmm_inject-fault', {'call': 'any', 'errno': 5000}, "Parameter 'errno' must be from 0 to 4095"),
                ('__vmm_inject-fault', {'call': 'any', 'nth': 0}, ''),
                ('__vmm_inject-firmware-fault', {'command': 'NOPE', 'status': 1}, 'NOPE'),
                ('__vmm_set-log-level', {'level': 'loud'}, "does not accept value 'loud'"),
                ('query-sev-capabilities', {}, '/dev/sev')]:
            with self.subTest(command=command, arguments=arguments):
                answer = client.ask(command, **arguments)
                self.assertEqual(answer['error']['class'], 'GenericError')
                self.assertIn(words, answer['error']['desc'])


class People(unittest.TestCase):
    def ask(self, line, **more):
        return self.client.call('human-monitor-command', command_line=line, **more)

    def setUp(self):
        self.client = monitor.Machine(self, guests.SPIN, 'machine.vcpus=2').monitor()

    def test_help_and_info_list_what_there_is(self):
        self.assertIn('stop  -- ', self.ask('help').replace('stop --', 'stop  --'))
        lines = self.ask('info').split('\r\n')
        self.assertEqual(lines[-1], '')
        for line in lines[:-1]:
            self.assertGreaterEqual(len(line.split()), 2)
            self.assertIsInstance(self.ask(' '.join(line.split()[:2])), str)
        self.assertEqual(self.ask('help info'), self.ask('info nope'))

    def test_unknown_is_no_error(self):
        self.assertEqual(self.ask('nope here'), "unknown command: 'nope'\r\n")
        self.assertRegex(self.ask('x' + 'ä' * 1000), r"^unknown command: 'xä+\.\.\.ä+'\r\n$")
        self.assertEqual(self.ask(''), '')

    def test_commands_act(self):
        monitor.until(lambda: self.client.call('query-status')['running'])
        self.assertEqual(self.ask('stop'), '')
        self.assertEqual(self.ask('info status'), 'VM status: paused (paused)\r\n')
        self.assertEqual(self.ask(' cont '), '')
        self.assertEqual(self.ask('info status'), 'VM status: running\r\n')

    def test_registers_of_a_vcpu_that_runs_and_of_one_that_waits(self):
        monitor.until(lambda: self.client.call('query-status')['running'])
        running = self.ask('info registers')
        self.assertIn('rip', running.lower())
        self.assertTrue(running.endswith('\r\n'))
        self.client.call('stop')
        self.assertIn('rip', self.ask('info registers', cpu_index=1).lower())


if __name__ == '__main__':
    monitor.main()
