#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The translator of the software platform, where the host lets it make code and where it does not: a guest runs everywhere."""
import ctypes
import pathlib
import struct
import subprocess
import unittest

import guests

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
PR_SET_MDWE, PR_GET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 66, 1
EACCES, MMAP, MEMFD_CREATE = 13, 9, 319  # numbers of x86-64, which vmm is for
NUMBER, PROT, FLAGS = 0, 32, 40          # in struct seccomp_data
PROT_EXEC, MAP_SHARED = 4, 1
LOAD, EQUAL, ANY, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7fff0000, 0x00050000 | EACCES
LIBC = ctypes.CDLL(None, use_errno=True)
SAYS = 'vmm: warning: sim.cpu: the software processor interprets, because it cannot translate: '
CODE = 'native-code'  # the name of its memory


def refuse(rows):
    """What a security module does, in the process that calls this and in all that it runs: the filter is these rows."""
    rows = b''.join(struct.pack('<HBBI', *row) for row in rows)
    buffer = ctypes.create_string_buffer(rows, len(rows))
    program = ctypes.create_string_buffer(struct.pack('<HxxxxxxQ', len(rows) // 8, ctypes.addressof(buffer)))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), 'seccomp')


def no_shared_code():
    """Libraries are mapped privately. Programs still start; memory that is written elsewhere cannot be executed."""
    refuse([(LOAD, 0, 0, NUMBER), (EQUAL, 0, 4, MMAP), (LOAD, 0, 0, PROT), (ANY, 0, 2, PROT_EXEC), (LOAD, 0, 0, FLAGS), (ANY, 1, 0, MAP_SHARED),
            (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)])


def no_gain():
    """systemd's MemoryDenyWriteExecute, by the kernel: nothing that was written becomes executable at the same address."""
    if LIBC.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
        raise OSError(ctypes.get_errno(), 'PR_SET_MDWE')


class Translator(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def command(self, code):
        return [*self.files.guest(code, 'sim.cpu=translator'), '--host', 'sim']

    def code_maps(self, restrict=None):
        """How vmm has mapped the memory of the code while a guest runs, in its sandbox."""
        with subprocess.Popen(self.command(guests.text('x') + guests.SPIN), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=restrict) as vmm:
            self.addCleanup(vmm.kill)
            self.assertEqual(vmm.stdout.read(1), b'x')
            rows = [line.split() for line in pathlib.Path(f'/proc/{vmm.pid}/maps').read_text().splitlines()]
            guests.term_twice(vmm.pid)
            said = vmm.communicate()[1].decode()
        self.assertFalse([row for row in rows if 'w' in row[1] and 'x' in row[1]], 'memory is writable and executable at once')
        return {row[1] for row in rows if any(CODE in word for word in row)}, said

    def test_code_is_written_at_one_place_and_executed_at_another(self):
        maps, said = self.code_maps()
        self.assertEqual(maps, {'rw-s', 'r-xs'})
        self.assertNotIn(SAYS, said)

    def test_memory_that_gains_no_execution_is_no_hindrance(self):
        if LIBC.prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0:
            self.skipTest('this kernel has no PR_SET_MDWE')
        maps, said = self.code_maps(no_gain)
        self.assertEqual(maps, {'rw-s', 'r-xs'})
        self.assertNotIn(SAYS, said)

    def test_where_no_memory_can_be_executed_vmm_says_so_once_and_interprets(self):
        done = guests.run(self.command(guests.text('x') + guests.POWER_OFF), preexec_fn=no_shared_code)
        self.assertEqual((done.returncode, done.stdout), (0, b'x'), done.stderr)
        said = [line for line in done.stderr.decode().splitlines() if SAYS in line]
        self.assertEqual(said, [SAYS + 'executable memory for native code: Permission denied (EACCES)'])
        maps, _ = self.code_maps(no_shared_code)
        self.assertEqual(maps, set())


guests.main()
