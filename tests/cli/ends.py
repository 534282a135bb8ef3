#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm says, and which exit status it has, when a guest ends itself: powers off, reboots, panics, crashes. Without a
KVM the guests run on the software platform."""
import unittest

import guests

PORT = 0x505    # QEMU, docs/specs/pvpanic.rst
PANICKED, CRASH_LOADED = 1, 2
HOST = () if guests.KVM else ('host=sim',)


class Ends(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def ends(self, status, code, *sets):
        done = guests.run(self.files.guest(code, *HOST, *sets), text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_panic_is_a_crash(self):
        """Nothing after the report runs, and what was printed before it is there."""
        done = self.ends(3, guests.text('up') + guests.out8(PORT, PANICKED) + guests.text('on') + guests.POWER_OFF)
        self.assertEqual(done.stdout, 'up')
        self.assertIn('the guest crashed: it reported a kernel panic (pvpanic)', done.stderr)

    def test_panic_with_a_crash_kernel_is_told(self):
        done = self.ends(0, guests.out8(PORT, CRASH_LOADED) + guests.text('on') + guests.POWER_OFF)
        self.assertEqual(done.stdout, 'on')
        self.assertIn('the guest reported a kernel panic and starts its crash kernel (pvpanic)', done.stderr)

    def test_events_are_offered(self):
        """in al, dx; the letter that stands so far behind '0' is printed."""
        code = bytes.fromhex('ba0505 ec 0430 baf803 ee')
        self.assertEqual(self.ends(0, code + guests.POWER_OFF).stdout, '3')

    def test_without_the_device_nothing_happens(self):
        done = self.ends(0, guests.out8(PORT, PANICKED) + guests.text('on') + guests.POWER_OFF, 'machine.pvpanic=false')
        self.assertEqual(done.stdout, 'on')
        self.assertNotIn('panic', done.stderr)

    def test_power_off_is_told_at_level_info(self):
        done = self.ends(0, guests.POWER_OFF, 'log=info')
        self.assertIn('vmm: info: the guest switched itself off (ACPI)', done.stderr)
        self.assertNotIn('switched', self.ends(0, guests.POWER_OFF).stderr)

    def test_reboot_can_end_the_guest(self):
        """The exit status is none of a guest that powered off or crashed."""
        done = self.ends(5, guests.text('up') + guests.RESET, 'run.on-reboot=exit')
        self.assertEqual(done.stdout, 'up')
        self.assertIn('vmm: the guest rebooted (port 0xcf9) and was ended (run.on-reboot)\n', done.stderr)

    def test_reboot_launches_the_guest_again(self):
        """The script ends the guest at its second life."""
        script = self.files.path / 'twice.expect'
        script.write_text('expect "up"\nexpect "up"\nquit\n')
        command = self.files.guest(guests.text('up\n') + guests.RESET, *HOST, 'log=info') + ['--expect', str(script)]
        done = guests.run(command, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('vmm: info: the guest rebooted (port 0xcf9)', done.stderr)

    def test_triple_fault_is_a_crash(self):
        """On the software platform, because a KVM that emulates real mode gives up on this code."""
        done = guests.run(self.files.guest(guests.TRIPLE_FAULT, 'host=sim'), text=True)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn('the guest crashed with a triple fault', done.stderr)


if __name__ == '__main__':
    guests.main()
