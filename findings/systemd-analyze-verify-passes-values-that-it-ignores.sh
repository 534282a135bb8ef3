#!/bin/bash
# systemd-analyze verify exits with 0 for a unit whose values it could not read: it says "ignoring", and the default holds.
#
# Packages: systemd, libsystemd-shared and libsystemd0 252.39-1~deb12u2 (Debian 12).
# A KillMode= or TimeoutStopSec= that cannot be read leaves the default: when the service is stopped, all its processes are killed at once,
# where the unit asked to leave them to the main one. Of a VMM these are helpers of its guest's disks and networks, which the guest still
# needs while it shuts down. A test that looks at the exit status passes such a unit. It must look for the word "ignoring", too.
# Only what keeps a unit from being loaded, a service without ExecStart= for one, changes the exit status.
# Who meets it: whoever lets continuous integration judge the units of a VMM.
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

# verify LINE: what is said of a service with this line, and the exit status.
verify() {
	printf '[Service]\nExecStart=/bin/true\n%s\n' "$1" >guest.service
	status=0
	analyze verify --man=no guest.service >said 2>&1 || status=$?
	printf '%-24s exit status %d: %s\n' "$1" "$status" "$(sed 's#^.*/##' said | head -n 1)"
}
verify KillMode=mixed
[ "$status" = 0 ] && [ ! -s said ]
for line in KillMode=main TimeoutStopSec=soon Restart=sometimes; do
	verify "$line"
	if [ "$status" != 0 ] || ! grep -q 'Failed to parse .*, ignoring' said; then
		echo "the finding is old: the status is $status, or nothing was said"
		exit 1
	fi
done
verify ExecStart=
[ "$status" != 0 ] || {
	echo "the finding is old: not even a unit that cannot be loaded fails"
	exit 1
}
echo "finding holds: values that are ignored do not change the exit status"
