#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which failures probe.py takes for a fault of the lab's emulation; small scripts play vmm and QEMU."""
import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'probe'), str(HERE.parent / 'boot')]
import guest  # noqa: E402
import probe  # noqa: E402
from probe import emulation  # noqa: E402

NAME = 'probe64-shutdown'       # a short one
WHOLE = (HERE.parent / 'probe/expected' / NAME).read_text()
CUT = WHOLE[:len(WHOLE) // 2]
RIGHT, CRASH, WRONG = (WHOLE, 3), (CUT, 3), (WHOLE.replace('\n', '?\n', 1), 3)
POLITE, QUIET = (CUT, 0), (CUT, 'exec sleep 600')


class Emulation(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.patch(emulation, 'IN_LAB', True)
        self.patch(probe, 'QEMU', self.folder / 'qemu')
        self.qemu(WHOLE, 0)

    def patch(self, thing, name, value):
        patch = mock.patch.object(thing, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def script(self, name, text):
        (self.folder / name).write_text('#!/bin/bash\n' + text)
        (self.folder / name).chmod(0o755)
        return str(self.folder / name)

    def qemu(self, text, status):
        (self.folder / 'qemu-says').write_text(text)
        self.script('qemu', f'cat "{self.folder}/qemu-says"; exit {status}\n')

    def vmm(self, *runs, sim=RIGHT):
        """A vmm whose guests do on kvm what runs say, one after the other, and always the same on sim."""
        for number, (text, _) in enumerate((sim, *runs)):
            (self.folder / f'says-{number}').write_text(text)
        ends = [end if isinstance(end, str) else f'echo its message >&2; exit {end}' for _, end in (sim, *runs)]
        return self.script('vmm', f'cd {self.folder}\nn=0\nif [ "$3" = kvm ]; then echo >>count; n=$(wc -l <count); fi\ncat says-$n\n'
                           'case $n in\n' + '\n'.join(f'{number}) {end} ;;' for number, end in enumerate(ends)) + '\nesac\n')

    def probed(self, *runs, name=NAME, **more):
        """The exit status and what was said."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            with mock.patch.object(sys, 'argv', ['probe.py', 'image', name, 'kvm', self.vmm(*runs, **more)]):
                status = probe.main()
        return status, said.getvalue()

    def runs(self):
        return (self.folder / 'count').read_text().count('\n')

    def test_right_at_once(self):
        status, said = self.probed(RIGHT)
        self.assertEqual((status, self.runs()), (0, 1), said)
        self.assertNotIn(emulation.TOLD, said)

    def test_a_crash_on_the_way_is_told_and_the_run_repeated(self):
        status, said = self.probed(CRASH, CRASH, RIGHT)
        self.assertEqual((status, self.runs()), (0, 3), said)
        self.assertEqual(said.count(emulation.TOLD), 2)
        self.assertIn('its message', said)
        self.assertIn('right on sim', said)
        self.assertIn('right on tcg', said)

    def test_a_guest_that_executes_outside_memory_has_crashed(self):
        for words in emulation.ASTRAY:
            with self.subTest(words=words):
                (self.folder / 'count').unlink(missing_ok=True)
                status, said = self.probed((CUT, f'echo "vmm: vCPU 0: {words}: ..." >&2; exit 1'), RIGHT)
                self.assertEqual((status, self.runs()), (0, 2), said)
                self.assertEqual(said.count(emulation.TOLD), 1)
                with guest.Guest(['/bin/bash', '-c', f'echo "vmm: vCPU 0: {words}: ..."; exit 1']) as astray:
                    with self.assertRaises(guest.Failed):
                        astray.ends(0, seconds=60)
                    self.assertEqual(astray.lost(), 'the guest crashed')

    def test_a_kernel_that_panics_has_crashed(self):
        for end in ('sleep 600', 'exit 0'):
            with self.subTest(end=end), mock.patch.object(emulation, 'QUIET', 600), self.assertRaises(guest.Failed) as raised:
                with guest.Guest(['/bin/bash', '-c', f'echo "[ 1.2] {emulation.PANIC}: double fault"; {end}']) as panicked:
                    panicked.expect('right', seconds=2)
            self.assertEqual(raised.exception.lost, 'the guest crashed')

    def test_vmm_says_these_words(self):
        source = (HERE.parents[1] / 'src/run/exit.c').read_text()
        for words in emulation.ASTRAY:
            self.assertIn('"' + words.removeprefix('KVM '), source)

    def test_a_crash_each_time_fails(self):
        status, said = self.probed(*[CRASH] * 9)
        self.assertEqual((status, self.runs()), (1, emulation.RUNS), said)

    def test_a_wrong_line_fails_at_once(self):
        status, said = self.probed(WRONG, RIGHT)
        self.assertEqual((status, self.runs()), (1, 1), said)

    def test_a_line_without_a_verdict_wants_two_right_runs(self):
        name = 'probe64-refused'
        whole, sim = probe.expected(name, 'kvm'), (probe.expected(name, 'sim'), 0)
        line = next(line for line in whole.splitlines() if ': #' in line)
        right, empty = (whole, 0), (whole.replace(line, line.partition(':')[0] + ':  ax=7', 1), 0)
        both = (empty[0].replace('\n', '?\n', 1), 0)    # another line is wrong, too
        for runs, count, failed in (((empty, right, right), 3, 0), ((empty, right, empty, right, empty), emulation.RUNS, 1), ((both, right, right), 1, 1)):
            with self.subTest(count=count):
                (self.folder / 'count').unlink(missing_ok=True)
                status, said = self.probed(*runs, name=name, sim=sim)
                self.assertEqual((status, self.runs()), (failed, count), said)
                self.assertEqual(emulation.TOLD in said, runs[0] == empty, said)

    def test_an_end_that_is_no_crash_fails_at_once(self):
        status, said = self.probed(POLITE, RIGHT)
        self.assertEqual((status, self.runs()), (1, 1), said)

    def test_a_wrong_status_behind_the_whole_text_fails_at_once(self):
        status, said = self.probed((WHOLE, 0), RIGHT)
        self.assertEqual((status, self.runs()), (1, 1), said)

    def test_without_evidence_it_fails(self):
        status, said = self.probed(CRASH, RIGHT, sim=CRASH)
        self.assertEqual((status, self.runs()), (1, 1), said)
        self.qemu(CUT, 0)
        os.unlink(self.folder / 'count')
        status, said = self.probed(CRASH, RIGHT)
        self.assertEqual((status, self.runs()), (1, 1), said)

    def test_a_real_kvm_has_no_excuse(self):
        self.patch(emulation, 'IN_LAB', False)
        status, said = self.probed(CRASH, RIGHT)
        self.assertEqual((status, self.runs()), (1, 1), said)

    def test_silence_ends_a_run(self):
        self.patch(emulation, 'QUIET', 0.5)
        for asks, expected in ((False, 0), (True, 1)):
            with mock.patch.object(emulation, 'polls', return_value=asks):
                status, said = self.probed(QUIET, RIGHT)
            self.assertEqual((status, self.runs()), (expected, 2 - expected), said)
            self.assertIn('nothing was said', said)
            os.unlink(self.folder / 'count')

    def test_a_guest_that_vmm_speaks_of_is_silent(self):
        with guest.Guest(['/bin/bash', '-c', 'printf half; while sleep 0.2; do echo "vmm: warning: it spins"; done']) as silent:
            with self.assertRaisesRegex(guest.Failed, 'nothing was said for 1 s'):
                silent.ends(0, seconds=60, silence=1)
            with self.assertRaisesRegex(guest.Failed, 'nothing was said for 1 s'):
                silent.expect('whole', seconds=60, silence=1)

    def test_a_silent_boot_may_be_lost(self):
        self.patch(emulation, 'QUIET', 0.2)
        with guest.Guest(['/bin/bash', '-c', 'sleep 600']) as silent, mock.patch.object(emulation, 'polls', return_value=True):
            self.assertEqual(silent.lost(), 'the guest fell silent and still asks its devices')

    def test_a_failure_tells_how_its_guest_was_lost(self):
        for program, quiet, lost in (('sleep 600', 0.2, 'the guest fell silent'), ('sleep 600', 600, ''), ('exit 3', 600, 'the guest crashed'),
                                     ('exit 1', 600, '')):
            with self.subTest(program=program, quiet=quiet), mock.patch.object(emulation, 'polls', return_value=False):
                self.patch(emulation, 'QUIET', quiet)
                with self.assertRaises(guest.Failed) as raised, guest.Guest(['/bin/bash', '-c', program]) as started:
                    started.expect('right', seconds=2)
                self.assertEqual(raised.exception.lost, lost)
        self.assertEqual(guest.Failed('of no guest').lost, '')

    def test_again_wants_two_right_runs_after_a_failure(self):
        for lab, ends, status, runs in (('inside', '0', 0, 1), ('inside', '100', 0, 3), ('inside', '110', 1, 2), ('inside', '101', 1, 3),
                                        ('native', '100', 1, 1)):
            with self.subTest(lab=lab, ends=ends):
                (self.folder / 'count').unlink(missing_ok=True)
                program = self.script('program', f'cd {self.folder}; echo >>count; ends={ends}; exit ${{ends:$(wc -l <count) - 1:1}}\n')
                done = subprocess.run([HERE / 'again', program], env=os.environ | {'LAB': lab}, capture_output=True, text=True)
                self.assertEqual((done.returncode, self.runs()), (status, runs), done.stdout)
                self.assertEqual(emulation.TOLD in done.stdout, runs > 1)

    def test_the_lab_starts_again_after_the_known_faults_alone(self):
        (self.folder / 'lab/kernel/modules').mkdir(parents=True)
        (self.folder / 'lab/qemu').mkdir()
        self.script('lab/kernel/busybox', 'cat\n')
        assertion, stall = 'echo bql_locked >&2; exit 134', 'echo "rcu: INFO: rcu_preempt detected stalls" >"$folder/kernel"; exit 124'
        reset, panic = ': >"$folder/kernel"; exit 0', 'echo "Kernel panic - not syncing" >"$folder/kernel"; exit 0'
        for failures, end, status, runs in ((0, assertion, 7, 1), (4, assertion, 7, 5), (9, assertion, 125, 5), (1, stall, 7, 2),
                                            (9, stall, 124, 5), (1, reset, 7, 2), (1, panic, 125, 1), (1, 'echo another >&2; exit 134', 125, 1), (1, 'exit 124', 124, 1)):
            with self.subTest(failures=failures, end=end):
                (self.folder / 'count').unlink(missing_ok=True)
                self.script('lab/qemu/run', f'echo >>"{self.folder}/count"; folder=$(expr "$*" : ".* lab=\\([^ ]*\\)")\n'
                            f'if [ $(wc -l <"{self.folder}/count") -le {failures} ]; then {end}; fi\n'
                            'echo 7 >"$folder/status"\n')
                done = subprocess.run([HERE / 'lab', 'true'], env=os.environ | {'VMM_CACHE': str(self.folder), 'LAB': ''},
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True)
                self.assertEqual((done.returncode, self.runs()), (status, runs), done.stderr)

    def test_no_statistics_are_no_excuse(self):
        with mock.patch.object(emulation, 'kernel_counts', return_value={}), mock.patch.object(emulation.time, 'sleep'), \
                contextlib.redirect_stdout(io.StringIO()):
            self.assertTrue(emulation.polls(1))


if __name__ == '__main__':
    unittest.main(verbosity=2)
