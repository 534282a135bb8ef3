/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_psp: the secure processor under a hostile host: bytes are commands with their arguments, in any order.
 * After each command the books must be right: guests counted, no ASID with two keys; a CPUID page that was
 * corrected is right.
 */
#include <string.h>

#include "fuzz.h"
#include "psp/psp.h"

#define MEMORY_BYTES 8192
#define GUESTS       4 /* handles and contexts are mostly these */
#define STEPS        64

static const struct abi_cpuid_entry processor[] = {
        {0x0, 0, 0, 0, 0x10, 1, 2, 3, 0},
        {0x1, 0, 0, 0, 0xa00f11, 0x0800, 0x7ef8320b, 0x178bfbff, 0},
        {0xd, 0, 0, 0, 0x207, 0x988, 0x988, 0, 0},
        {0xd, 2, 0, 0, 0x100, 0x240, 0, 0, 0},
        {0xd, 11, 0, 0, 0x10, 0, 3, 0, 0},
        {0x8000001f, 0, 0, 0, 0x01fd3f, 0x4173, 0x1fd, 0x80, 0},
};

static struct psp *psp;
static uint8_t memory[MEMORY_BYTES];

static struct psp *make(void)
{
	const struct psp_options options = {
	        .product = "Milan",
	        .sev_major = 1,
	        .sev_minor = 55,
	        .snp_major = 1,
	        .snp_minor = 55,
	        .tcb = 0x0101000000000101,
	        .asids = 4,
	        .es_asids = 2,
	        .cpuid = processor,
	        .cpuid_count = ARRAY_LEN(processor),
	};
	struct psp *made;

	fuzz_assert(psp_create(&options, &made, NULL) == 0);
	return made;
}

static void check_books(void)
{
	struct psp_platform_status status;
	struct psp_guest_view view;
	unsigned sev = 0, owners[8] = {0};

	for (unsigned n = 0; psp_guest_view(psp, n, &view); n++) {
		sev += !view.snp;
		fuzz_assert(view.asid <= 4);
		fuzz_assert(view.asid == 0 || owners[view.asid]++ == 0);
		fuzz_assert((view.asid != 0) == (psp_cipher(psp, view.asid) != NULL));
	}
	fuzz_assert(psp_platform_status(psp, &status) == PSP_SUCCESS);
	fuzz_assert(status.guest_count == sev);
	fuzz_assert((status.state == PSP_PLATFORM_WORKING) == (sev > 0));
}

/* ---- commands ---- */

struct args {
	uint32_t guest, asid;
	uint64_t address;
	size_t size; /* at most MEMORY_BYTES - 64 */
	struct cursor *more;
};

static void start(struct args *a)
{
	struct abi_sev_session session;
	struct abi_sev_cert godh;
	uint32_t handle = a->asid & 8 ? a->guest : 0, policy = (uint32_t)a->address;

	if (!(a->asid & 16)) {
		psp_launch_start(psp, &handle, policy & 0x3f, NULL, NULL);
		return;
	}
	cursor_copy(a->more, &godh, sizeof(godh));
	cursor_copy(a->more, &session, sizeof(session));
	if (a->asid & 32)
		psp_launch_start(psp, &handle, policy, &godh, &session);
	else
		psp_receive_start(psp, &handle, policy, &godh, &session);
}

static void launch(struct args *a, unsigned which)
{
	struct abi_sev_secret_header header;
	struct abi_sev_measure measure;

	switch (which % 6) {
	case 0: psp_launch_update_data(psp, a->guest, memory, a->address, a->size); break;
	case 1: psp_launch_update_vmsa(psp, a->guest, (struct abi_vmsa *)memory, a->address); break;
	case 2: psp_launch_measure(psp, a->guest, &measure); break;
	case 3: psp_launch_finish(psp, a->guest); break;
	case 4: psp_dbg_decrypt(psp, a->guest, memory, a->address, memory, a->size); break;
	default:
		cursor_copy(a->more, &header, sizeof(header));
		psp_launch_secret(psp, a->guest, &header, memory, memory, a->address, a->size);
	}
}

static void move(struct args *a, unsigned which)
{
	struct abi_sev_secret_header header;
	struct abi_sev_session session;
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	const struct psp_receiver receiver = {.pdh = &pdh};
	uint32_t policy;

	switch (which % 5) {
	case 0:
		psp_pdh_cert_export(psp, &pdh, &chain);
		cursor_copy(a->more, (uint8_t *)&pdh + a->asid, a->more->left < 8 ? a->more->left : 8);
		psp_send_start(psp, a->guest, &receiver, &policy, &session);
		break;
	case 1: psp_send_update_data(psp, a->guest, memory, a->address, a->size, &header, memory); break;
	case 2: psp_send_finish(psp, a->guest); break;
	case 3: psp_send_cancel(psp, a->guest); break;
	default: psp_receive_finish(psp, a->guest);
	}
}

/* Can the firmware correct the page? It corrects all fields except those that must be zero. */
static bool is_correctable(const struct abi_cpuid_page *page)
{
	bool zeros = page->reserved_04 == 0 && page->reserved_08 == 0 && page->count <= ABI_CPUID_PAGE_MAX;

	for (uint32_t i = 0; zeros && i < page->count; i++)
		zeros = page->entries[i].reserved == 0;
	return zeros;
}

static void page(struct args *a)
{
	enum abi_page_type type = a->asid % 8;
	uint64_t gpa = a->address & ~UINT64_C(0xfff);
	struct abi_cpuid_page before;
	uint32_t code;

	cursor_copy(a->more, memory, a->more->left < PAGE_SIZE_BYTES ? a->more->left : PAGE_SIZE_BYTES);
	memcpy(&before, memory, sizeof(before));
	code = psp_snp_launch_update(psp, a->guest, type, gpa, memory);
	if (type == ABI_PAGE_CPUID && code == PSP_INVALID_PARAM && is_correctable(&before))
		fuzz_assert(psp_snp_launch_update(psp, a->guest, type, gpa, memory) == PSP_SUCCESS);
}

static void snp(struct args *a, unsigned which)
{
	struct uapi_sev_snp_launch_finish finish;
	struct abi_snp_report report;
	struct abi_id_block block;
	struct abi_id_auth auth;
	uint32_t gctx;

	switch (which % 7) {
	case 0: psp_gctx_create(psp, &gctx); break;
	case 1: psp_snp_launch_start(psp, a->guest, a->address | 0x30000, memory); break;
	case 2: psp_snp_activate(psp, a->guest, a->asid % 6); break;
	case 3: page(a); break;
	case 4: psp_snp_decommission(psp, a->guest); break;
	case 5: psp_snp_report(psp, a->guest, memory, a->asid % 5, &report); break;
	default:
		cursor_copy(a->more, &finish, sizeof(finish));
		cursor_copy(a->more, &block, sizeof(block));
		cursor_copy(a->more, &auth, sizeof(auth));
		psp_snp_launch_finish(psp, a->guest, &finish, &block, &auth);
	}
}

static void platform(struct args *a, unsigned which)
{
	struct uapi_sev_snp_config config;
	struct abi_sev_cert pek, oca;

	switch (which % 11) {
	case 0: psp_activate(psp, a->guest, a->asid % 6); break;
	case 1: psp_deactivate(psp, a->guest); break;
	case 2: psp_decommission(psp, a->guest); break;
	case 3: psp_wbinvd(psp); break;
	case 4: psp_df_flush(psp); break;
	case 5: psp_shutdown(psp); break;
	case 6: psp_init(psp, a->asid & 1); break;
	case 7: a->asid & 1 ? psp_snp_init(psp) : psp_snp_shutdown(psp); break;
	case 8: psp_snp_vlek_load(psp, memory, a->size); break;
	case 9:
		cursor_copy(a->more, &config, sizeof(config));
		psp_snp_set_config(psp, &config);
		break;
	default:
		cursor_copy(a->more, &pek, sizeof(pek));
		cursor_copy(a->more, &oca, sizeof(oca));
		psp_pek_cert_import(psp, &pek, &oca);
	}
}

static void step(struct cursor *c)
{
	uint8_t command = cursor_u8(c), guest = cursor_u8(c);
	struct args a = {
	        .guest = guest < 0xf0 ? guest % (GUESTS + 1) : (uint32_t)guest << 24,
	        .asid = cursor_u8(c),
	        .address = cursor_u64(c),
	        .size = cursor_u16(c) % (MEMORY_BYTES - 64),
	        .more = c,
	};

	if (!(command & 0x80)) { /* mostly aligned */
		a.address &= ~UINT64_C(15);
		a.size &= ~(size_t)15;
	}
	switch (command & 7) {
	case 0: start(&a); break;
	case 1:
	case 2: launch(&a, command >> 3 & 15); break;
	case 3: move(&a, command >> 3 & 15); break;
	case 4:
	case 5: snp(&a, command >> 3 & 15); break;
	default: platform(&a, command >> 3 & 15);
	}
}

/* Making keys takes longer than all commands of an input, so there is one processor for all of them. */
static void begin(void)
{
	const struct uapi_sev_snp_config config = {0};
	struct psp_guest_view view;

	if (!psp)
		psp = make();
	psp_shutdown(psp);
	while (psp_guest_view(psp, 0, &view))
		fuzz_assert(psp_snp_decommission(psp, view.handle) == PSP_SUCCESS);
	psp_wbinvd(psp);
	fuzz_assert(psp_df_flush(psp) == PSP_SUCCESS);
	fuzz_assert(psp_snp_shutdown(psp) == PSP_SUCCESS);
	fuzz_assert(psp_snp_init(psp) == PSP_SUCCESS);
	fuzz_assert(psp_init(psp, true) == PSP_SUCCESS);
	fuzz_assert(psp_snp_set_config(psp, &config) == PSP_SUCCESS);
	memset(memory, 0, sizeof(memory));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);

	begin();
	for (int i = 0; i < STEPS && !c.bad && c.left; i++) {
		step(&c);
		check_books();
	}
	return 0;
}
