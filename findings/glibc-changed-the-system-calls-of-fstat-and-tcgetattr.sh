#!/bin/bash
# One program makes other system calls with a newer glibc: fstat() went from newfstatat back to fstat, and tcgetattr() asks TCGETS2, not TCGETS.
#
# Package: libc6 2.36-9+deb12u14 (Debian 12), 2.41-12+deb13u5 (Debian 13), 2.43-7 (sid).
# A list of system calls that was made by watching a program on Debian 12 ends the same program on Debian 13 at its first fstat(), and on
# sid when it restores the terminal, which often is the last thing that it does before it ends for another reason.
# Who meets it: whoever shuts a VMM in by seccomp, by a list of its own or by SystemCallFilter=, and lists calls one by one.
# The program below is compiled once. A filter lets each of the four calls fail with an errno of its own, so the errno tells which was made.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
for version in 2.36-9+deb12u14 2.41-12+deb13u5 2.43-7; do
	/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$mirror/pool/main/g/glibc/libc6_${version}_amd64.deb" "$folder/libc6.deb" >/dev/null
	dpkg-deb -x libc6.deb "$version"
	rm libc6.deb
done

cat >ask.c <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

enum { BY_FSTAT = 101, BY_NEWFSTATAT, BY_TCGETS, BY_TCGETS2 };
static const char *const names[] = {"fstat", "newfstatat", "TCGETS", "TCGETS2"};

static const char *name_of(int result)
{
	return result < 0 && errno >= BY_FSTAT && errno <= BY_TCGETS2 ? names[errno - BY_FSTAT] : "something else";
}

int main(void)
{
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define FAILS(value, code) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
	struct sock_filter code[] = {
	        LOAD(nr), FAILS(SYS_fstat, BY_FSTAT), FAILS(SYS_newfstatat, BY_NEWFSTATAT),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        LOAD(args[1]), FAILS(0x5401, BY_TCGETS), FAILS(0x802c542a, BY_TCGETS2), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	struct termios modes;
	struct stat st;
	char line[100];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	int file = fstat(0, &st);
	const char *first = name_of(file);
	int terminal = tcgetattr(0, &modes);
	int size = snprintf(line, sizeof(line), "%s %s\n", first, name_of(terminal));
	return syscall(SYS_write, 1, line, size) < 0;
}
C
cc -D_GNU_SOURCE -include unistd.h -Wall -Werror -o ask ask.c

# expect VERSION FSTAT TCGETATTR
expect() {
	local found
	found=$(find "$1" -name ld-linux-x86-64.so.2 | head -n 1)
	found=$("$found" --library-path "$(dirname "$found")" ./ask)
	echo "libc6 $1: fstat() makes ${found% *}, tcgetattr() asks ${found#* }"
	[ "$found" = "$2 $3" ] || { echo "the finding is old: it was $2, $3"; exit 1; }
}
expect 2.36-9+deb12u14 newfstatat TCGETS
expect 2.41-12+deb13u5 fstat TCGETS
expect 2.43-7 fstat TCGETS2
