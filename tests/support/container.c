/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: container ERRNO COMMAND [ARGUMENT...]
 * Runs a command as in a container: support/container.h. ERRNO is the number that io_uring is refused with.
 */
#include <string.h>

#include "support/container.h"

int main(int argc, char **argv)
{
	int sys = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;

	if (sys <= 0) {
		fputs("usage: container ERRNO COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	if (container_enter(sys) < 0) {
		printf("skipped: no seccomp filter can be set here: %s\n", strerror(errno));
		return 77;
	}
	/* A filter that lets io_uring through would show nothing. */
	if (syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != sys) {
		fputs("container: io_uring is not refused\n", stderr);
		return 1;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "container: %s: %s\n", argv[2], strerror(errno));
	return 1;
}
