/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of SEV guests on the software platform: what the VMM sees of it and when, and what the guest sees
 * after the VMM changed it.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include "sev_runner.h"

#define DATA  0x4000u
#define OTHER 0x5000u
#define OUT   0x6000u
#define BLOCK 16u

static const struct sim_options milan = {.product = "Milan", .seed = 1};

static uint8_t pattern(unsigned page, unsigned i)
{
	return (uint8_t)(i * 7 + i / 256 + page / 256);
}

/*
 * A guest in long mode that increments the first byte of DATA, and copies the page to OUT without the C-bit.
 * DATA and OTHER hold patterns.
 */
static void reader_launch(struct guest *g, uint32_t policy)
{
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
	CODE(g, 0xfe, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, /* 1: incb DATA */
	        0xbe, 0x00, 0x40, 0x00, 0x00,             /* mov $DATA, %esi */
	        0xbf, 0x00, 0x60, 0x20, 0x00,             /* mov $(SHARED + OUT), %edi */
	        0xb9, 0x00, 0x10, 0x00, 0x00,             /* mov $4096, %ecx */
	        0xf3, 0xa4,                               /* rep movsb */
	        0xe6, PORT,                               /* out %al, $PORT */
	        0xeb, 0xe4);                              /* jmp 1b */
	for (unsigned i = 0; i < PAGE_SIZE_BYTES; i++) {
		g->memory[DATA + i] = pattern(DATA, i);
		g->memory[OTHER + i] = pattern(OTHER, i);
	}
	enter_long_mode(g);
	guest_launch(g, policy);
}

static void reader_make(struct guest *g, struct machine *m, uint32_t policy)
{
	machine_open(m, &milan);
	guest_make(g, m, policy & ABI_SEV_POLICY_ES ? UAPI_VM_SEV_ES : UAPI_VM_SEV);
	reader_launch(g, policy);
}

static void reader_close(struct guest *g, struct machine *m)
{
	guest_close(g);
	machine_close(m);
}

/* Asserts that OUT holds the pattern of the page, whose first byte was incremented some times. */
static void assert_out(const struct guest *g, unsigned page, unsigned times)
{
	assert_int_equal(g->memory[OUT], (uint8_t)(pattern(page, 0) + times));
	for (unsigned i = 1; i < PAGE_SIZE_BYTES; i++)
		assert_int_equal(g->memory[OUT + i], pattern(page, i));
}

/* ---- what the VMM does to ciphertext ---- */

static void test_sev_flipped_bit_is_garbage_in_its_block_alone(void **state)
{
	const unsigned at = 0x120; /* of the block */
	struct machine m;
	struct guest g;
	unsigned equal = 0;

	reader_make(&g, &m, 0);
	run_to_port(&g);
	assert_out(&g, DATA, 1);
	g.memory[DATA + at + 3] ^= 0x10;
	run_to_port(&g);
	for (unsigned i = 1; i < PAGE_SIZE_BYTES; i++) {
		if (i >= at && i < at + BLOCK)
			equal += g.memory[OUT + i] == pattern(DATA, i);
		else
			assert_int_equal(g.memory[OUT + i], pattern(DATA, i));
	}
	assert_true(equal <= BLOCK / 4);
	reader_close(&g, &m);
}

static void test_sev_ciphertext_at_another_page_is_garbage(void **state)
{
	struct machine m;
	struct guest g;

	reader_make(&g, &m, 0);
	run_to_port(&g);
	memcpy(g.memory + DATA, g.memory + OTHER, PAGE_SIZE_BYTES);
	run_to_port(&g);
	for (unsigned at = 0; at < PAGE_SIZE_BYTES; at += BLOCK) {
		unsigned ours = 0, theirs = 0;

		for (unsigned i = at; i < at + BLOCK; i++) {
			ours += g.memory[OUT + i] == pattern(DATA, i);
			theirs += g.memory[OUT + i] == pattern(OTHER, i);
		}
		assert_true(ours <= BLOCK / 2 && theirs <= BLOCK / 2);
	}
	reader_close(&g, &m);
}

/* SEV does not notice that the VMM brings back an old page. SEV-SNP would not let the VMM write it. */
static void test_sev_old_ciphertext_is_old_data(void **state)
{
	uint8_t old[PAGE_SIZE_BYTES];
	struct machine m;
	struct guest g;

	reader_make(&g, &m, 0);
	run_to_port(&g);
	memcpy(old, g.memory + DATA, sizeof(old));
	run_to_port(&g);
	run_to_port(&g);
	assert_out(&g, DATA, 3);
	assert_memory_not_equal(g.memory + DATA, old, BLOCK);
	memcpy(g.memory + DATA, old, sizeof(old));
	run_to_port(&g);
	assert_out(&g, DATA, 2);
	reader_close(&g, &m);
}

/* Splits the slot, so that DATA has one of its own. */
static void split_slot(struct guest *g)
{
	assert_int_equal(set_memory(g, 0, 0, 0, g->memory, -1), 0);
	assert_int_equal(set_memory(g, 0, 0, DATA, g->memory, -1), 0);
	assert_int_equal(set_memory(g, 1, DATA, PAGE_SIZE_BYTES, g->memory + DATA, -1), 0);
	assert_int_equal(set_memory(g, 2, OTHER, GUEST_BYTES - OTHER, g->memory + OTHER, -1), 0);
}

/* The address of a guest's page is not part of its encryption: the weakness that SEV-SNP mends. */
static void test_sev_page_remapped_by_its_slot_is_the_other_page(void **state)
{
	struct machine m;
	struct guest g;

	reader_make(&g, &m, 0);
	split_slot(&g);
	run_to_port(&g);
	assert_out(&g, DATA, 1);
	assert_int_equal(set_memory(&g, 1, 0, 0, g.memory + DATA, -1), 0);
	assert_int_equal(set_memory(&g, 1, DATA, PAGE_SIZE_BYTES, g.memory + OTHER, -1), 0);
	run_to_port(&g);
	assert_out(&g, OTHER, 1);
	assert_int_equal(set_memory(&g, 1, 0, 0, g.memory + OTHER, -1), 0);
	assert_int_equal(set_memory(&g, 1, DATA, PAGE_SIZE_BYTES, g.memory + DATA, -1), 0);
	run_to_port(&g);
	assert_out(&g, DATA, 2);
	reader_close(&g, &m);
}

/* The same with a file: skipped where the kernel does not tell what is mapped. */
static int file_reader_make(struct guest *g, struct machine *m)
{
	struct uapi_procmap_query query = {.size = sizeof(query), .query_addr = (uintptr_t)g};
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC),
	    told = ioctl(maps, UAPI_PROCMAP_QUERY, &query);
	int fd = memfd_create("guest", MFD_CLOEXEC);

	close(maps);
	if (told < 0) {
		print_message("skipped: the kernel is older than Linux 6.11\n");
		close(fd);
		skip();
	}
	machine_open(m, &milan);
	guest_make(g, m, UAPI_VM_SEV);
	assert_int_equal(ftruncate(fd, GUEST_BYTES), 0);
	assert_ptr_equal(mmap(g->memory, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
	        g->memory);
	reader_launch(g, 0);
	return fd;
}

static void test_sev_page_mapped_elsewhere_too_is_the_same_page(void **state)
{
	struct machine m;
	struct guest g;
	int fd = file_reader_make(&g, &m);
	void *alias = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, DATA);

	assert_ptr_not_equal(alias, MAP_FAILED);
	split_slot(&g);
	run_to_port(&g);
	assert_out(&g, DATA, 1);
	assert_int_equal(set_memory(&g, 1, 0, 0, g.memory + DATA, -1), 0);
	assert_int_equal(set_memory(&g, 1, DATA, PAGE_SIZE_BYTES, alias, -1), 0);
	run_to_port(&g);
	assert_out(&g, DATA, 2);
	munmap(alias, PAGE_SIZE_BYTES);
	close(fd);
	reader_close(&g, &m);
}

static void test_sev_page_with_another_mapped_in_its_place_is_the_other_page(void **state)
{
	struct machine m;
	struct guest g;
	int fd = file_reader_make(&g, &m);
	const unsigned pages[] = {OTHER, DATA, OTHER};

	run_to_port(&g);
	assert_out(&g, DATA, 1);
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		assert_ptr_equal(mmap(g.memory + DATA, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE,
		                         MAP_SHARED | MAP_FIXED, fd, pages[i]),
		        g.memory + DATA);
		run_to_port(&g);
		assert_out(&g, pages[i], pages[i] == DATA ? 2 : 1 + i / 2);
	}
	close(fd);
	reader_close(&g, &m);
}

/* ---- when the VMM sees what was written ---- */

#define TURNS_OF_1_MS \
	500000u /* of two instructions, each of which takes a nanosecond of the guest's clock \
	         */

/*
 * The guest writes a word with the C-bit, and then counts without it and never leaves. The ciphertext must
 * change before the guest's clock says that 1 ms has passed, or, without a limit, at some time.
 */
static void write_and_stay(struct guest *g, uint64_t turns_max)
{
	struct runner runner;
	uint64_t before, turns;

	CODE(g, 0xe6, PORT,                                                             /* out %al, $PORT */
	        0x48, 0xc7, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, 0x44, 0x33, 0x22, 0x11, /* movq $.., DATA */
	        0x48, 0xff, 0x04, 0x25, 0x00, 0x60, 0x20, 0x00, /* 1: incq SHARED + OUT */
	        0xeb, 0xf6);                                    /* jmp 1b */
	enter_long_mode(g);
	guest_launch(g, 0);
	run_to_port(g);
	memset(g->memory + OUT, 0, BLOCK);
	before = word(g, DATA);
	runner_start(&runner, g);
	do {
		turns = word(g, OUT);
		if (word(g, DATA) != before)
			break;
		if (turns >= turns_max)
			fail_msg("no ciphertext after %llu turns", (unsigned long long)turns);
	} while (usleep(50) == 0);
	runner_end(&runner);
}

/* The other vCPU does not run, but could. */
static void test_sev_write_is_ciphertext_1_ms_later_while_one_of_two_vcpus_runs(void **state)
{
	struct machine m;
	struct guest g;
	int second;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	second = guest_add_vcpu(&g);
	write_and_stay(&g, TURNS_OF_1_MS);
	host_close(m.host, second);
	guest_close(&g);
	machine_close(&m);
}

static void test_sev_write_is_ciphertext_later_while_the_only_vcpu_runs(void **state)
{
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	write_and_stay(&g, UINT64_MAX);
	guest_close(&g);
	machine_close(&m);
}

/* A vCPU that halts sleeps in KVM_RUN, where interrupt controllers are in the platform. */
static void test_sev_write_is_ciphertext_while_the_vcpu_sleeps(void **state)
{
	struct runner runner;
	struct machine m;
	struct guest g;
	uint64_t before;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(number_of(&m, g.vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_int_equal(guest_init2(&g), 0);
	guest_add_vcpu(&g);
	CODE(&g, 0xfe, 0x06, 0x00, 0x40, /* incb DATA */
	        0xf4);                   /* hlt */
	guest_launch(&g, 0);
	before = word(&g, DATA);
	runner_start(&runner, &g);
	for (unsigned i = 0; word(&g, DATA) == before && i < 300000; i++)
		usleep(100);
	assert_int_not_equal(word(&g, DATA), before);
	runner_end(&runner);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_flipped_bit_is_garbage_in_its_block_alone),
	        cmocka_unit_test(test_sev_ciphertext_at_another_page_is_garbage),
	        cmocka_unit_test(test_sev_old_ciphertext_is_old_data),
	        cmocka_unit_test(test_sev_page_remapped_by_its_slot_is_the_other_page),
	        cmocka_unit_test(test_sev_page_mapped_elsewhere_too_is_the_same_page),
	        cmocka_unit_test(test_sev_page_with_another_mapped_in_its_place_is_the_other_page),
	        cmocka_unit_test(test_sev_write_is_ciphertext_1_ms_later_while_one_of_two_vcpus_runs),
	        cmocka_unit_test(test_sev_write_is_ciphertext_later_while_the_only_vcpu_runs),
	        cmocka_unit_test(test_sev_write_is_ciphertext_while_the_vcpu_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
