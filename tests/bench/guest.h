/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: what the first process of a measured guest needs beside its jobs: it loads modules, and powers the
 * guest off at its end or when something fails.
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void die(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	power_off();
}

/* Loads /modules/NN.ko in their order. Numbers may be missing. */
__attribute__((unused)) static void load_modules(void)
{
	for (unsigned i = 0; i < 100; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/modules/%02u.ko", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (syscall(SYS_finit_module, fd, "", 0) < 0)
			die(path);
		close(fd);
	}
}

#endif
