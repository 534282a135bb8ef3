#!/bin/bash
# virt-qemu-sev-validate calls an honest SEV-ES guest of a current host tampered with: it builds the registers only as old kernels set them.
#
# Package: libvirt-clients-qemu 9.0.0-4+deb12u2 (Debian 12); 11.3.0 of Debian 13 does the same.
# A SEV-ES measurement covers the VMSA of every virtual processor. Up to Linux 6.9, and with KVM_SEV_ES_INIT on every kernel, KVM leaves the
# x87 and SSE part of it zero; with KVM_SEV_INIT2 (Linux 6.10; newer QEMU uses it where it is there) it holds the reset values, FCW 37f and
# MXCSR 1f80. Asked to build the VMSA from --cpu-family and its kin, the tool writes zeros there, has no option to say otherwise, and
# answers "Measurement does not match, VM is not trustworthy". The same registers given as files (--vmsa-cpu0, --vmsa-cpu1) are taken.
# Who meets it: an owner whose host moved to a newer kernel or QEMU, with nothing changed in the guest.
# The measurements are made here, by the SEV API's formula (LAUNCH_MEASURE) under keys of this script, for an image with no code in it.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download libvirt-clients-qemu=9.0.0-4+deb12u2 python3-cryptography=38.0.4-3+deb12u1 \
	python3-cffi-backend=1.15.1-5+b1
for package in *.deb; do dpkg-deb -x "$package" root; done
# The tool also imports libvirt's and lxml's modules, which it uses only when it asks a running libvirt.
mkdir -p modules/lxml
touch modules/libvirt.py modules/lxml/__init__.py modules/lxml/etree.py
export PYTHONPATH=$folder/modules:$folder/root/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1
tool=root/usr/bin/virt-qemu-sev-validate

# firmware, vmsa.old, vmsa.new, tik, tek, and measure.old, measure.new in base64.
/usr/bin/python3 - "$tool" <<'PYTHON'
import base64, hashlib, hmac, importlib.machinery, importlib.util, struct, sys, uuid

loader = importlib.machinery.SourceFileLoader('validate', sys.argv[1])
validate = importlib.util.module_from_spec(importlib.util.spec_from_loader('validate', loader))
loader.exec_module(validate)

# An image that says where application processors start, as OVMF does: a table of GUIDs that ends 32 bytes before the image's end.
guid = lambda text: uuid.UUID(text).bytes_le
entry = struct.pack('<IH', 0x80b004, 4 + 18) + guid('00f771de-1a7e-4fcb-890e-68c77e2fb44e')
table = entry + struct.pack('<H', len(entry) + 18) + guid('96b582de-1fb2-45f7-baea-a366c55a082d')
image = (table + bytes(32)).rjust(4096, b'\0')
open('firmware', 'wb').write(image)

vmsa = validate.VMSA()
vmsa.amd64_cpu_init(), vmsa.kvm_cpu_init(), vmsa.qemu_cpu_init(), vmsa.cpu_sku(25, 1, 1)
old = vmsa.pack()
mxcsr, fcw = slice(0x408, 0x40c), slice(0x410, 0x412)
print('the tool\'s VMSA has MXCSR', old[mxcsr][::-1].hex(), 'and FCW', old[fcw][::-1].hex())
assert len(old) == 4096 and not any(old[mxcsr]) and not any(old[fcw])
new = bytearray(old)
new[mxcsr], new[fcw] = struct.pack('<I', 0x1f80), struct.pack('<H', 0x37f)

tik, nonce = bytes(range(16)), bytes(range(16, 32))
open('tik', 'wb').write(tik)
open('tek', 'wb').write(bytes(16))
for name, state in ('old', old), ('new', bytes(new)):
    open(f'vmsa.{name}', 'wb').write(state)
    head = struct.pack('<BBBBI', 4, 1, 55, 29, 5)
    mac = hmac.new(tik, head + hashlib.sha256(image + state).digest() + nonce, hashlib.sha256).digest()
    open(f'measure.{name}', 'w').write(base64.b64encode(mac + nonce).decode())
PYTHON

# expect STATUS TEXT NAME OPTION...: the tool ends so and says that of the measurement of a guest with NAME registers.
expect() {
	local status=0
	/usr/bin/python3 "$tool" --api-major 1 --api-minor 55 --build-id 29 --policy 5 --firmware firmware --num-cpus 1 --tik tik --tek tek \
		--measurement "$(cat "measure.$3")" "${@:4}" >told 2>&1 || status=$?
	echo "measurement of a guest with $3 registers, ${*:4}: status $status: $(tail -n 1 told)"
	if [ "$status" != "$1" ] || ! grep -qF "$2" told; then
		echo "the finding is old: wanted status $1 and \"$2\""
		exit 1
	fi
}

cpu=(--cpu-family 25 --cpu-model 1 --cpu-stepping 1)
expect 0 'OK: Looks good to me' old "${cpu[@]}"
expect 1 'Measurement does not match, VM is not trustworthy' new "${cpu[@]}"
expect 0 'OK: Looks good to me' new --vmsa-cpu0 vmsa.new --vmsa-cpu1 vmsa.new
if /usr/bin/python3 "$tool" --help | grep -iE 'init2|mxcsr|fcw|x87'; then
	echo "the finding is old: there is an option for it"
	exit 1
fi
echo "finding holds"
