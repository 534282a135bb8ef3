/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches on the software platform, whose secure processor measures by code of its own: its digest must be
 * the one that was computed beforehand, and the guest must reach its first instruction. The image is Debian
 * 13's OVMF where the cache has it, else a small one of our own.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "../../src/host/fault.h"
#include "../../src/launch/launch.h"
#include "support/cache.h"
#include "support/folder.h"
#include "unit/launch/bench.h"
#include "vmm/call.h"
#include "vmm/sim.h"

static struct bench bench;
static struct err err;
static struct host *host;
static char ovmf[300];

static int setup(void **state)
{
	const struct sim_options options = {.product = "Milan", .seed = 7};

	bench_start(&bench);
	assert_ok(sim_host_create(&options, &host, &err));
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	host_destroy(host);
	return 0;
}

static void find_ovmf(void)
{
	struct stat st;

	cache_path("firmware/trixie/OVMF.fd", ovmf, sizeof(ovmf));
	if (stat(ovmf, &st) < 0)
		ovmf[0] = '\0';
}

static int launch_on_sim(const char *type, unsigned vcpus, const char *const *more)
{
	char count[32], image[320];
	const char *sets[8] = {count, "machine.memory=32M"};
	size_t n = 2;

	snprintf(count, sizeof(count), "machine.vcpus=%u", vcpus);
	snprintf(image, sizeof(image), "firmware=%s", ovmf);
	if (*ovmf)
		sets[n++] = image;
	for (; more && *more; more++)
		sets[n++] = *more;
	bench_config(&bench, type, sets);
	return bench_launch_on(&bench, host);
}

static void assert_digest_as_told(const char *type)
{
	const struct launch_digest *told = launch_digest_of(bench.launch);
	struct sim_guest_view view;

	assert_true(sim_guest_view(host, 0, &view));
	assert_string_equal(view.state, "RUNNING");
	assert_int_equal(view.digest_bytes, told->size_bytes);
	assert_memory_equal(view.digest, told->bytes, told->size_bytes);
	assert_int_equal(view.snp, strcmp(type, "sev-snp") == 0);
	assert_false(sim_guest_view(host, 1, &view));
}

/* ---- the first instruction ---- */

static void on_alarm(int signal)
{
}

/* Runs the first vCPU until a signal comes. Other tests look at its exits. */
static void assert_executes(void)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000}, never = {0};
	const struct machine_vcpu *vcpu = machine_vm_vcpu(bench.vm, 0);
	struct sim_figures figures;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (call_vcpu_run(host, vcpu->fd, vcpu->run, &err) < 0)
		fail_msg("%s", err.text);
	setitimer(ITIMER_REAL, &never, NULL);
	sim_figures(host, &figures);
	assert_true(figures.instructions > 0);
}

static void test_sim_digest_is_as_told_for_every_generation_and_count(void **state)
{
	static const char *const types[] = {"sev", "sev-es", "sev-snp"};
	static const unsigned counts[] = {1, 2, 4, 64};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
			if (launch_on_sim(types[t], counts[c], NULL) < 0)
				fail_msg("%s, %u vCPUs: %s", types[t], counts[c], bench.err.text);
			assert_digest_as_told(types[t]);
			assert_executes();
			teardown(NULL);
			setup(NULL);
		}
	}
}

static void test_sim_reset_is_a_new_guest_with_the_same_digest(void **state)
{
	struct sim_guest_view view;

	if (launch_on_sim("sev-snp", 1, NULL) < 0)
		fail_msg("%s", bench.err.text);
	launch_end(bench.launch);
	assert_false(sim_guest_view(host, 0, &view));
	assert_ok(launch_whole(bench.launch, bench.machine, &bench.vm, &err));
	assert_digest_as_told("sev-snp");
}

static void test_sim_legacy_init_of_sev_es_is_as_told(void **state)
{
	if (launch_on_sim("sev-es", 2, (const char *const[]){"sev.init=legacy", NULL}) < 0)
		fail_msg("%s", bench.err.text);
	assert_digest_as_told("sev-es");
}

static void test_sim_vmsa_features_are_measured_as_told(void **state)
{
	static const char *const features[] = {"sev.vmsa-features=debug-swap", NULL};

	if (launch_on_sim("sev-snp", 2, features) < 0)
		fail_msg("%s", bench.err.text);
	assert_digest_as_told("sev-snp");
}

/* ---- what must not be launched is not ---- */

/*
 * A host in front of another one, which flips a byte of the data of a launch update, or moves a page without
 * data.
 */
struct flipping {
	struct host host;
	uint8_t type; /* of the page to change */
	unsigned changed;
};

static int flip_open(struct host *h, const char *path, int flags)
{
	return host_open(h->inner, path, flags);
}

static int flip_close(struct host *h, int fd)
{
	return host_close(h->inner, fd);
}

static void flip_update(struct flipping *f, struct uapi_sev_snp_launch_update *update)
{
	if (update->type != f->type || f->changed++)
		return;
	if (f->type == ABI_PAGE_ZERO)
		update->gfn_start += 0x100;
	else
		((uint8_t *)(uintptr_t)update->uaddr)[update->len - 7] ^= 1;
}

static int flip_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct flipping *f = (struct flipping *)h;
	const struct kvm_sev_cmd *cmd = arg;

	if (request == KVM_MEMORY_ENCRYPT_OP && cmd->id == UAPI_SEV_SNP_LAUNCH_UPDATE)
		flip_update(f, (void *)(uintptr_t)cmd->data);
	/* One bit of a register, and with it of the VMSA. */
	if (request == KVM_SET_REGS && f->type == ABI_PAGE_VMSA && !f->changed++)
		((struct kvm_regs *)arg)->r9 ^= 1;
	return host_ioctl(h->inner, fd, request, arg);
}

static void *flip_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return host_mmap(h->inner, addr, length, prot, flags, fd, offset);
}

static int flip_munmap(struct host *h, void *addr, size_t length)
{
	return host_munmap(h->inner, addr, length);
}

static int flip_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return host_fallocate(h->inner, fd, mode, offset, length);
}

static const struct host_ops flip_ops = {
        .name = "flip",
        .open = flip_open,
        .close = flip_close,
        .ioctl = flip_ioctl,
        .mmap = flip_mmap,
        .munmap = flip_munmap,
        .fallocate = flip_fallocate,
};

static void test_sim_one_changed_byte_is_no_launch(void **state)
{
	static const uint8_t types[] = {ABI_PAGE_NORMAL, ABI_PAGE_ZERO, ABI_PAGE_VMSA};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct flipping flip = {.host = {.ops = &flip_ops, .inner = host}, .type = types[i]};

		bench_config(&bench, "sev-snp", (const char *const[]){"machine.memory=32M", NULL});
		assert_int_equal(bench_launch_on(&bench, &flip.host), -1);
		assert_true(flip.changed > 0);
		if (!strstr(bench.err.text, "BAD_MEASUREMENT"))
			fail_msg("%s", bench.err.text);
		bench_end(&bench);
		teardown(NULL);
		setup(NULL);
	}
}

/* Without preflight the refusal itself names the cause that preflight would have named. */
static void test_sim_policy_without_smt_is_refused_with_the_cause(void **state)
{
	assert_int_equal(launch_on_sim("sev-snp", 1, (const char *const[]){"sev.policy=debug", NULL}), -1);
	if (!strstr(bench.err.text, "POLICY_FAILURE") || !strstr(bench.err.text, "multithreading"))
		fail_msg("%s", bench.err.text);
}

/* ---- every firmware command of a launch fails in turn ---- */

static void test_sim_every_firmware_command_fails_in_turn(void **state)
{
	static const uint32_t codes[] = {
	        0x01, 0x02, 0x07, 0x0d, 0x10, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1a, 0x20};
	static const char *const types[] = {"sev", "sev-es", "sev-snp"};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (unsigned nth = 1, failed = 1; failed; nth++) {
			struct sim_guest_view view;

			failed = 0;
			ovmf[0] = '\0'; /* the small image: this is about the order */
			bench_config(&bench, types[t], (const char *const[]){"machine.memory=4M", NULL});
			assert_int_equal(
			        sim_fail_firmware(host, "any", nth, codes[nth % ARRAY_LEN(codes)]), 0);
			if (bench_launch_on(&bench, host) < 0) {
				failed = 1;
				if (!bench.err.kind || !strchr(bench.err.text, ';'))
					fail_msg("%s, command %u: %s", types[t], nth, bench.err.text);
			}
			bench_end(&bench);
			/* After a launch that went well, the next commands are those of the guest's end. */
			if (failed && sim_guest_view(host, 0, &view))
				fail_msg("%s, command %u: the firmware still has the guest in state %s",
				        types[t], nth, view.state);
			/* Commands that only ask for something may fail without consequence. */
			failed |= nth <= 3;
			teardown(NULL);
			setup(NULL);
			assert_in_range(nth, 1, 60);
		}
	}
	find_ovmf();
}

/* ---- every host call of a launch fails in turn ---- */

static bool launch_with_fault(const char *type, uint64_t nth, int sys)
{
	struct sim_guest_view view;
	struct host *faulty;
	bool reached;

	bench_config(&bench, type, (const char *const[]){"machine.memory=1M", "machine.vcpus=2", NULL});
	assert_ok(host_fault_create(host, nth, sys, &faulty, &err));
	if (bench_launch_on(&bench, faulty) < 0 && !*bench.err.text)
		fail_msg("%s, %s: no error", type, host_fault_name(faulty));
	reached = *host_fault_name(faulty);
	bench_end(&bench);
	if (sim_guest_view(host, 0, &view))
		fail_msg("%s, %s: the firmware still has the guest in state %s", type,
		        host_fault_name(faulty), view.state);
	host_destroy(faulty);
	bench_start(&bench);
	return reached;
}

static void test_sim_every_failing_call_leaves_no_guest(void **state)
{
	static const char *const types[] = {"sev", "sev-es", "sev-snp"};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		uint64_t nth = 1;

		while (launch_with_fault(types[t], nth, nth % 2 ? EIO : ENOMEM))
			nth++;
		assert_in_range(nth, 40, 200);
	}
}

/* ---- ASIDs ---- */

static void other_host(struct sim_options options)
{
	host_destroy(host);
	assert_ok(sim_host_create(&options, &host, &err));
}

/* One guest takes the only ASID; the test looks at the error for a second guest. */
static void assert_second_is_told(const char *type, const char *cgroup, uint32_t hiding, const char *sentence)
{
	static struct bench second;

	if (launch_on_sim(type, 1, NULL) < 0)
		fail_msg("%s", bench.err.text);
	bench_start(&second);
	second.process.cgroup = cgroup;
	second.process.hiding_asids = hiding;
	bench_config(&second, type, NULL);
	assert_int_equal(bench_launch_on(&second, host), -1);
	assert_int_equal(second.err.kind, ERR_HOST);
	if (!strstr(second.err.text, sentence))
		fail_msg("\"%s\" lacks \"%s\"", second.err.text, sentence);
	bench_end(&second);
	/* When the first guest ends its ASID is free, and there is room again. */
	bench_end(&bench);
	bench_start(&bench);
	if (launch_on_sim(type, 1, NULL) < 0)
		fail_msg("%s", bench.err.text);
}

static void test_sim_cpuid_page_of_the_products_own_model_needs_no_correction(void **state)
{
	static const char *const products[] = {"Milan", "Genoa", "Turin"};

	for (size_t i = 0; i < ARRAY_LEN(products); i++) {
		char model[40];

		snprintf(model, sizeof(model), "machine.cpu=EPYC-%s", products[i]);
		other_host((struct sim_options){.product = products[i]});
		if (launch_on_sim("sev-snp", 2,
		            (const char *const[]){model, "sev.cpuid-correction=refuse", NULL}) < 0)
			fail_msg("%s: %s", products[i], bench.err.text);
		teardown(NULL);
		setup(NULL);
	}
}

static void test_sim_exhausted_asids_are_told_when_met(void **state)
{
	other_host((struct sim_options){.product = "Milan", .asids = 2, .es_asids = 1});
	assert_second_is_told("sev-snp", "", 0,
	        "KVM_SEV_INIT2: Device or resource busy (EBUSY): the ASIDs of SEV-ES and SEV-SNP are all "
	        "taken; end another guest");
	teardown(NULL);
	setup(NULL);
	other_host((struct sim_options){.product = "Milan", .asids = 2, .es_asids = 1});
	assert_second_is_told("sev", "", 0,
	        "KVM_SEV_INIT2: Device or resource busy (EBUSY): the ASIDs of SEV are all taken; end "
	        "another");
}

static void test_sim_exhausted_partition_is_told_when_met(void **state)
{
	other_host((struct sim_options){.product = "Milan", .asids = 9, .es_asids = 5, .snp_asids = 1});
	assert_second_is_told("sev-snp", "", 1,
	        "EBUSY): the ASIDs of SEV-SNP, kvm_amd.ciphertext_hiding_asids of them, are all taken; end");
}

static void test_sim_exhausted_asids_are_foreseen_where_they_are_counted(void **state)
{
	char folder[] = "/tmp/vmm-misc-XXXXXX";

	assert_non_null(mkdtemp(folder));
	other_host((struct sim_options){.product = "Milan", .asids = 4, .es_asids = 1, .cgroup = folder});
	assert_second_is_told("sev-es", folder, 0,
	        "KVM_SEV_INIT2 would fail with EBUSY: all ASIDs for SEV-ES are taken (1 of 1); end another");
	teardown(NULL);
	folder_remove(folder);
	setup(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_sim_digest_is_as_told_for_every_generation_and_count),
	        TEST(test_sim_reset_is_a_new_guest_with_the_same_digest),
	        TEST(test_sim_legacy_init_of_sev_es_is_as_told),
	        TEST(test_sim_vmsa_features_are_measured_as_told),
	        TEST(test_sim_one_changed_byte_is_no_launch),
	        TEST(test_sim_policy_without_smt_is_refused_with_the_cause),
	        TEST(test_sim_every_firmware_command_fails_in_turn),
	        TEST(test_sim_every_failing_call_leaves_no_guest),
	        TEST(test_sim_cpuid_page_of_the_products_own_model_needs_no_correction),
	        TEST(test_sim_exhausted_asids_are_told_when_met),
	        TEST(test_sim_exhausted_partition_is_told_when_met),
	        TEST(test_sim_exhausted_asids_are_foreseen_where_they_are_counted),
	};

	log_set_level(LOG_ERROR);
	find_ovmf();
	printf("image: %s\n", *ovmf ? ovmf : "a small one; scripts/setup --firmware brings Debian's");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
