/* SPDX-License-Identifier: Apache-2.0 */
/* The two views of a page of a SEV guest on the software platform, with the C-bit and without it. */
#include <unistd.h>

#include "sev_runner.h"
#include "vmm/abi/sev_cert.h"

#define DATA 0x4000u
#define OUT  0x6000u

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* ---- one vCPU ---- */

/* What the VMM reads is what the guest reads without the C-bit. */
static void test_sev_views_of_a_page_are_coherent(void **state)
{
	const uint64_t *out;
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	CODE(&g, 0x48, 0xc7, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, 0x44, 0x33, 0x22, 0x11, /* movq $.., DATA */
	        0x48, 0x8b, 0x04, 0x25, 0x00, 0x40, 0x20, 0x00, /* mov SHARED + DATA, %rax */
	        0x48, 0x8b, 0x1c, 0x25, 0x08, 0x40, 0x20, 0x00, /* mov SHARED + DATA + 8, %rbx */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x60, 0x20, 0x00, /* mov %rax, SHARED + OUT */
	        0x48, 0xc7, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12, /* movq $.., DATA */
	        0x48, 0x8b, 0x14, 0x25, 0x00, 0x40, 0x20, 0x00, /* mov SHARED + DATA, %rdx */
	        0x48, 0x89, 0x14, 0x25, 0x08, 0x60, 0x20, 0x00, /* mov %rdx, SHARED + OUT + 8 */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x20, 0x00, /* mov %rax, SHARED + DATA */
	        0x48, 0x89, 0x1c, 0x25, 0x08, 0x40, 0x20, 0x00, /* mov %rbx, SHARED + DATA + 8 */
	        0x48, 0x8b, 0x14, 0x25, 0x00, 0x40, 0x00, 0x00, /* mov DATA, %rdx */
	        0x48, 0x89, 0x14, 0x25, 0x10, 0x60, 0x20, 0x00, /* mov %rdx, SHARED + OUT + 16 */
	        0xe6, PORT);                                    /* out %al, $PORT */
	enter_long_mode(&g);
	guest_launch(&g, 0);
	run_to_port(&g);
	out = (const uint64_t *)(const void *)(g.memory + OUT);
	assert_int_not_equal(out[0], 0x11223344);
	assert_int_not_equal(out[1], out[0]);
	assert_int_equal(out[2], 0x11223344);
	assert_memory_equal(g.memory + DATA, &out[0], sizeof(out[0]));
	guest_close(&g);
	machine_close(&m);
}

/* ---- two vCPUs, each with its own view of a page ---- */

#define SECOND_CODE 0x1100u
enum {
	COMMAND,
	DONE,
	OF_WRITER,
	PRIVATE,
	CIPHER,
	PUT,
	PUT_2
}; /* words of OUT, which both use without the C-bit */

static __attribute__((noinline, no_sanitize("thread"))) void put_word(
        const struct guest *g, unsigned at, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(g->memory + at), value, __ATOMIC_RELEASE);
}

static void wait_for_word(const struct guest *g, unsigned at, uint64_t value)
{
	for (unsigned i = 0; word(g, at) != value && i < 300000; i++)
		usleep(100);
	assert_int_equal(word(g, at), value);
}

/* Makes a second vCPU, at SECOND_CODE. Closing it is up to the caller. */
static void second_make(struct guest *second, struct guest *g)
{
	const struct kvm_regs regs = {.rip = SECOND_CODE, .rsp = 0xe000, .rflags = 2};

	*second = *g;
	second->vcpu = guest_add_vcpu(g);
	second->run =
	        host_mmap(g->m->host, NULL, (size_t)number_of(g->m, g->m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
	                PROT_READ | PROT_WRITE, MAP_SHARED, second->vcpu, 0);
	assert_ptr_not_equal(second->run, MAP_FAILED);
	enter_long_mode(second);
	assert_int_equal(call_of(g->m, second->vcpu, KVM_SET_REGS, &regs), 0);
}

static void second_close(struct guest *second)
{
	const struct machine *m = second->m;

	host_munmap(m->host, second->run, (size_t)number_of(m, m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	host_close(m->host, second->vcpu);
}

/*
 * The first vCPU writes COMMAND's word to DATA with the C-bit, says so in DONE, and shows in OF_WRITER what
 * it finds there by this view. The second shows DATA in both views, and puts a block there without the C-bit.
 */
static void views_launch(struct guest *g, struct guest *second)
{
	CODE(g, 0x48, 0x8b, 0x04, 0x25, 0x00, 0x60, 0x20, 0x00, /* 1: mov COMMAND, %rax */
	        0x48, 0x39, 0xc3,                               /* cmp %rax, %rbx */
	        0x74, 0x13,                                     /* je 2f */
	        0x48, 0x89, 0xc3,                               /* mov %rax, %rbx */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, /* mov %rax, DATA */
	        0x48, 0x89, 0x04, 0x25, 0x08, 0x60, 0x20, 0x00, /* mov %rax, DONE */
	        0x0f, 0x20, 0xd9, 0x0f, 0x22, 0xd9,             /* 2: mov %cr3, %rcx; mov %rcx, %cr3 */
	        0x48, 0x8b, 0x14, 0x25, 0x00, 0x40, 0x00, 0x00, /* mov DATA, %rdx */
	        0x48, 0x89, 0x14, 0x25, 0x10, 0x60, 0x20, 0x00, /* mov %rdx, OF_WRITER */
	        0xeb, 0xc8);                                    /* jmp 1b */
	memcpy(g->memory + SECOND_CODE,
	        (const uint8_t[]){
	                0x48, 0x8b, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, /* 1: mov DATA, %rax */
	                0x48, 0x89, 0x04, 0x25, 0x18, 0x60, 0x20, 0x00, /* mov %rax, PRIVATE */
	                0x48, 0x8b, 0x04, 0x25, 0x00, 0x40, 0x20, 0x00, /* mov SHARED + DATA, %rax */
	                0x48, 0x89, 0x04, 0x25, 0x20, 0x60, 0x20, 0x00, /* mov %rax, CIPHER */
	                0x48, 0x8b, 0x04, 0x25, 0x28, 0x60, 0x20, 0x00, /* mov PUT, %rax */
	                0x48, 0x85, 0xc0,                               /* test %rax, %rax */
	                0x74, 0x18,                                     /* je 2f */
	                0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x20, 0x00, /* mov %rax, SHARED + DATA */
	                0x48, 0x8b, 0x04, 0x25, 0x30, 0x60, 0x20, 0x00, /* mov PUT_2, %rax */
	                0x48, 0x89, 0x04, 0x25, 0x08, 0x40, 0x20, 0x00, /* mov %rax, SHARED + DATA + 8 */
	                0xe6, PORT,                                     /* 2: out %al, $PORT */
	                0xeb, 0xb7,                                     /* jmp 1b */
	        },
	        73);
	enter_long_mode(g);
	second_make(second, g);
	guest_launch(g, 0);
	memset(g->memory + OUT, 0, PAGE_SIZE_BYTES);
}

/* Has the writer write the word. The other vCPU must see it and its ciphertext at once, which is returned. */
static uint64_t written_by_one_seen_by_the_other(const struct guest *g, struct guest *second, uint64_t value)
{
	uint64_t cipher;

	put_word(g, OUT + 8 * COMMAND, value);
	wait_for_word(g, OUT + 8 * DONE, value);
	run_to_port(second);
	cipher = word(g, OUT + 8 * CIPHER);
	assert_int_equal(word(g, OUT + 8 * PRIVATE), value);
	assert_int_not_equal(cipher, value);
	assert_int_equal(word(g, DATA), cipher);
	return cipher;
}

/* The writer never leaves KVM_RUN, and loads CR3 all the time, which must not keep it from seeing memory. */
static void test_sev_vcpus_see_one_page_by_both_views(void **state)
{
	const uint64_t values[] = {0x11223344, 0x55667788};
	struct runner runner;
	struct guest g, second;
	struct machine m;
	uint64_t first, first_2;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	views_launch(&g, &second);
	runner_start(&runner, &g);
	first = written_by_one_seen_by_the_other(&g, &second, values[0]);
	first_2 = word(&g, DATA + 8);
	for (unsigned i = 1; i < 40; i++) {
		uint64_t cipher = written_by_one_seen_by_the_other(&g, &second, values[i % 2]);

		assert_int_equal(cipher == first, i % 2 == 0);
	}
	put_word(&g, OUT + 8 * PUT, first);
	put_word(&g, OUT + 8 * PUT_2, first_2);
	run_to_port(&second);
	wait_for_word(&g, OUT + 8 * OF_WRITER, values[0]);
	runner_end(&runner);
	assert_int_equal(word(&g, DATA), first);
	second_close(&second);
	guest_close(&g);
	machine_close(&m);
}

/* ---- a guest that is sent while it runs ---- */

#define ROUNDS 12u /* the receiver has a page for each */

struct packet {
	struct abi_sev_secret_header header;
	uint8_t data[PAGE_SIZE_BYTES];
};

/* The receiver is this platform itself. */
static void begin_sending(struct guest *g, struct abi_sev_cert *ret_pdh, struct abi_sev_session *ret_session)
{
	static struct abi_sev_cert_chain chain;
	const struct sev_user_data_pdh_cert_export export = {
	        (uintptr_t)ret_pdh, sizeof(*ret_pdh), (uintptr_t)&chain, sizeof(chain)};
	struct sev_issue_cmd cmd = {.cmd = SEV_PDH_CERT_EXPORT, .data = (uintptr_t) & export};
	struct kvm_sev_send_start start = {.pdh_cert_uaddr = (uintptr_t)ret_pdh,
	        .pdh_cert_len = sizeof(*ret_pdh),
	        .plat_certs_uaddr = (uintptr_t)&chain,
	        .plat_certs_len = sizeof(chain),
	        .amd_certs_uaddr = (uintptr_t)&chain,
	        .amd_certs_len = sizeof(chain),
	        .session_uaddr = (uintptr_t)ret_session,
	        .session_len = sizeof(*ret_session)};

	assert_int_equal(call_of(g->m, g->m->sev, SEV_ISSUE_CMD, &cmd), 0);
	assert_int_equal(command(g, KVM_SEV_SEND_START, &start), 0);
}

static void send_page(struct guest *g, uint32_t at, struct packet *packet)
{
	const struct kvm_sev_send_update_data update = {.hdr_uaddr = (uintptr_t)&packet->header,
	        .hdr_len = sizeof(packet->header),
	        .guest_uaddr = (uintptr_t)g->memory + at,
	        .guest_len = PAGE_SIZE_BYTES,
	        .trans_uaddr = (uintptr_t)packet->data,
	        .trans_len = PAGE_SIZE_BYTES};

	assert_int_equal(command(g, KVM_SEV_SEND_UPDATE_DATA, &update), 0);
}

static uint64_t first_word_of(struct guest *g, uint32_t at)
{
	uint64_t words[2];
	const struct kvm_sev_dbg read = {
	        .src_uaddr = (uintptr_t)g->memory + at, .dst_uaddr = (uintptr_t)words, .len = sizeof(words)};

	assert_int_equal(command(g, KVM_SEV_DBG_DECRYPT, &read), 0);
	return words[0];
}

/* The packets say nothing of their places: each comes to a page of its own. */
static void expect_packets(struct machine *m, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session, const struct packet *packets)
{
	struct kvm_sev_receive_start start = {.pdh_uaddr = (uintptr_t)pdh,
	        .pdh_len = sizeof(*pdh),
	        .session_uaddr = (uintptr_t)session,
	        .session_len = sizeof(*session)};
	struct guest to;

	guest_make(&to, m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&to), 0);
	assert_int_equal(command(&to, KVM_SEV_RECEIVE_START, &start), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const struct kvm_sev_receive_update_data update = {.hdr_uaddr = (uintptr_t)&packets[i].header,
		        .hdr_len = sizeof(packets[i].header),
		        .guest_uaddr = (uintptr_t)to.memory + i * PAGE_SIZE_BYTES,
		        .guest_len = PAGE_SIZE_BYTES,
		        .trans_uaddr = (uintptr_t)packets[i].data,
		        .trans_len = PAGE_SIZE_BYTES};

		assert_int_equal(command(&to, KVM_SEV_RECEIVE_UPDATE_DATA, &update), 0);
	}
	assert_int_equal(command(&to, KVM_SEV_RECEIVE_FINISH, NULL), 0);
	for (uint32_t i = 0; i < ROUNDS; i++)
		assert_int_equal(first_word_of(&to, i * PAGE_SIZE_BYTES), 100 + i);
	guest_close(&to);
}

/*
 * The only vCPU stays in KVM_RUN, so what it writes with the C-bit is saved some 50 ms later. A page that is
 * sent before has it all the same.
 */
static void test_sev_page_is_sent_as_the_running_guest_has_it(void **state)
{
	static struct packet packets[ROUNDS];
	struct abi_sev_session session;
	struct abi_sev_cert pdh;
	struct runner runner;
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	CODE(&g, 0x48, 0x8b, 0x04, 0x25, 0x00, 0x60, 0x20, 0x00, /* 1: mov SHARED + OUT + COMMAND, %rax */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00,  /* mov %rax, DATA */
	        0x48, 0x89, 0x04, 0x25, 0x08, 0x60, 0x20, 0x00,  /* mov %rax, SHARED + OUT + DONE */
	        0xeb, 0xe6);                                     /* jmp 1b */
	enter_long_mode(&g);
	guest_launch(&g, 0);
	memset(g.memory + OUT, 0, PAGE_SIZE_BYTES);
	begin_sending(&g, &pdh, &session);
	runner_start(&runner, &g);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		put_word(&g, OUT + 8 * COMMAND, 100 + i);
		wait_for_word(&g, OUT + 8 * DONE, 100 + i);
		send_page(&g, DATA, &packets[i]);
	}
	runner_end(&runner);
	expect_packets(&m, &pdh, &session, packets);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_views_of_a_page_are_coherent),
	        cmocka_unit_test(test_sev_vcpus_see_one_page_by_both_views),
	        cmocka_unit_test(test_sev_page_is_sent_as_the_running_guest_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
