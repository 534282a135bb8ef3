/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: measures the time from exec to exit with a 64 KiB image that ends the guest from its reset vector:
 * vmm against QEMU's microvm on the same /dev/kvm, in alternating runs. Prints medians and ratios; judges
 * nothing.
 *
 * This is a program of its own, and in C, because a child's peak memory starts at its parent's, and this one
 * is small.
 */
#include <fcntl.h>
#include <getopt.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/flat.h"
#include "vmm/base.h"

#define RUNS_MAX 1000

extern char **environ;

struct subject {
	const char *name;
	const char *const *argv;
	int expected; /* exit status */
	double ms[RUNS_MAX], mib[RUNS_MAX];
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Runs the subject once; false if it did not end as it should. */
static bool measure(struct subject *s, unsigned run)
{
	posix_spawn_file_actions_t files;
	double start = now_ms();
	struct rusage usage;
	int status, sys;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	sys = posix_spawnp(&pid, s->argv[0], &files, NULL, (char *const *)(uintptr_t)s->argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (sys) {
		fprintf(stderr, "%s: %s\n", s->argv[0], strerror(sys));
		return false;
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		return false;
	s->ms[run] = now_ms() - start;
	s->mib[run] = (double)usage.ru_maxrss / 1024;
	if (WIFEXITED(status) && WEXITSTATUS(status) == s->expected)
		return true;
	fprintf(stderr, "%s ended with status 0x%x, exit status %d was expected\n", s->name, (unsigned)status,
	        s->expected);
	return false;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void print_subject(struct subject *s, unsigned runs)
{
	double ms = median(s->ms, runs), mib = median(s->mib, runs);

	printf("%-5s median %7.2f ms (min %.2f, max %.2f)   peak %6.2f MiB\n", s->name, ms, s->ms[0],
	        s->ms[runs - 1], mib);
}

static int compare_subjects(struct subject *vmm, struct subject *qemu, unsigned runs)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!measure(vmm, 0) || !measure(qemu, 0))
			return 1;
	}
	for (unsigned i = 0; i < runs; i++) {
		if (!measure(vmm, i) || !measure(qemu, i))
			return 1;
	}
	print_subject(vmm, runs);
	print_subject(qemu, runs);
	printf("vmm/qemu: time %.3f, memory %.3f (%u alternating runs; the goal is 0.100 for both)\n",
	        vmm->ms[runs / 2] / qemu->ms[runs / 2], vmm->mib[runs / 2] / qemu->mib[runs / 2], runs);
	return 0;
}

static void make_images(const char *vmm_image, const char *qemu_image)
{
	static struct flat flat;

	flat_init(&flat);
	flat_power_off(&flat);
	flat_save(&flat, vmm_image);
	flat_init(&flat);
	flat_out8(&flat, 0xf4, 0); /* isa-debug-exit: exit status 0 << 1 | 1 */
	FLAT(&flat, 0xf4);
	flat_save(&flat, qemu_image);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"vmm", 1, NULL, 'v'}, {"qemu", 1, NULL, 'q'},
	        {"runs", 1, NULL, 'n'}, {"help", 0, NULL, 'h'}, {0}};
	const char *vmm_path = "build/src/vmm", *qemu_path = "qemu-system-x86_64";
	char vmm_image[] = "/tmp/vmm-start-XXXXXX", qemu_image[] = "/tmp/vmm-start-XXXXXX", firmware[64];
	static struct subject vmm, qemu;
	unsigned runs = 41;
	int c, result;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'v': vmm_path = optarg; break;
		case 'q': qemu_path = optarg; break;
		case 'n': runs = (unsigned)strtoul(optarg, NULL, 10); break;
		default:
			fprintf(stderr, "usage: bench_start [--vmm PATH] [--qemu PATH] [--runs N]\n"
			                "From exec to exit of a 64 KiB image that ends the guest at once, on "
			                "/dev/kvm: vmm "
			                "against QEMU's microvm, in alternating runs. Prints medians and "
			                "ratios; judges "
			                "nothing.\n");
			return c == 'h' ? 0 : 2;
		}
	}
	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "--runs: from 1 to %d\n", RUNS_MAX);
		return 2;
	}
	close(mkstemp(vmm_image));
	close(mkstemp(qemu_image));
	make_images(vmm_image, qemu_image);
	snprintf(firmware, sizeof(firmware), "firmware=%s", vmm_image);

	const char *const vmm_argv[] = {
	        vmm_path, "run", "--set", firmware, "--set", "machine.memory=128M", NULL};
	const char *const qemu_argv[] = {qemu_path, "-M", "microvm", "-accel", "kvm", "-m", "128M",
	        "-nodefaults", "-no-user-config", "-display", "none", "-bios", qemu_image, "-device",
	        "isa-debug-exit,iobase=0xf4,iosize=1", NULL};

	vmm = (struct subject){.name = "vmm", .argv = vmm_argv, .expected = 0};
	qemu = (struct subject){.name = "qemu", .argv = qemu_argv, .expected = 1};
	result = compare_subjects(&vmm, &qemu, runs);
	unlink(vmm_image);
	unlink(qemu_image);
	return result;
}
