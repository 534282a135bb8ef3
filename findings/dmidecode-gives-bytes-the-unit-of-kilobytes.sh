#!/bin/bash
# dmidecode writes a "k" behind the extended addresses of mapped memory, which are bytes: 1024 times what the tables say.
#
# Package: dmidecode 3.4-1 (Debian 12); 3.6 of Debian 13 does the same.
# A Memory Array Mapped Address structure (SMBIOS, type 19) gives start and end in KiB, in 32 bits; memory that ends above 4 TiB has both at
# ffffffff and uses two fields of 64 bits, "extended", which are in bytes (DSP0134, 7.20). dmidecode prints these with the unit of
# the short ones, while the size that it computes from the same two numbers, in the next line, takes them for bytes.
# Who meets it: whoever writes the tables of a large guest and lets dmidecode judge them; a right table looks wrong by 1024, and one that
# is made to look right is wrong by the specification.
# The table here holds one such structure: the 2 TiB that start at 4 TiB.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download dmidecode=3.4-1
dpkg-deb -x dmidecode_*.deb root
root/usr/sbin/dmidecode --version

# A dump as dmidecode takes it: an entry point of SMBIOS 2.8 (5.2.1), and behind it, at 20h, the structures.
/usr/bin/python3 - <<'PYTHON'
import struct

tib = 1 << 40
mapped = struct.pack('<BBHIIHBQQ', 19, 31, 1, 0xffffffff, 0xffffffff, 2, 1, 4 * tib, 6 * tib - 1) + b'\0\0'
tables = mapped + struct.pack('<BBH', 127, 4, 3) + b'\0\0'
zero = lambda data: bytes([-sum(data) & 255])
inner = b'_DMI_\0' + struct.pack('<HIHB', len(tables), 32, 2, 0x28)
inner = inner[:5] + zero(inner) + inner[6:]
outer = b'_SM_\0' + struct.pack('<BBBHB5x', 31, 2, 8, len(mapped), 0) + inner
outer = outer[:4] + zero(outer) + outer[5:]
assert len(outer) == 31 and sum(outer) % 256 == 0
open('dump', 'wb').write(outer + b'\0' + tables)
PYTHON

root/usr/sbin/dmidecode --from-dump dump >told 2>&1
cat told
for line in 'Starting Address: 0x0000040000000000k' 'Ending Address: 0x000005FFFFFFFFFFk' 'Range Size: 2 TB'; do
	grep -qF "$line" told || {
		echo "the finding is old: wanted \"$line\""
		exit 1
	}
done
echo "finding holds: 40000000000h KiB would be 4 PiB, and their distance not 2 TB"
