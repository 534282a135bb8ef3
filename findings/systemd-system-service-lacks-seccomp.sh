#!/bin/bash
# systemd's set of system calls for services, @system-service, does not have seccomp(2), and no other of its sets but @known has it.
#
# Packages: systemd, libsystemd-shared and libsystemd0 252.39-1~deb12u2 (Debian 12).
# The manual of systemd.exec calls the set a reasonable choice for system services. A service that shuts its own threads in more tightly with
# a filter of its own, as VMMs and their helpers do, cannot do so under SystemCallFilter=@system-service: the call ends the process (SIGSYS), or
# fails if the unit has SystemCallErrorNumber=. prctl(2) is in the set, and can set a filter too, but only for the calling thread, without
# SECCOMP_FILTER_FLAG_TSYNC.
# Who meets it: whoever writes a unit for a VMM. The remedy is a word more: SystemCallFilter=@system-service seccomp
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=252.39-1~deb12u2
apt-get -qq -o APT::Sandbox::User=root download systemd=$version libsystemd-shared=$version libsystemd0=$version
for package in ./*.deb; do
	dpkg-deb -x "$package" root
done
analyze() {
	LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu/systemd:root/usr/lib/x86_64-linux-gnu root/usr/bin/systemd-analyze "$@"
}
analyze --version | head -n 1

# The calls and sets that a set names, and those of the sets in it.
members() {
	local word
	analyze syscall-filter "$1" 2>/dev/null | sed -E '1d; /^ *#/d; s/^ +//; /^$/d' | while read -r word; do
		case $word in
		@*) members "$word" ;;
		*) echo "$word" ;;
		esac
	done
}
members @system-service | sort -u >calls
echo "@system-service has $(wc -l <calls) calls, of which prctl: $(grep -cx prctl calls), seccomp: $(grep -cx seccomp calls || true)"
sets=$(analyze syscall-filter 2>/dev/null | awk '/^@/ { set = $1 } $1 == "seccomp" { print set }')
echo "sets that have seccomp: $sets"
if ! grep -qx prctl calls || [ "$(wc -l <calls)" -lt 200 ]; then
	echo "the finding is old: the list is not what it was"
	exit 1
fi
if grep -qx seccomp calls || [ "$sets" != @known ]; then
	echo "the finding is old: a set that services use has seccomp"
	exit 1
fi
echo "finding holds: @system-service has no seccomp(2)"
