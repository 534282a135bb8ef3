/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's requests for certificates (KVM_EXIT_SNP_REQ_CERTS), made by hand: what it gets, from which file,
 * and how long that is locked.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "../../../src/run/vcpu.h"
#include "support/folder.h"
#include "unit/launch/bench.h"

#define PLACE      0x10000
#define TABLE_SIZE 4772 /* milan-certs-a.bin */

static struct bench bench;
static struct run_vcpu vcpu;
static _Atomic bool told;
static char folder[64], path[96];
static uint8_t genuine[TABLE_SIZE];

/* What KVM_RUN saw. */
static unsigned runs;
static bool was_brief, was_locked;
static int run_errno; /* how it ends; 0: with an exit */

/* Would somebody who changes the certificates get the lock that this takes? */
static bool can_lock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool free = fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0;

	close(fd);
	return free;
}

static int on_run(struct fake_kernel *k)
{
	runs++;
	was_brief = k->run.immediate_exit;
	was_locked = !can_lock();
	k->run.exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	errno = run_errno;
	return run_errno ? -1 : 0;
}

static void put(const char *name, const void *data, size_t size)
{
	char file[128];
	FILE *out;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	out = fopen(file, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, size, out), size);
	fclose(out);
}

static void read_sample(const char *name, void *data, size_t size)
{
	FILE *in;
	char file[512];

	snprintf(file, sizeof(file), "%s/attestation/%s", TEST_DATA, name);
	in = fopen(file, "r");
	assert_non_null(in);
	assert_int_equal(fread(data, 1, size, in), size);
	fclose(in);
}

/* certificates: "" for none, "." for the folder, else a file in it. */
static void start(const char *certificates)
{
	char set[128];
	const char *sets[] = {set, NULL};

	snprintf(path, sizeof(path), "%s/%s", folder, certificates);
	snprintf(set, sizeof(set), "sev.certificates=%s", *certificates ? path : "");
	bench_start(&bench);
	if (bench_launch(&bench, "sev-snp", sets) < 0)
		fail_msg("%s", bench.err.text);
	vcpu = (struct run_vcpu){
	        .machine = bench.machine,
	        .vm = bench.vm,
	        .kvm = machine_vm_vcpu(bench.vm, 0),
	        .told_certificates = &told,
	};
	bench.kernel.on_run = on_run;
	runs = 0;
	run_errno = EINTR;
	told = was_brief = was_locked = false;
	if (page_convert(machine_vm_memory(bench.vm), gpa(PLACE), 4 * PAGE_SIZE_BYTES, false, &bench.err) < 0)
		fail_msg("%s", bench.err.text);
}

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vmm-certs-XXXXXX");
	assert_non_null(mkdtemp(folder));
	read_sample("milan-certs-a.bin", genuine, sizeof(genuine));
	put("table", genuine, sizeof(genuine));
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	folder_remove(folder);
	return 0;
}

/* Returns the answer to the guest; *pages is what it has, and then what it needs. */
static uint64_t ask(uint64_t at, uint64_t *pages, enum run_vcpu_verdict wanted)
{
	struct uapi_snp_req_certs request = {.gpa = at, .npages = *pages, .ret = 77};

	vcpu.kvm->run->exit_reason = UAPI_EXIT_SNP_REQ_CERTS;
	memcpy(&vcpu.kvm->run->hw, &request, sizeof(request));
	assert_int_equal(run_vcpu_on_exit(&vcpu), wanted);
	memcpy(&request, &vcpu.kvm->run->hw, sizeof(request));
	assert_int_equal(request.gpa, at);
	*pages = request.npages;
	return request.ret;
}

static uint64_t ask_for_four_pages(void)
{
	uint64_t pages = 4;

	return ask(PLACE, &pages, RUN_VCPU_RESUME);
}

static void assert_got(const void *data, size_t size)
{
	uint8_t got[2 * PAGE_SIZE_BYTES], wanted[2 * PAGE_SIZE_BYTES] = {0};

	memcpy(wanted, data, size);
	assert_int_equal(page_read(machine_vm_memory(bench.vm), gpa(PLACE), got, sizeof(got)), 0);
	assert_memory_equal(got, wanted, sizeof(got));
}

static void test_certs_go_to_the_guest_while_the_file_is_locked(void **state)
{
	uint8_t noise[2 * PAGE_SIZE_BYTES];

	start("table");
	memset(noise, 0xee, sizeof(noise));
	assert_int_equal(page_write(machine_vm_memory(bench.vm), gpa(PLACE), noise, sizeof(noise)), 0);
	assert_int_equal(ask_for_four_pages(), 0);
	assert_got(genuine, sizeof(genuine));
	assert_int_equal(runs, 1);
	assert_true(was_brief);
	assert_true(was_locked);
	assert_int_equal(vcpu.kvm->run->immediate_exit, 0);
	assert_true(can_lock());
}

static void test_certs_with_too_few_pages_say_how_many(void **state)
{
	start("table");
	for (uint64_t has = 0; has < 2; has++) {
		uint64_t pages = has;

		assert_int_equal(ask(PLACE, &pages, RUN_VCPU_RESUME), ENOSPC);
		assert_int_equal(pages, 2);
	}
	assert_int_equal(runs, 0);
	assert_true(can_lock());
}

static void test_certs_that_somebody_changes_are_asked_for_again(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	start("table");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(ask_for_four_pages(), EAGAIN);
	assert_int_equal(runs, 0);
	assert_false(told);
	close(fd);
	assert_int_equal(ask_for_four_pages(), 0);
}

static void test_certs_are_read_anew_for_each_request(void **state)
{
	uint8_t other[TABLE_SIZE + 16] = {0};
	char old[128], new[128];

	start("table");
	assert_int_equal(ask_for_four_pages(), 0);
	memcpy(other, genuine, sizeof(genuine));
	memset(other, 0xaa, 16); /* an entry of a kind that nobody knows */
	put("new", other, sizeof(other));
	snprintf(old, sizeof(old), "%s/table", folder);
	snprintf(new, sizeof(new), "%s/new", folder);
	assert_int_equal(rename(new, old), 0);
	assert_int_equal(ask_for_four_pages(), 0);
	assert_got(other, sizeof(other));
}

static void test_certs_that_are_broken_are_told_once(void **state)
{
	static const struct {
		const char *contents;
		size_t size;
	} rows[] = {{"", 0}, {"no table, but long enough to be one", 30}};

	start("table");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put("table", rows[i].contents, rows[i].size);
		assert_int_equal(ask_for_four_pages(), EIO);
		assert_true(told);
		assert_int_equal(ask_for_four_pages(), EIO);
		put("table", genuine, sizeof(genuine));
		assert_int_equal(ask_for_four_pages(), 0);
		assert_false(told);
	}
	unlink(path);
	assert_int_equal(ask_for_four_pages(), EIO);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: opening it must not wait */
	assert_int_equal(ask_for_four_pages(), EIO);
	assert_int_equal(runs, 2);
}

static void test_certs_go_to_shared_memory_alone(void **state)
{
	static const uint64_t places[] = {
	        0x2000, PLACE + 3 * PAGE_SIZE_BYTES, MIB(4), UINT64_MAX - 0xfff, 0xffff0000};

	start("table");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		uint64_t pages = UINT64_MAX;

		assert_int_equal(ask(places[i], &pages, RUN_VCPU_RESUME), EIO);
	}
	assert_int_equal(runs, 0);
	assert_true(can_lock());
}

static void test_certs_of_a_folder_become_a_table(void **state)
{
	static uint8_t vcek[1360], got[2 * PAGE_SIZE_BYTES];
	static char chain[8192];
	char *second;

	unlink(strcat(strcpy(path, folder), "/table"));
	read_sample("milan-vcek-a.der", vcek, sizeof(vcek));
	read_sample("ask_ark_milan.pem", chain, 4602);
	second = strstr(chain + 1, "-----BEGIN");
	put("vcek.der", vcek, sizeof(vcek));
	put("ark.pem", second, strlen(second));
	put("ask.pem", chain, (size_t)(second - chain));
	start(".");
	assert_int_equal(ask_for_four_pages(), 0);
	assert_int_equal(page_read(machine_vm_memory(bench.vm), gpa(PLACE), got, sizeof(got)), 0);
	assert_memory_equal(got, genuine + 0x30, 16); /* the GUID of the VCEK, which is the last one there */
	assert_memory_equal(got + 0x60, vcek, sizeof(vcek));
	assert_memory_equal(got + 0x60 + sizeof(vcek), genuine + 0x6c7, 0x68d); /* the ASK */
	put("ark.pem", chain, strlen(chain));                                   /* two certificates */
	assert_int_equal(ask_for_four_pages(), EIO);
	put("ark.pem", second, strlen(second));
	put("asvk.pem", chain, (size_t)(second - chain));
	assert_int_equal(ask_for_four_pages(), EIO);
}

static void test_certs_that_nobody_wanted_end_the_guest(void **state)
{
	uint64_t pages = 4;

	start("");
	assert_int_equal(ask(PLACE, &pages, RUN_VCPU_FAIL), 77);
	assert_non_null(strstr(vcpu.err.text, "did not ask"));
}

static void test_certs_end_with_what_kvm_run_says(void **state)
{
	uint64_t pages = 4;

	start("table");
	run_errno = 0; /* another exit, which the next turn of the thread's loop handles */
	assert_int_equal(ask(PLACE, &pages, RUN_VCPU_AGAIN), 0);
	assert_int_equal(vcpu.kvm->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN);
	run_errno = EIO;
	ask(PLACE, &pages, RUN_VCPU_FAIL);
	assert_non_null(strstr(vcpu.err.text, "KVM_RUN"));
	assert_true(can_lock());
}

/* A stop that comes meanwhile is not lost: immediate_exit stays set. */
static void test_certs_leave_a_call_as_it_is(void **state)
{
	start("table");
	vcpu.called = true;
	vcpu.kvm->run->immediate_exit = 1;
	assert_int_equal(ask_for_four_pages(), 0);
	assert_int_equal(vcpu.kvm->run->immediate_exit, 1);
}

int main(void)
{
#define CERTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        CERTS_TEST(test_certs_go_to_the_guest_while_the_file_is_locked),
	        CERTS_TEST(test_certs_with_too_few_pages_say_how_many),
	        CERTS_TEST(test_certs_that_somebody_changes_are_asked_for_again),
	        CERTS_TEST(test_certs_are_read_anew_for_each_request),
	        CERTS_TEST(test_certs_that_are_broken_are_told_once),
	        CERTS_TEST(test_certs_go_to_shared_memory_alone),
	        CERTS_TEST(test_certs_of_a_folder_become_a_table),
	        CERTS_TEST(test_certs_that_nobody_wanted_end_the_guest),
	        CERTS_TEST(test_certs_end_with_what_kvm_run_says),
	        CERTS_TEST(test_certs_leave_a_call_as_it_is),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
