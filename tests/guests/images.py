# SPDX-License-Identifier: Apache-2.0
"""Images that tests/guests makes itself: the least BIOS, an initial RAM disk with a shell, a unified kernel image."""
import re
import struct
import subprocess

import linux

# Prints what Linux read in our tables, then is a shell. Linux's log has ACPI's complaint if the PM block is not where the FADT says.
INIT = '''#!/busybox sh
/busybox mkdir /proc /sys /dev
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
/busybox dmesg | /busybox grep DMI:
echo "uuid=$(/busybox cat /sys/class/dmi/id/product_uuid)"
echo "serial=$(/busybox cat /sys/class/dmi/id/product_serial)"
/busybox dmesg | /busybox grep -E 'ACPI (BIOS )?Error|ACPI Warning|PM-Timer (failed|running)' || echo pm=right
exec /busybox sh
'''


def out8(port, value):
    return struct.pack('<BBBHB', 0xb0, value, 0xba, port, 0xee)


def out16(port, value):
    return struct.pack('<BHBHB', 0xb8, value, 0xba, port, 0xef)


def out32(port, value):
    return struct.pack('<BBIBHBB', 0x66, 0xb8, value, 0xba, port, 0x66, 0xef)


def bios(folder, kib):
    """As a BIOS does: the reset vector jumps to F000:E05B, which says BELOW and switches the machine off. In an image of more than
    128 KiB only its end is there, so the code says so by way of E000:0000."""
    code = b''.join(out8(0x3f8, byte) for byte in b'BELOW\n')
    code += out32(0xcf8, 0x80000b40) + out32(0xcfc, 0x601) + out32(0xcf8, 0x80000b80) + out8(0xcfc, 1)
    code += out16(0x604, 0x2000) + b'\xf4\xeb\xfd'
    image = bytearray(kib << 10)
    at = len(image) - 0x10000 + 0xe05b
    if kib >= 128:
        image[at:at + 5] = b'\xea' + struct.pack('<HH', 0, 0xe000)
        at = len(image) - 0x20000
    image[at:at + len(code)] = code
    image[-16:-11] = b'\xea' + struct.pack('<HH', 0xe05b, 0xf000)
    path = folder / 'bios.rom'
    path.write_bytes(image)
    return path


def initrd(folder):
    return linux.make_initrd(folder, INIT)


def with_sections(program, sections, image):
    """An EFI program with files as sections behind its own; what objdump says of the last one goes for objcopy, too."""
    table = subprocess.run(['objdump', '-h', program], capture_output=True, text=True, check=True).stdout
    own = re.findall(r'^ *\d+ \S+ +([0-9a-f]+) +([0-9a-f]+) ', table, re.M)
    at = max(int(vma, 16) + int(size, 16) for size, vma in own)
    command = ['objcopy']
    for name, path in sections.items():
        at = -(-at // 0x10000) * 0x10000
        command += ['--add-section', f'{name}={path}', '--change-section-vma', f'{name}={at:#x}']
        at += path.stat().st_size
    subprocess.run([*command, program, image], check=True)
    return image


def uki(folder, stub, kernel, cmdline):
    """The sections are those of systemd-stub(7)."""
    words = folder / 'cmdline'
    words.write_text(cmdline)
    return with_sections(stub, {'.cmdline': words, '.initrd': initrd(folder), '.linux': kernel}, folder / 'uki.efi')


def xen(folder, hypervisor, kernel):
    """Xen's unified image: the configuration, and Linux as its first guest, paravirtualized. Xen has the serial port, Linux Xen's console."""
    config = folder / 'xen.cfg'
    config.write_text('[global]\ndefault=linux\n[linux]\noptions=com1=115200,8n1 console=com1 loglvl=info noreboot\n'
                      'kernel=linux console=hvc0 panic=-1 quiet\nramdisk=initrd\n')
    return with_sections(hypervisor, {'.config': config, '.ramdisk': initrd(folder), '.kernel': kernel}, folder / 'xen.efi')
