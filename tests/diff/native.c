/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native: the host's side of the test: starts the process that runs cases (native_child.c) and hands them
 * over.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "native.h"

struct diff_native {
	struct diff_shared *shared;
	pid_t child;
	int to_child, from_child;
};

/* Puts the descriptors where the child expects them; they are above those numbers now. */
static void start_child(const char *program, int memory, int in, int out)
{
	if (dup2(memory, DIFF_FD_SHARED) < 0 || dup2(in, DIFF_FD_IN) < 0 || dup2(out, DIFF_FD_OUT) < 0)
		_exit(2);
	execl(program, program, (char *)NULL);
	perror(program);
	_exit(2);
}

struct diff_native *diff_native_start(const char *program)
{
	struct diff_native *n = calloc(1, sizeof(*n));
	int memory = memfd_create("cpu_diff", MFD_CLOEXEC), down[2], up[2];

	if (!n || memory < 0 || ftruncate(memory, sizeof(*n->shared)) || pipe2(down, O_CLOEXEC) ||
	        pipe2(up, O_CLOEXEC))
		abort();
	n->shared = mmap(NULL, sizeof(*n->shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (n->shared == MAP_FAILED)
		abort();
	n->child = fork();
	if (n->child == 0)
		start_child(program, fcntl(memory, F_DUPFD_CLOEXEC, 10), fcntl(down[0], F_DUPFD_CLOEXEC, 10),
		        fcntl(up[1], F_DUPFD_CLOEXEC, 10));
	close(memory);
	close(down[0]);
	close(up[1]);
	n->to_child = down[1];
	n->from_child = up[0];
	return n;
}

bool diff_native_run(struct diff_native *n, const struct diff_case *cases, unsigned count,
        uint8_t data[DIFF_DATA_BYTES], struct diff_result *ret_results)
{
	struct pollfd wait = {.fd = n->from_child, .events = POLLIN};
	char byte = 0;

	memcpy(n->shared->cases, cases, count * sizeof(*cases));
	memcpy(n->shared->data, data, DIFF_DATA_BYTES);
	n->shared->count = count;
	if (write(n->to_child, &byte, 1) != 1 || poll(&wait, 1, 10000) != 1 ||
	        read(n->from_child, &byte, 1) != 1) {
		fprintf(stderr, "the child stopped at case %u: %s\n", n->shared->next,
		        n->shared->next ? cases[n->shared->next - 1].form : "none");
		return false;
	}
	memcpy(ret_results, n->shared->results, count * sizeof(*ret_results));
	memcpy(data, n->shared->data, DIFF_DATA_BYTES);
	return true;
}

void diff_native_stop(struct diff_native *n)
{
	close(n->to_child);
	close(n->from_child);
	kill(n->child, SIGKILL);
	waitpid(n->child, NULL, 0);
	munmap(n->shared, sizeof(*n->shared));
	free(n);
}
