#!/bin/bash
# io_uring's writes "at the current file position" (offset -1) and another process's write(2) to the same open file overwrite each other.
#
# Package: liburing-dev and liburing2 2.3-3 (Debian 12); seen with Linux 6.18 on ext4. write(2) of both processes loses nothing, because
# the kernel holds the file's position locked meanwhile. io_uring reads the position, writes, and sets it, without that lock.
# Who meets it: a VMM that writes its guest's console by io_uring while its own messages go to the same file, as in `vmm run >log 2>&1` of
# a CI job: a few bytes of the guest's output are missing now and then, and nothing reports an error.
# A way that works: write(2) for regular files.
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

cat >both.c <<'C'
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_BYTES 20000
#define OWN_BYTES   2000

static long by_ring(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	long written;

	io_uring_prep_write(sqe, fd, "aaaaa", 5, (__u64)-1);
	if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_wait_cqe(ring, &cqe) < 0)
		return -1;
	written = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return written;
}

/* Prints how many of the bytes that both processes wrote without an error are not in the file. */
int main(int argc, char **argv)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	long own = 0, n = 0;
	struct io_uring ring;
	struct stat st;
	pid_t child;

	if (fd < 0 || argc != 2 || io_uring_queue_init(4, &ring, 0) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		for (int i = 0; i < CHILD_BYTES; i++) {
			if (write(fd, "b", 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (; own < OWN_BYTES && n >= 0; own += n)
		n = strcmp(argv[1], "ring") == 0 ? by_ring(&ring, fd) : write(fd, "aaaaa", 5);
	if (n < 0 || waitpid(child, &status, 0) < 0 || status != 0 || fstat(fd, &st) < 0)
		return 1;
	printf("%ld\n", own + CHILD_BYTES - (long)st.st_size);
	return 0;
}
C
cc -O1 -Wall -Wextra -Werror -Iroot/usr/include both.c root/usr/lib/x86_64-linux-gnu/liburing.a -o both

missing() {
	local sum=0 lost
	for _ in {1..20}; do
		lost=$(./both "$1")
		sum=$((sum + lost))
	done
	echo "$sum"
}

with_ring=$(missing ring) with_write=$(missing write)
echo "Linux $(uname -r), $(stat -f -c %T .), 20 rounds: $with_ring bytes missing with io_uring, $with_write with write(2)"
if [ "$with_ring" -le 0 ] || [ "$with_write" != 0 ]; then
	echo "the finding is old: io_uring loses nothing, or write(2) does, too"
	exit 1
fi
echo "finding holds: bytes that were written without an error are missing"
