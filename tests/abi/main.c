/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: abi kvm|sim [CHAPTER]...: prints the transcript of one host. A watchdog ends a guest that hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "vmm/sim.h"
#include "vmm/uapi.h"

#include "abi.h"

#define SECONDS_MAX 120

static const struct chapter *const chapters[] = {&chapter_system, &chapter_vm, &chapter_vcpu, &chapter_ports,
        &chapter_memory, &chapter_modes, &chapter_interrupts, &chapter_processors, &chapter_events,
        &chapter_state, &chapter_debug, &chapter_msrs, &chapter_registers, &chapter_traps, &chapter_lapic,
        &chapter_quirks, &chapter_split, &chapter_dirty, &chapter_runs, &chapter_hypercalls, &chapter_missing,
        &chapter_no_sev, &chapter_sev_context, &chapter_sev_launch, &chapter_sev_es, &chapter_sev_memory,
        &chapter_sev_share, &chapter_snp_memory, &chapter_snp_launch, &chapter_sev_device, &chapter_sev_types,
        &chapter_sev_registers, &chapter_sev_send, &chapter_sev_init, &chapter_sev_runs, &chapter_sev_debug,
        &chapter_sev_moves};

int say(int result, const char *fmt, ...)
{
	int sys = errno;
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	if (result < 0)
		printf(": %s\n", err_sys_name(sys));
	else
		printf(": %d\n", result);
	errno = sys;
	return result;
}

void tell(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void give_up(const char *what)
{
	fprintf(stderr, "abi: %s: %s\n", what, err_sys_name(errno));
	exit(1);
}

int ask(struct abi *abi, int fd, unsigned long request, const void *arg)
{
	return host_ioctl(abi->host, fd, request, (void *)(uintptr_t)arg);
}

int ask_number(struct abi *abi, int fd, unsigned long request, unsigned long number)
{
	return host_ioctl_number(abi->host, fd, request, number);
}

static int create_host(const char *name, bool sev, struct host **ret_host, struct err *err)
{
	/*
	 * The software platform has a processor with SEV and one without; each chapter says which one it is
	 * for.
	 */
	const struct sim_options options = {.clock = SIM_CLOCK_VIRTUAL, .product = sev ? "Milan" : NULL};

	if (strcmp(name, "sim") == 0)
		return sim_host_create(&options, ret_host, err);
	if (strcmp(name, "kvm") == 0)
		return host_kernel_create(ret_host, err);
	return err_set(err, ERR_USAGE, "abi kvm|sim [CHAPTER]...");
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

/* Does the host have all that the chapters with SEV ask for? The software platform's second one does. */
static bool has_sev(const struct abi *abi)
{
	const unsigned wanted_types = 1u << UAPI_VM_SEV | 1u << UAPI_VM_SEV_ES | 1u << UAPI_VM_SNP;
	int types = host_ioctl_number(abi->host, abi->kvm, KVM_CHECK_EXTENSION, UAPI_CAP_VM_TYPES);

	return types > 0 && ((unsigned)types & wanted_types) == wanted_types;
}

static int run_chapters(const char *host, bool sev, char **names)
{
	struct abi abi = {0};
	struct err err;

	if (create_host(host, sev, &abi.host, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	abi.kvm = host_open(abi.host, "/dev/kvm", O_RDWR);
	if (abi.kvm < 0) {
		fprintf(stderr, "skipped: /dev/kvm: %s\n", err_sys_name(errno));
		return 77;
	}
	for (size_t i = 0; i < ARRAY_LEN(chapters); i++) {
		if (chapters[i]->sev != sev || !wanted(chapters[i]->name, names) || (sev && !has_sev(&abi)))
			continue;
		tell("== %s", chapters[i]->name);
		chapters[i]->run(&abi);
	}
	host_close(abi.host, abi.kvm);
	host_destroy(abi.host);
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(SECONDS_MAX);
	if (argc < 2) {
		fprintf(stderr, "abi kvm|sim [CHAPTER]...\n");
		return 2;
	}
	status = run_chapters(argv[1], false, argv + 2);
	return status ? status : run_chapters(argv[1], true, argv + 2);
}
