#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ACPI tables as ACPICA reads them: iasl disassembles each without a complaint and compiles what it read without
an error or warning; acpiexec loads the DSDT and evaluates it. Argument: the program acpi_write."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

VCPUS = 3
COMPLAINT = re.compile(r'\b(error|warning|invalid|unknown|corrupt)', re.I)

# Lines that a person would look for in the disassembly, table by table.
EXPECTED = {
    'facp': [r'SCI Interrupt : 0009', r'PM1A Event Block Address : 0000B000', r'PM Timer Block Address : 0000B008',
             r'8042 Present on ports 60/64 \(V2\) : 0', r'Legacy Devices Supported \(V2\) : 1',
             r'Reset Register Supported \(V2\) : 1', r'Use 32-Bit PM Timer \(V1\)?.*: 0|32-bit PM Timer \(V1\) : 0',
             r'Value to cause reset : 06', r'GPE0 Block Address : 0000AFE0', r'GPE0 Block Length : 04', r'Control Method Power Button \(V1\) : 0'],
    'apic': [r'Local Apic Address : FEE00000', r'PC-AT Compatibility : 1', r'Local Apic ID : 02',
             r'Address : FEC00000', r'Interrupt : 00000002', r'Polarity : 1\n.*Trigger Mode : 3', r'Interrupt Input LINT : 01'],
    'facs': [r'Length : 00000040', r'Version : 01'],
    'xsdt': [r'ACPI Table Address   0', r'ACPI Table Address   1'],
    'dsdt': [r'EisaId \("PNP0A03"\)', r'0x80000000,\s+// Range Minimum\n\s+0xFBFFFFFF,\s+// Range Maximum',
             r'Name \(_PRT, Package \(0x80\)', r'Name \(\\_S5', r'EisaId \("PNP0501"\)', r'EisaId \("PNP0B00"\)',
             r'Device \(PEVT\)\s+\{\s+Name \(_HID, "QEMU0001"\).*\n(.*\n)*?\s+IO \(Decode16,\n\s+0x0505,.*\n\s+0x0505,',
             r'"ACPI0007"', r'Device \(C002\)', r'OperationRegion \(REGS, SystemIO, 0x0A00, 0x18\)', r'Device \(M015\)',
             r'Method \(_E03, 0, Serialized\).*\n\s+\{\s+\\_SB.MEMS.SCAN'],
}


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


def check(true, what, output=''):
    if not true:
        sys.exit(f'{output[-2000:]}\n{what}')


def disassemble(folder, table):
    status, output = run('iasl', '-d', f'{table}.aml', cwd=folder)
    text = (folder / f'{table}.dsl').read_text()
    said = [line for line in output.splitlines() if COMPLAINT.search(line) and 'External' not in line]
    check(status == 0 and not said, f'iasl -d {table}.aml', output)
    check('Checksum' not in text or 'Incorrect' not in text, f'{table}: checksum', text)
    for pattern in EXPECTED[table]:
        check(re.search(pattern, text), f'{table}: no {pattern!r}', text)


def compile_again(folder, table):
    status, output = run('iasl', '-p', f'{table}-again', f'{table}.dsl', cwd=folder)
    found = re.search(r'(\d+) Errors, (\d+) Warnings', output)
    if found:                   # data tables are compiled without a count
        check(found.groups() == ('0', '0'), f'iasl {table}.dsl', output)
    check(status == 0, f'iasl {table}.dsl', output)


def evaluate(folder):
    """By an interpreter: _PRT against the rule GSI = 16 + (slot + pin) mod 4, _S5, the resources of the bridge."""
    status, output = run('acpiexec', '-b', r'execute \_SB.PCI0._PRT', 'dsdt.aml', cwd=folder)
    check(status == 0 and 'AE_' not in output.replace('AE_OK', ''), 'acpiexec _PRT', output)
    rows = re.findall(r'\[Package\] Contains 4 Elements:((?:\s+\[Integer\] = [0-9A-F]+){4})', output)
    routes = [[int(n, 16) for n in re.findall('= ([0-9A-F]+)', row)] for row in rows]
    check(routes == [[slot << 16 | 0xffff, pin, 0, 16 + (slot + pin) % 4] for slot in range(32) for pin in range(4)],
          'acpiexec: _PRT', output)
    status, output = run('acpiexec', '-b', r'execute \_S5', 'dsdt.aml', cwd=folder)
    check(status == 0 and len(re.findall(r'\[Integer\] = 0{16}\n', output)) == 4, 'acpiexec _S5', output)
    status, output = run('acpiexec', '-b', r'resources \_SB.PCI0', 'dsdt.aml', cwd=folder)
    ranges = re.findall(r'Address Minimum : (\w+)\n\s+Address Maximum : (\w+)', output)
    check(ranges == [('0000', '0000'), ('0CF8', '0CF8'), ('0000', '0CF7'), ('0D00', 'FFFF'), ('80000000', 'FBFFFFFF')],
          'acpiexec: _CRS', output)


def evaluate_memory(folder):
    """The interpreter has plain memory behind the ports, so what is written as slot, source and status is read as an address and a size."""
    status, output = run('acpiexec', '-b', r'execute \_SB.MEMS.TELL 5 2 8192;resources \_SB.MEMS.M007;execute \_SB.MEMS.M007._STA;'
                         r'execute \_GPE._E03', 'dsdt.aml', cwd=folder)
    said = output.replace('AcpiSetCurrentResources failed: AE_NOT_FOUND', '')   # there is no _SRS
    check(status == 0 and 'AE_' not in said, 'acpiexec: memory slots', output)
    found = re.search(r'Address Minimum : (\w+)\n\s+Address Maximum : (\w+)\n.*\n\s+Address Length : (\w+)', output)
    check(found and [int(n, 16) for n in found.groups()] == [0x200000007, 0x200002006, 0x2000], 'acpiexec: _CRS of a memory slot', output)


def main():
    for tool in ('iasl', 'acpiexec'):
        if not shutil.which(tool):
            print(f'skipped: {tool} (package acpica-tools) is not installed')
            sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check(subprocess.run([sys.argv[1], folder, str(VCPUS)]).returncode == 0, 'acpi_write')
        for table in EXPECTED:
            disassemble(folder, table)
            compile_again(folder, table)
        evaluate(folder)
        evaluate_memory(folder)


main()
