/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forbidden: a library that is loaded into vmm before others (LD_PRELOAD, ld.so(8)). On the thread of a vCPU
 * the software platform looks for signals; the library makes a call then that no list of the sandbox has.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int sigpending(sigset_t *set)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0)
		close(fd);
	return (int)syscall(SYS_rt_sigpending, set, 8);
}
