#!/bin/bash
# liburing's header offers io_uring_register_restrictions() and io_uring_enable_rings(), and its shared library exports neither.
#
# Package: liburing-dev and liburing2 2.3-3 (Debian 12). The static library of the same package has both.
# The two calls limit a ring to the operations that a program names. They are what keeps a program in a sandbox from opening files and
# sockets by way of its ring, where no seccomp filter looks. A call of either compiles without a warning and fails when it is linked.
# Who meets it: whoever shuts a VMM in and wants its rings to obey the sandbox, on the oldest Debian that has the libraries for it.
# A way that works with every version: syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_RESTRICTIONS, ...).
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download liburing-dev=2.3-3 liburing2=2.3-3
for package in ./*.deb; do
	dpkg-deb -x "$package" root
done
library=root/usr/lib/x86_64-linux-gnu

cat >limit.c <<'C'
#include <liburing.h>

int main(void)
{
	struct io_uring_restriction only_reads = {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ};
	struct io_uring ring;

	if (io_uring_queue_init(4, &ring, IORING_SETUP_R_DISABLED) < 0)
		return 1;
	return io_uring_register_restrictions(&ring, &only_reads, 1) < 0 || io_uring_enable_rings(&ring) < 0;
}
C
cc -Wall -Werror -Iroot/usr/include -c limit.c -o limit.o
echo "compiles without a warning"
cc limit.o "$library/liburing.a" -o limit-static
echo "links with liburing.a"
if cc limit.o "$library/liburing.so.2" -o limit-shared 2>said; then
	echo "the finding is old: it links with the shared library, too"
	exit 1
fi
cat said
for name in io_uring_register_restrictions io_uring_enable_rings; do
	grep -qF "undefined reference to \`$name'" said && grep -q "\b$name(" root/usr/include/liburing.h || {
		echo "the finding is old: $name is not in the header, or the linker finds it"
		exit 1
	}
done
echo "finding holds: both are declared, and the shared library has neither"
