/* SPDX-License-Identifier: Apache-2.0 */
/* guest_bench: the functions that guest.c of tests/abi needs from its program, and a platform. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "guest_bench.h"

int guest_bench_setup(void **state)
{
	const struct sim_options options = {.clock = SIM_CLOCK_VIRTUAL};
	struct abi *abi = calloc(1, sizeof(*abi));
	struct err err;

	assert_ok(sim_host_create(&options, &abi->host, &err));
	abi->kvm = host_open(abi->host, "/dev/kvm", O_RDWR);
	assert_true(abi->kvm >= 0);
	*state = abi;
	return 0;
}

int guest_bench_teardown(void **state)
{
	struct abi *abi = *state;

	host_close(abi->host, abi->kvm);
	host_destroy(abi->host);
	free(abi);
	return 0;
}

int say(int result, const char *fmt, ...)
{
	return result;
}

void tell(const char *fmt, ...)
{
}

void give_up(const char *what)
{
	fail_msg("%s: %s", what, err_sys_name(errno));
	abort();
}

int ask(struct abi *abi, int fd, unsigned long request, const void *arg)
{
	return host_ioctl(abi->host, fd, request, (void *)(uintptr_t)arg);
}

int ask_number(struct abi *abi, int fd, unsigned long request, unsigned long number)
{
	return host_ioctl_number(abi->host, fd, request, number);
}
