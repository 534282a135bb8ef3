#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The SMBIOS tables as dmidecode reads them, without a complaint. Argument: the program smbios_write."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# The amount of memory, and the lines that a person would look for, structure by structure.
ALWAYS = {
    'System Information': ['Manufacturer: vmm', 'Serial Number: ds=nocloud;s=http://10.0.2.2/',
                           'UUID: 123e4567-e89b-12d3-a456-426614174000', 'Wake-up Type: Power Switch'],
    'Chassis Information': ['Manufacturer: vmm', 'Asset Tag: name of this guest', 'Boot-up State: Safe'],
    'Processor Information': ['Type: Central Processor', 'Status: Populated, Enabled', 'Core Count: 3', 'Core Enabled: 3',
                              'Thread Count: 3', 'ID: 11 0F A0 00 00 00 00 00', 'Version: AMD EPYC-Milan Processor'],
    'Physical Memory Array': ['Use: System Memory', 'Number Of Devices: 1'],
    'Memory Device': ['Form Factor: DIMM', 'Type: RAM', 'Locator: DIMM 0'],
    'System Boot Information': ['Status: No errors detected'],
}
SIZES = {
    512: [('Memory Device', 'Size: 512 MB'), ('Physical Memory Array', 'Maximum Capacity: 512 MB'),
          ('Memory Array Mapped Address', 'Starting Address: 0x00000000000'),
          ('Memory Array Mapped Address', 'Ending Address: 0x0001FFFFFFF')],
    3 << 10: [('Memory Device', 'Size: 3 GB'), ('Memory Array Mapped Address', 'Ending Address: 0x0007FFFFFFF'),
              ('Memory Array Mapped Address', 'Starting Address: 0x00100000000'),
              ('Memory Array Mapped Address', 'Ending Address: 0x0013FFFFFFF')],
    64 << 10: [('Memory Device', 'Size: 64 GB'), ('Physical Memory Array', 'Maximum Capacity: 64 GB')],
    4 << 20: [('Memory Device', 'Size: 4 TB'), ('Physical Memory Array', 'Maximum Capacity: 4 TB'),
              ('Memory Array Mapped Address', 'Range Size: 2 GB'), ('Memory Array Mapped Address', 'Range Size: 4094 GB')],
}
COMPLAINT = re.compile(r'broken|bad|wrong|invalid|truncated|out of spec|checksum|corrupt', re.I)


def check(true, what, output=''):
    if not true:
        sys.exit(f'{output}\n{what}')


def structures(text):
    """The lines of each structure, by its title; those with the same title one after the other."""
    found = {}
    for part in text.split('\n\n'):
        lines = part.strip().splitlines()
        if lines and lines[0].startswith('Handle'):
            found.setdefault(lines[1], []).extend(line.strip() for line in lines[2:])
    return found


def main():
    if not shutil.which('dmidecode'):
        print('skipped: dmidecode is not installed')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        dump = pathlib.Path(name) / 'dump'
        for mib, rows in SIZES.items():
            check(subprocess.run([sys.argv[1], dump, str(mib)]).returncode == 0, 'smbios_write')
            done = subprocess.run(['dmidecode', '--from-dump', dump], capture_output=True, text=True, timeout=60)
            text = done.stdout + done.stderr
            check(done.returncode == 0 and not COMPLAINT.search(text), 'dmidecode complains', text)
            check('SMBIOS 2.8 present.' in text and 'End Of Table' in text, 'no entry point, or no end', text)
            found = structures(text)
            for title, line in [(t, line) for t, lines in ALWAYS.items() for line in lines] + rows:
                check(line in found.get(title, []), f'{mib} MiB: {title}: no "{line}"', text)


main()
