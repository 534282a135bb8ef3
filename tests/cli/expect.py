#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm run --expect: waits for the guest's output, types, keeps to its time limits, and reports the result by its exit status."""
import fcntl
import os
import pathlib
import pty
import select
import signal
import subprocess
import time
import unittest

import guests

LONG = 300              # what no test waits for
UP = guests.text('login: ') + guests.echo()


class Scripts(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def args(self, script, code, *sets):
        path = self.files.path / 'script'
        path.write_text(script)
        return [*self.files.guest(code, *sets), '--host', 'sim', '--expect', str(path)]

    def run_script(self, script, code=UP, *sets, **how):
        return guests.run(self.args(script, code, *sets), **{'timeout': LONG} | how)

    def assert_ends(self, done, status, *parts):
        """These parts are on standard error, in that order."""
        text = done.stderr.decode()
        self.assertEqual(done.returncode, status, text)
        at = 0
        for part in parts:
            self.assertIn(part, text[at:])
            at = text.index(part, at) + len(part)

    def test_a_script_types_what_is_waited_for(self):
        done = self.run_script(f'timeout {LONG}\n'
                               r'expect "login: "' '\n' r'send "root\x09"' '\n' r'expect "root\t"' '\n' r'send "\x04"' '\nexpect end\n')
        self.assert_ends(done, 0)
        self.assertEqual(done.stdout, b'login: root\t')

    def test_texts_that_were_sent_together_arrive_in_order(self):
        """More than the port holds at once."""
        sends = [f'{number:04}' + 'x' * 996 for number in range(20)]
        script = f'timeout {LONG}\nexpect "login: "\n' + ''.join(f'send "{text}"\n' for text in sends)
        done = self.run_script(script + 'send "."\nexpect "."\nquit\n')
        self.assert_ends(done, 0)
        self.assertEqual(done.stdout, b'login: ' + ''.join(sends).encode() + b'.')

    def test_quit_ends_a_guest_that_goes_on(self):
        self.assert_ends(self.run_script(f'expect "login" timeout {LONG}\nquit\n'), 0)

    def test_quit_cuts_off_no_output_of_a_guest_that_has_ended(self):
        """Without a reader, the text that the script waits for comes only when the guest has gone."""
        code = guests.letters(9000) + guests.text('X') + guests.letters(3000) + guests.POWER_OFF
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        with subprocess.Popen(self.args(f'expect "X" timeout {LONG}\nquit\n', code), stdin=subprocess.DEVNULL, stdout=writer) as process:
            os.close(writer)
            select.select([reader], [], [])
            guests.until(lambda: 'vcpu0' not in guests.tasks(process.pid).values())
            with open(reader, 'rb') as stream:
                self.assertEqual(stream.read(), b'a' * 9000 + b'X' + b'a' * 3000)
        self.assertEqual(process.returncode, 0)

    def test_a_guest_outlives_a_script_that_does_not_end_it(self):
        done = self.run_script(f'expect "login: " timeout {LONG}\n', guests.text('login: ') + guests.text('more') + guests.POWER_OFF)
        self.assert_ends(done, 0)
        self.assertEqual(done.stdout, b'login: more')

    def test_output_is_matched_without_what_it_is_drawn_with(self):
        code = guests.text('\x1b[1;1HSh\x1b[40mell\0> ') + guests.SPIN
        self.assert_ends(self.run_script(f'expect "no" or "Shell> " timeout {LONG}\nquit\n', code), 0)

    def test_text_that_does_not_come_in_time(self):
        done = self.run_script('expect "login: "\n# next\nexpect "Pass\\x41" or "word" timeout 1\n')
        self.assert_ends(done, 1, 'the guest\'s last output:\n    login: \n', 'vmm: ',
                         'script:3: no "PassA" or "word" within 1 s; the guest was ended')
        self.assertEqual(done.stdout, b'login: ')

    def test_end_that_does_not_come_in_time(self):
        self.assert_ends(self.run_script('expect end timeout 1\n'), 1, 'script:1: no end of the guest within 1 s')

    def test_guest_that_ends_too_early(self):
        done = self.run_script(f'timeout {LONG}\nexpect "bye"\nexpect "more"\nquit\n', guests.text('bye\r\n') + guests.POWER_OFF)
        self.assert_ends(done, 1, '    bye\n', 'script:3: the guest ended without "more"')

    def test_crash_stays_a_crash(self):
        done = self.run_script(f'expect "never" timeout {LONG}\n', guests.TRIPLE_FAULT)
        self.assert_ends(done, 3, 'triple fault')

    def test_nobody_reads_standard_output(self):
        """The script reads on when the reader has gone, or there was none."""
        script = f'timeout {LONG}\n' + r'expect "login: "' '\n' + 'send "' + 'y' * 1000 + '"\n' + \
            'expect "' + 'y' * 1000 + '"\n' + r'send "\x04"' '\nexpect end\n'
        for redirection in ('>&-', '>/dev/full', '| :'):
            with self.subTest(redirection=redirection):
                words = ['bash', '-o', 'pipefail', '-c', '"$@" ' + redirection, 'bash', *self.args(script, UP)]
                self.assert_ends(guests.run(words, timeout=LONG), 0)

    def test_script_on_standard_input(self):
        args = self.args('', UP)[:-1] + ['-']
        done = guests.run(args, stdin=None, input=f'expect "login: " timeout {LONG}\nquit\n'.encode(), timeout=LONG)
        self.assert_ends(done, 0)

    def test_signal_ends_a_guest_that_a_script_waits_for(self):
        args = self.args(f'expect "never" timeout {LONG}\n', guests.text('up') + guests.BUTTON)
        with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as vmm:
            self.assertEqual(vmm.stdout.read(2), b'up')
            vmm.send_signal(signal.SIGTERM)
            self.assertIn(b'the guest ended without "never"', vmm.communicate(timeout=LONG)[1])
            self.assertEqual(vmm.returncode, 1)

    def test_on_a_terminal_the_user_types_too(self):
        script = f'timeout {LONG}\n' + r'expect "login: "' '\n' r'send "a"' '\n' r'expect "ab"' '\n' r'send "\x04"' '\nexpect end\n'
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        vmm = subprocess.Popen(self.args(script, UP), stdin=slave, stdout=slave, stderr=subprocess.PIPE)
        os.close(slave)
        seen, end = b'', time.monotonic() + LONG
        while b'login: a' not in seen and time.monotonic() < end:
            seen += os.read(master, 4096)
        os.write(master, b'b')
        text = vmm.communicate(timeout=LONG)[1]
        self.assertEqual(vmm.returncode, 0, text)

    def test_mistakes_are_told_before_anything_is_launched(self):
        for dry in ([], ['--dry-run']):
            done = guests.run(self.args('expect "a"\nsend "\\q"\n', UP) + dry)
            self.assertEqual((done.returncode, done.stdout), (2, b''))
            self.assertIn(b'script:2:7: no such escape', done.stderr)
        missing = guests.run([*self.files.guest(UP), '--expect', str(pathlib.Path(self.files.path) / 'none')])
        self.assertEqual(missing.returncode, 2)


guests.main()
