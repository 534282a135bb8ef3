/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GHCB on the software platform: the protocol in its MSR, the checks of its page, and the events that
 * KVM answers by itself. The answers are Linux's (arch/x86/kvm/svm/sev.c).
 */
#include "ghcb_guest.h"

#define FEATURES 3 /* SEV-SNP, and its AP creation */

/* ---- the protocol in the MSR ---- */

#define CPUID_OF(leaf, reg)  ((uint64_t)(leaf) << 32 | (uint64_t)(reg) << 30 | ABI_GHCB_MSR_CPUID_ASK)
#define CPUID_IS(value, reg) ((uint64_t)(value) << 32 | (uint64_t)(reg) << 30 | ABI_GHCB_MSR_CPUID)

static const struct {
	uint64_t asked, answered;
} protocol[] = {
        {ABI_GHCB_MSR_INFO_ASK, ABI_GHCB_MSR_INFO_OF(2, 1, 51)},
        {0xfffffffffffff002, ABI_GHCB_MSR_INFO_OF(2, 1, 51)}, /* the other bits do not matter */
        {CPUID_OF(0x4f000000, 0), CPUID_IS(0x11, 0)},
        {CPUID_OF(0x4f000000, 1), CPUID_IS(0x22, 1)},
        {CPUID_OF(0x4f000000, 2), CPUID_IS(0x33, 2)},
        {CPUID_OF(0x4f000000, 3), CPUID_IS(0x44, 3)},
        {CPUID_OF(0x80000001, 3), CPUID_IS(1u << 29, 3)},
        {CPUID_OF(0x4f000000, 1) | 0x3ffff000, CPUID_IS(0x22, 1) | 0x3ffff000}, /* bits 29:12 stay */
        {CPUID_OF(0x40000000, 1), CPUID_IS(0, 1)},
        {ABI_GHCB_MSR_FEATURES_ASK, ABI_GHCB_MSR_OF(FEATURES, ABI_GHCB_MSR_FEATURES)},
        {0xabcdef0123456080, ABI_GHCB_MSR_OF(FEATURES, ABI_GHCB_MSR_FEATURES)},
        /* KVM does not know these, and leaves them as they are. */
        {0x001, 0x001},
        {0x003, 0x003},
        {0x1234005, 0x1234005},
        {0x016, 0x016},
        {0xabcdef0123456fff, 0xabcdef0123456fff},
        /* Pages: none, not in a slot, with the C-bit, at the end of the address space. */
        {0, 0},
        {NOWHERE, NOWHERE},
        {GHCB | C_BIT, GHCB | C_BIT},
        {0xfffffffffffff000, 0xfffffffffffff000},
        {GUEST_BYTES, GUEST_BYTES},
};

static void test_msr_protocol_is_answered(void **state)
{
	uint8_t before[GUEST_BYTES];
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++) {
		note_of(&g)->msr = protocol[i].asked;
		memcpy(before, g.memory, sizeof(before));
		runs_to_halt(&g);
		if (note_of(&g)->msr_after != protocol[i].answered)
			fail_msg("0x%llx is answered by 0x%llx", (unsigned long long)protocol[i].asked,
			        (unsigned long long)note_of(&g)->msr_after);
		assert_memory_equal(g.memory + GHCB, before + GHCB, TABLES - GHCB);
	}
	ghcb_end(&g);
}

/* The versions that the guest is told: those of its VM. */
static void test_msr_tells_the_versions_after_reset(void **state)
{
	static const struct {
		uint16_t version, told;
	} versions[] = {{1, 1}, {2, 2}, {0, 1}};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct machine m;
		struct guest g;

		ghcb_start(&g, &m, versions[i].version);
		note_of(&g)->keep = 1;
		runs_to_halt(&g);
		assert_int_equal(note_of(&g)->msr_after, ABI_GHCB_MSR_INFO_OF(versions[i].told, 1, 51));
		ghcb_end(&g);
	}
}

static void test_msr_protocol_ends_guests(void **state)
{
	static const uint64_t requests[] = {ABI_GHCB_MSR_TERMINATE, 0xffffffffffff1100, 0x10, 0x12, 0x14,
	        0xfffffffffffff010, 0x80ff0000000060ull << 12 | 0x14};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		note_of(&g)->msr = requests[i];
		runs_to(&g, KVM_EXIT_SYSTEM_EVENT);
		assert_int_equal(g.run->system_event.type, UAPI_SYSTEM_EVENT_SEV_TERM);
		assert_int_equal(g.run->system_event.ndata, 1);
		assert_int_equal(g.run->system_event.data[0], requests[i]);
		/* KVM does not insist. */
		runs_to_halt(&g);
		assert_int_equal(note_of(&g)->msr_after, requests[i]);
	}
	ghcb_end(&g);
}

/* Nothing protects a SEV-ES guest from a host that lies about CPUID. */
static void test_cpuid_that_the_host_forged_is_believed(void **state)
{
	const struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[2];
	} forged = {.head.nent = 2,
	        .entries = {{.function = 0x8000001f, .eax = 0, .ebx = 17},
	                {.function = 0x80000001, .edx = 1u << 29}}};
	struct machine m;
	struct guest g;
	static const struct sim_options milan = {.product = "Milan", .seed = 1};

	machine_open(&m, &milan);
	ghcb_make(&g, &m, 2);
	guest_add_vcpu(&g);
	ghcb_prepare(&g);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_CPUID2, &forged), 0);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	memset(g.memory + NOTE, 0, OUTSIDE + PAGE_SIZE_BYTES - NOTE);
	note_of(&g)->msr = CPUID_OF(0x8000001f, 0);
	runs_to_halt(&g);
	assert_int_equal(note_of(&g)->msr_after, CPUID_IS(0, 0));
	note_of(&g)->msr = CPUID_OF(0x8000001f, 1);
	runs_to_halt(&g);
	assert_int_equal(note_of(&g)->msr_after, CPUID_IS(17, 1));
	note_of(&g)->msr = GHCB;
	ask(&g, ABI_GHCB_CPUID, 0, 0);
	GIVE(&g, rax, 0x8000001f);
	GIVE(&g, rcx, 0);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rbx, 17);
	ghcb_end(&g);
}

/* ---- the page ---- */

static void test_page_in_the_last_page_of_a_slot_is_used(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	note_of(&g)->msr = GUEST_BYTES - PAGE_SIZE_BYTES;
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	memcpy(g.memory + GUEST_BYTES - PAGE_SIZE_BYTES, ghcb_of(&g), sizeof(struct abi_ghcb));
	memset(ghcb_of(&g), 0, sizeof(struct abi_ghcb));
	runs_to_halt(&g);
	memcpy(ghcb_of(&g), g.memory + GUEST_BYTES - PAGE_SIZE_BYTES, sizeof(struct abi_ghcb));
	assert_answer(&g, 0, FEATURES);
	ghcb_end(&g);
}

/* A page that the VMM took away, or made read-only: KVM cannot map it, and the guest just goes on. */
static void test_page_that_cannot_be_written_is_no_page(void **state)
{
	struct abi_ghcb before;
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	before = *ghcb_of(&g);
	mprotect(g.memory + GHCB, PAGE_SIZE_BYTES, PROT_NONE);
	runs_to_halt(&g);
	mprotect(g.memory + GHCB, PAGE_SIZE_BYTES, PROT_READ);
	runs_to_halt(&g);
	mprotect(g.memory + GHCB, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
	assert_memory_equal(ghcb_of(&g), &before, sizeof(before));
	answers(&g, 0, FEATURES);
	ghcb_end(&g);
}

/* The checks in their order: each page has its own fault, and those that are found later. */
static void test_page_is_checked_in_order(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_PSC, 0, 0);
	ghcb_of(&g)->usage = 1;
	memset(ghcb_of(&g)->valid_bitmap, 0, 16);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_USAGE);
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	ghcb_of(&g)->usage = 0x80000000;
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_USAGE);
	ask(&g, 0x7fffffff, 0, 0);
	memset(ghcb_of(&g)->valid_bitmap, 0, 16);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_MISSING_INPUT);
	ask(&g, 0x7fffffff, 0, 0);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_EVENT);
	/* KVM does not look at the version that the page is said to have. */
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	ghcb_of(&g)->protocol_version = 0xffff;
	answers(&g, 0, FEATURES);
	ghcb_end(&g);
}

/* The fields that each event needs; without one of them it is malformed. */
#define BIT(field) ABI_GHCB_BIT(field)
static const struct {
	uint64_t code, info_1, rax;
	uint16_t needs[4]; /* 0: no more */
} needs[] = {
        {ABI_GHCB_WRITE_DR7, 0, 0, {BIT(rax)}},
        {ABI_GHCB_RDPMC, 0, 0, {BIT(rcx)}},
        {ABI_GHCB_CPUID, 0, 1, {BIT(rax), BIT(rcx)}},
        {ABI_GHCB_CPUID, 0, 0xd, {BIT(rax), BIT(rcx), BIT(xcr0)}},
        {ABI_GHCB_IOIO, PORT << 16 | 0x10, 0, {BIT(rax)}},
        {ABI_GHCB_IOIO, PORT << 16 | ABI_GHCB_IO_STRING, 0, {BIT(sw_scratch)}},
        {ABI_GHCB_IOIO, PORT << 16 | ABI_GHCB_IO_STRING | ABI_GHCB_IO_IN, 0, {BIT(sw_scratch)}},
        {ABI_GHCB_MSR, 0, 0, {BIT(rcx)}},
        {ABI_GHCB_MSR, 1, 0, {BIT(rcx), BIT(rax), BIT(rdx)}},
        {ABI_GHCB_VMMCALL, 0, 0, {BIT(rax), BIT(cpl)}},
        {ABI_GHCB_MONITOR, 0, 0, {BIT(rax), BIT(rcx), BIT(rdx)}},
        {ABI_GHCB_MWAIT, 0, 0, {BIT(rax), BIT(rcx)}},
        {ABI_GHCB_MMIO_READ, 0, 0, {BIT(sw_scratch)}},
        {ABI_GHCB_MMIO_WRITE, 0, 0, {BIT(sw_scratch)}},
        {ABI_GHCB_HV_FEATURES, 0, 0, {BIT(sw_exit_code)}},
        {ABI_GHCB_HV_FEATURES, 0, 0, {BIT(sw_exit_info_1)}},
        {ABI_GHCB_HV_FEATURES, 0, 0, {BIT(sw_exit_info_2)}},
        {ABI_GHCB_UNSUPPORTED, 0, 0, {BIT(sw_exit_info_2)}},
        {ABI_GHCB_TERMINATE, 0, 0, {BIT(sw_exit_info_2)}},
};

static void test_event_without_a_field_is_malformed(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		for (size_t n = 0; n < ARRAY_LEN(needs[i].needs) && needs[i].needs[n]; n++) {
			unsigned bit = needs[i].needs[n];

			ask(&g, needs[i].code, needs[i].info_1, 0);
			ghcb_of(&g)->rax = needs[i].rax;
			memset(ghcb_of(&g)->valid_bitmap, 0xff, 16);
			ghcb_of(&g)->valid_bitmap[bit / 8] &= (uint8_t) ~(1u << bit % 8);
			/* Without its valid bit RAX is 0, so that the leaf is not 0xd. */
			answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_MISSING_INPUT);
		}
	}
	ghcb_end(&g);
}

/* KVM says so before it looks at what the page has, and so never at the addresses of a request. */
static void test_event_of_snp_does_not_exist(void **state)
{
	static const uint64_t codes[] = {
	        ABI_GHCB_PSC, ABI_GHCB_GUEST_REQUEST, ABI_GHCB_EXT_GUEST_REQUEST, ABI_GHCB_AP_CREATION};
	static const struct {
		uint64_t info_1, info_2;
		uint8_t valid;
	} pages[] = {{0, 0, 0}, {GUEST_DATA, OUTSIDE, 0xff}, {GUEST_DATA + 8, OUTSIDE, 0xff}, {1, 0, 0}};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(codes) * ARRAY_LEN(pages); i++) {
		size_t page = i % ARRAY_LEN(pages);

		ask(&g, codes[i / ARRAY_LEN(pages)], pages[page].info_1, pages[page].info_2);
		memset(ghcb_of(&g)->valid_bitmap, pages[page].valid, 16);
		answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_EVENT);
	}
	ghcb_end(&g);
}

static void test_event_that_nobody_has_does_not_exist(void **state)
{
	static const uint64_t codes[] = {0x80000014, 0x80000015, 0x80000017, 0x80000018, 0x8000001a,
	        UINT64_C(0x18000fffd), 0, 0x78, 0x7f, 0x88, 0x400, UINT64_MAX};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		ask(&g, codes[i], 0, 0);
		memset(ghcb_of(&g)->valid_bitmap, 0xff, 16);
		answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_EVENT);
	}
	ghcb_end(&g);
}

/* ---- events that KVM answers by itself ---- */

/* What is not marked as valid reads as zero, and KVM gives four registers back after any event. */
static void test_registers_go_through_the_page(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_INVD, 0, 0);
	GIVE(&g, rax, 0xa1a2a3a4a5a6a7a8);
	GIVE(&g, rdx, 0xd1d2d3d4d5d6d7d8);
	ghcb_of(&g)->rbx = 0xb1;
	ghcb_of(&g)->rcx = 0xc1;
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0xa1a2a3a4a5a6a7a8);
	assert_int_equal(ghcb_of(&g)->rbx, 0);
	assert_int_equal(ghcb_of(&g)->rcx, 0);
	assert_int_equal(ghcb_of(&g)->rdx, 0xd1d2d3d4d5d6d7d8);
	ghcb_end(&g);
}

static void test_event_without_effect_is_done(void **state)
{
	static const uint64_t codes[] = {ABI_GHCB_READ_DR7, ABI_GHCB_WRITE_DR7, ABI_GHCB_INVD,
	        ABI_GHCB_WBINVD, ABI_GHCB_MONITOR, ABI_GHCB_MWAIT, ABI_GHCB_NMI_COMPLETE};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		ask(&g, codes[i], 0, 0);
		memset(ghcb_of(&g)->valid_bitmap, 0xff, 16);
		answers(&g, 0, 0);
		assert_int_equal(note_of(&g)->vector, 0);
	}
	ghcb_end(&g);
}

static void test_event_that_raises_an_exception_does_so(void **state)
{
	const struct kvm_enable_cap no_quirk = {
	        .cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS};
	static const struct {
		uint64_t code;
		uint8_t vector;
	} rows[] = {{ABI_GHCB_RDTSCP, 6}, {ABI_GHCB_RDPMC, 13}, {ABI_GHCB_MONITOR, 6}, {ABI_GHCB_MWAIT, 6}};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	assert_int_equal(call_of(&m, g.vm, KVM_ENABLE_CAP, &no_quirk), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask(&g, rows[i].code, 0, 0);
		memset(ghcb_of(&g)->valid_bitmap, 0xff, 16);
		answers(&g, 0, 0);
		assert_int_equal(note_of(&g)->vector, rows[i].vector);
	}
	ghcb_end(&g);
}

/* KVM never intercepts RDTSC, so it has no handler for it. */
static void test_rdtsc_is_an_internal_error(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_RDTSC, 0, 0);
	runs_to(&g, KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(g.run->internal.suberror, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);
	assert_int_equal(g.run->internal.ndata, 2);
	assert_int_equal(g.run->internal.data[0], ABI_GHCB_RDTSC);
	runs_to_halt(&g);
	assert_answer(&g, 0, 0);
	ghcb_end(&g);
}

static void test_cpuid_uses_leaf_subleaf_and_xcr0(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_CPUID, 0, 0);
	GIVE(&g, rax, 0xffffffff4f000000);
	GIVE(&g, rcx, 7);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0x11);
	assert_int_equal(ghcb_of(&g)->rbx, 0x22);
	assert_int_equal(ghcb_of(&g)->rcx, 0x33);
	assert_int_equal(ghcb_of(&g)->rdx, 0x44);
	for (uint64_t xcr0 = 1; xcr0 <= 7; xcr0 += 2) {
		ask(&g, ABI_GHCB_CPUID, 0, 0);
		GIVE(&g, rax, 0xd);
		GIVE(&g, rcx, 0);
		GIVE(&g, xcr0, xcr0);
		answers(&g, 0, 0);
		assert_int_equal(ghcb_of(&g)->rax, 3);
		assert_int_equal(ghcb_of(&g)->rbx, 576);
	}
	ghcb_end(&g);
}

static void test_jump_table_is_kept_for_the_vm(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_AP_JUMP_TABLE, ABI_GHCB_JUMP_TABLE_GET, 0);
	answers(&g, 0, 0);
	ask(&g, ABI_GHCB_AP_JUMP_TABLE, ABI_GHCB_JUMP_TABLE_SET, 0x123456789abcdef0);
	answers(&g, 0, 0);
	ask(&g, ABI_GHCB_AP_JUMP_TABLE, 2, 1);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	ask(&g, ABI_GHCB_AP_JUMP_TABLE, ABI_GHCB_JUMP_TABLE_GET, 0);
	answers(&g, 0, 0x123456789abcdef0);
	ghcb_end(&g);
}

static void test_guest_that_gives_up_ends_kvm_run(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_TERMINATE, 0, 3);
	runs_to(&g, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(g.run->system_event.type, UAPI_SYSTEM_EVENT_SEV_TERM);
	assert_int_equal(g.run->system_event.data[0], GHCB);
	runs_to_halt(&g);
	ask(&g, ABI_GHCB_UNSUPPORTED, 0x400, 0);
	assert_int_equal(guest_run(&g), -EINVAL);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_UNKNOWN);
	runs_to_halt(&g);
	assert_answer(&g, 0, 0);
	ghcb_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_msr_protocol_is_answered),
	        cmocka_unit_test(test_msr_tells_the_versions_after_reset),
	        cmocka_unit_test(test_msr_protocol_ends_guests),
	        cmocka_unit_test(test_cpuid_that_the_host_forged_is_believed),
	        cmocka_unit_test(test_page_in_the_last_page_of_a_slot_is_used),
	        cmocka_unit_test(test_page_that_cannot_be_written_is_no_page),
	        cmocka_unit_test(test_page_is_checked_in_order),
	        cmocka_unit_test(test_event_without_a_field_is_malformed),
	        cmocka_unit_test(test_event_of_snp_does_not_exist),
	        cmocka_unit_test(test_event_that_nobody_has_does_not_exist),
	        cmocka_unit_test(test_registers_go_through_the_page),
	        cmocka_unit_test(test_event_without_effect_is_done),
	        cmocka_unit_test(test_event_that_raises_an_exception_does_so),
	        cmocka_unit_test(test_rdtsc_is_an_internal_error),
	        cmocka_unit_test(test_cpuid_uses_leaf_subleaf_and_xcr0),
	        cmocka_unit_test(test_jump_table_is_kept_for_the_vm),
	        cmocka_unit_test(test_guest_that_gives_up_ends_kvm_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
