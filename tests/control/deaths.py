#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ends of a guest as all see them: the events on the control socket, the exit status, the line on standard error."""
import contextlib
import os
import time
import unittest

import monitor
from monitor import guests

QUIT, SIGNAL, SHUTDOWN, REBOOT, PANIC = 'host-qmp-quit', 'host-signal', 'guest-shutdown', 'guest-reset', 'guest-panic'
PVPANIC = guests.out8(0x505, 1) + guests.SPIN


def cont(machine, client):
    client.call('cont')


def quit(machine, client):
    client.call('quit')


def running(client):
    client.call('cont')
    monitor.until(lambda: client.call('query-status')['running'])


def quit_running(machine, client):
    running(client)
    client.call('quit')


def quit_paused(machine, client):
    running(client)
    client.call('stop')
    client.call('quit')


def term(machine, client):
    guests.term(machine.vmm.pid)


def term_running(machine, client):
    running(client)
    guests.term(machine.vmm.pid)


def term_paused(machine, client):
    running(client)
    client.call('stop')
    guests.term(machine.vmm.pid)


def term_twice(machine, client):
    running(client)
    guests.term_twice(machine.vmm.pid)


def button(machine, client):
    """The guest clears the button when it starts to look, so one press may be too early."""
    running(client)
    client.send('{"execute": "system_powerdown"}')
    while machine.vmm.poll() is None:
        time.sleep(0.05)
        try:
            client.send('{"execute": "system_powerdown"}')
        except OSError:
            return


# What it is, the guest, its configuration, what is done to it that waits to be started, the events, the exit status, the line.
ENDS = [
    ('power-off', guests.POWER_OFF, (), cont, ['RESUME', SHUTDOWN], 0, ''),
    ('panic', PVPANIC, (), cont, ['RESUME', 'GUEST_PANICKED', PANIC], 3, 'the guest crashed: it reported a kernel panic (pvpanic)'),
    ('triple fault', guests.TRIPLE_FAULT, (), cont, ['RESUME', 'GUEST_PANICKED', PANIC], 3, 'the guest crashed with a triple fault'),
    ('reboot', guests.RESET, ('run.on-reboot=exit',), cont, ['RESUME', REBOOT], 5, 'and was ended (run.on-reboot)'),
    ('button', guests.BUTTON, (), button, ['RESUME', 'POWERDOWN', SHUTDOWN], 0, ''),
    ('quit before the start', guests.SPIN, (), quit, [QUIT], 0, ''),
    ('quit', guests.SPIN, (), quit_running, ['RESUME', QUIT], 0, ''),
    ('quit of one that is paused', guests.SPIN, (), quit_paused, ['RESUME', 'STOP', QUIT], 0, ''),
    ('signal before the start', guests.SPIN, (), term, [SIGNAL], 1, 'a signal ended vmm before the guest was started'),
    ('signal to one that is paused', guests.SPIN, (), term_paused, ['RESUME', 'STOP', SIGNAL], 1,
     'a signal ended the guest while it was paused'),
    ('signal without grace', guests.SPIN, ('run.grace=0',), term_running, ['RESUME', SIGNAL], 0, ''),
    ('signal that is ignored', guests.SPIN, ('run.grace=1',), term_running, ['RESUME', 'POWERDOWN', SIGNAL], 1,
     'the guest did not shut down within 1 s (run.grace) and was ended'),
    ('two signals', guests.SPIN, ('run.grace=600',), term_twice, ['RESUME', 'POWERDOWN', SIGNAL], 1,
     'the guest was ended by a second signal before it had shut down'),
]


def short(event):
    """The reason of a SHUTDOWN, or the name."""
    return event['data']['reason'] if event['event'] == 'SHUTDOWN' else event['event']


class Deaths(unittest.TestCase):
    def die(self, code, sets, act):
        machine = monitor.Machine(self, code, 'run.paused=true', *sets)
        client = machine.monitor()
        monitor.until(lambda: client.call('__vmm_query-launch')['phase'] == 'waiting to be started')
        act(machine, client)
        with contextlib.suppress(OSError):  # the connection ends with the guest
            while client.answer() is not None:
                pass
        return machine, [event for event in client.events if event['event'] != '__VMM_LAUNCH']

    def test_ends_are_told_apart(self):
        for name, code, sets, act, expected, status, line in ENDS:
            with self.subTest(name):
                machine, events = self.die(code, sets, act)
                told = []
                for event in map(short, events):
                    if event != 'POWERDOWN' or event not in told:  # the button may be pressed more than once
                        told.append(event)
                self.assertEqual(told, expected)
                self.assertEqual(events[-1]['data']['guest'], expected[-1].startswith('guest-'))
                self.assertEqual(machine.status(), status)
                _, *said = machine.log.read_text().splitlines()  # the first says that this is a simulation
                self.assertEqual(bool(said), bool(line))
                self.assertIn(line, '\n'.join(said))
                self.assertFalse(os.path.exists(machine.path))


if __name__ == '__main__':
    unittest.main(verbosity=2)
