/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits: measures what the record of shared pages costs a guest that does nothing but report pages
 * (KVM_HC_MAP_GPA_RANGE): the same guest's exits are handled as vmm does, handled without the record, and
 * only answered before the guest is entered again. It judges nothing: docs/performance.md has the figures.
 *
 * page_convert() is called by way of __wrap_page_convert() (ld --wrap), which leaves the record out if told
 * so.
 */
#include <getopt.h>
#include <linux/kvm_para.h>
#include <time.h>

#include "../../src/run/vcpu.h"
#include "support/flat.h"
#include "unit/launch/bench.h"
#include "vmm/call.h"
#include "vmm/sim.h"

#define FIRST     UINT64_C(0x100000)
#define APART     UINT64_C(0x2000) /* so that each page that is shared becomes a range */
#define PAGES     256u
#define SHORTER   4u /* turns of the guest with one page, whose map is the same after any two exits */
#define TURNS_MAX 1001u

int __real_page_convert(
        struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private, struct err *err);
int __wrap_page_convert(
        struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private, struct err *err);

static bool without_record;

int __wrap_page_convert(
        struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private, struct err *err)
{
	return without_record ? 0 : __real_page_convert(memory, start, size_bytes, private, err);
}

/* ---- the guest ---- */

static void mov_ebx(struct flat *f, uint32_t value)
{
	FLAT(f, 0x66, 0xbb);
	flat_bytes(f, &value, 4);
}

static void report(struct flat *f)
{
	FLAT(f, 0x66, 0xb8, KVM_HC_MAP_GPA_RANGE, 0, 0, 0, 0x0f, 0x01, 0xd9); /* mov eax; vmmcall */
}

static void jump_back(struct flat *f, uint8_t opcode, size_t to)
{
	FLAT(f, opcode, (uint8_t)(to - (f->at + 2)));
}

/* Shares the page and takes it back, for ever. */
static void flip_one_page(struct flat *f)
{
	size_t again = f->at;

	mov_ebx(f, FIRST);
	report(f);
	FLAT(f, 0x66, 0x83, 0xf2, 0x10); /* xor edx, encrypted */
	jump_back(f, 0xeb, again);
}

/* Shares all the pages, then takes all of them back, for ever. */
static void flip_many_pages(struct flat *f)
{
	const uint32_t step = APART, end = FIRST + PAGES * APART;
	size_t again = f->at, next;

	mov_ebx(f, FIRST);
	next = f->at;
	report(f);
	FLAT(f, 0x66, 0x81, 0xc3); /* add ebx, step; cmp ebx, end; jne next */
	flat_bytes(f, &step, 4);
	FLAT(f, 0x66, 0x81, 0xfb);
	flat_bytes(f, &end, 4);
	jump_back(f, 0x75, next);
	FLAT(f, 0x66, 0x83, 0xf2, 0x10);
	jump_back(f, 0xeb, again);
}

/* ---- the VMM ---- */

_Static_assert(FLAT_BYTES == IMAGE_BYTES, "the same places in both");

struct options {
	const char *host;
	unsigned turns;
};

enum way { ENTER_AGAIN, WITHOUT_RECORD, HANDLE, WAYS };

static struct bench bench;
static struct run_vcpu vcpu;

static void check(int result, const struct err *err)
{
	if (result >= 0)
		return;
	fprintf(stderr, "bench_exits: %s\n", err->text);
	exit(1);
}

/* A SEV guest on the software platform; on KVM a plain one, of which the record is kept all the same. */
static void launch(struct host *host, bool kvm, void (*write_guest)(struct flat *f))
{
	/* The bench has nobody to be told of a storm. */
	const char *const sev[] = {
	        "machine.memory=16M", "sev.page-status=true", "sev.conversion-storm=0", NULL};
	const char *const plain[] = {"machine.memory=16M", NULL};
	static struct flat flat;
	struct err err;

	bench_start(&bench);
	flat_init(&flat);
	FLAT(&flat, 0x66, 0xb9, 1, 0, 0, 0, 0x66, 0x31, 0xd2); /* mov ecx, 1; xor edx, edx */
	write_guest(&flat);
	memcpy(bench.image.bytes + FLAT_START, flat.image + FLAT_START, flat.at - FLAT_START);
	memcpy(bench.image.bytes + FLAT_BYTES - 16, flat.image + FLAT_BYTES - 16, 16);
	bench_config(&bench, kvm ? "none" : "sev", kvm ? plain : sev);
	check(bench_launch_on(&bench, host), &bench.err);
	if (kvm) {
		check(call_vm_enable_capability(host, machine_vm_fd(bench.vm), KVM_CAP_EXIT_HYPERCALL,
		              1 << KVM_HC_MAP_GPA_RANGE, &err),
		        &err);
		check(page_memory_keep_record(machine_vm_memory(bench.vm), 65536, &err), &err);
	}
	vcpu = (struct run_vcpu){
	        .machine = bench.machine, .vm = bench.vm, .kvm = machine_vm_vcpu(bench.vm, 0)};
}

static void do_exit(enum way way)
{
	struct kvm_run *run = vcpu.kvm->run;
	bool is_report;

	if (way == ENTER_AGAIN)
		check(call_vcpu_run(machine_host(vcpu.machine), vcpu.kvm->fd, run, &vcpu.err), &vcpu.err);
	else
		check(run_vcpu_to_exit(&vcpu), &vcpu.err);
	is_report = run->exit_reason == KVM_EXIT_HYPERCALL && run->hypercall.nr == KVM_HC_MAP_GPA_RANGE;
	if (way == ENTER_AGAIN)
		run->hypercall.ret = 0;
	else if (run_vcpu_on_exit(&vcpu) != RUN_VCPU_RESUME)
		is_report = false;
	if (is_report && run->hypercall.ret == 0)
		return;
	fprintf(stderr, "bench_exits: the guest left for another reason: %s\n",
	        host_exit_name(run->exit_reason) ?: "unknown");
	exit(1);
}

static uint64_t changes(void)
{
	struct page_record record;

	page_record_count(machine_vm_memory(bench.vm), &record);
	return record.generation;
}

/* Returns ns of this thread's processor time an exit. The map is as before afterwards. */
static double time_exits(enum way way, unsigned exits)
{
	uint64_t before = changes(), start;

	without_record = way == WITHOUT_RECORD;
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < exits; i++)
		do_exit(way);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	/* What the map does by itself, such as splitting a full block, counts as a change, too. */
	if (way == HANDLE ? changes() - before < exits : changes() != before) {
		fprintf(stderr, "bench_exits: %llu changes of the record in %u exits\n",
		        (unsigned long long)(changes() - before), exits);
		exit(1);
	}
	return (double)start / exits;
}

/* ---- the table ---- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), by_size);
	return values[count / 2];
}

/* The median of the ratios of two ways in the same turn, whose times are next to each other. */
static double ratio(const double *times, const double *others, unsigned turns)
{
	static double ratios[SHORTER * TURNS_MAX];

	for (unsigned i = 0; i < turns; i++)
		ratios[i] = times[i] / others[i];
	return median(ratios, turns);
}

struct job {
	const char *pages;
	void (*write_guest)(struct flat *f);
	unsigned shorter;
};

static void measure(const struct options *options, struct host *host, const struct job *job)
{
	static double times[WAYS][SHORTER * TURNS_MAX];
	unsigned turns = options->turns * job->shorter;
	double record, all;

	launch(host, strcmp(options->host, "kvm") == 0, job->write_guest);
	for (unsigned turn = 0; turn < turns; turn++)
		for (unsigned i = 0; i < WAYS; i++) {
			enum way way = (i + turn) % WAYS;

			times[way][turn] = time_exits(way, 2 * PAGES / job->shorter);
		}
	record = ratio(times[HANDLE], times[WITHOUT_RECORD], turns);
	all = ratio(times[HANDLE], times[ENTER_AGAIN], turns);
	printf("| %s | %s |", options->host, job->pages);
	for (unsigned way = 0; way < WAYS; way++)
		printf(" %.0f |", median(times[way], turns));
	printf(" %.0f | %.3f | %.3f |", 1e6 / times[HANDLE][turns / 2], record, all);
	for (unsigned way = 0; way < WAYS; way++)
		printf(" %.0f%s", times[way][0], way + 1 < WAYS ? "," : " |\n");
	fflush(stdout);
	bench_end(&bench);
}

static int usage(FILE *out)
{
	fprintf(out,
	        "usage: bench_exits [--host sim|kvm] [--turns N]\n"
	        "What the record of shared pages costs a guest that reports pages without end: a SEV guest "
	        "on the\nsoftware platform, or a plain guest on KVM, which the lab has. A turn (of 1001) has "
	        "512 exits handled\nin each way. ns of processor time an exit, medians and least, and "
	        "medians "
	        "of the ratios of ways that\nfollow each other. Judges nothing.\n");
	return out == stdout ? 0 : 2;
}

static bool read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
	        {"host", required_argument, NULL, 'h'}, {"turns", required_argument, NULL, 't'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'h')
			options->host = optarg;
		else if (c == 't')
			options->turns = (unsigned)strtoul(optarg, NULL, 10);
		else
			return false;
	}
	return optind == argc && options->turns && options->turns <= TURNS_MAX &&
	       (strcmp(options->host, "sim") == 0 || strcmp(options->host, "kvm") == 0);
}

int main(int argc, char **argv)
{
	static const struct job jobs[] = {{"one", flip_one_page, SHORTER}, {"256", flip_many_pages, 1}};
	const struct sim_options platform = {.product = "Milan", .seed = 7};
	struct options options = {.host = "sim", .turns = TURNS_MAX};
	struct host *host;
	struct err err;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (!read_options(argc, argv, &options))
		return usage(stderr);
	log_set_level(LOG_ERROR);
	check(strcmp(options.host, "sim") == 0 ? sim_host_create(&platform, &host, &err)
	                                       : host_kernel_create(&host, &err),
	        &err);
	printf("| host | pages | entered again | without record | handled | exits a ms | handled / without "
	       "record | handled / entered again | least |\n|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		measure(&options, host, &jobs[i]);
	host_destroy(host);
	return 0;
}
