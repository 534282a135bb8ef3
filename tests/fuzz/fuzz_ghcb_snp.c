/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ghcb_snp: what only SEV-SNP guests ask by the GHCB: lists of page state changes, messages to the
 * secure processor, and requests with certificates, with any answer of the VMM. A list that is done was told
 * to the VMM page by page; a message that the guest sealed rightly is answered, and no other one. Input: the
 * kind of VMM, then up to 12 requests: a kind, its fields, the VMM's answers. Missing bytes are zero.
 */
#include <signal.h>

#include "../unit/sim/request_guest.h"
#include "input.h"

#define REQUESTS_MAX 12u
#define EXITS_MAX    300u /* more than a list has entries */
#define ENTRIES_MAX  40u

/* The first byte of a request. */
enum { MESSAGE = 1, EXTENDED = 2, ODD_ADDRESSES = 4, ODD_FIELDS = 8 };
/* The first byte of a message. */
enum { SEALED = 1, NEXT = 2, RIGHT_HEADER = 4, BREAK = 8 };

static struct {
	struct asker asker;
	int kind; /* -1: there is no guest */
} f = {.kind = -1};

/* How far the guest has come with its latest request. */
struct course {
	bool good;      /* the firmware must answer the message, if the VMM lets it pass */
	bool refused;   /* the VMM gave another answer than 0 */
	uint64_t told;  /* pages of changes */
	unsigned vmpck; /* of a sealed message */
};

static uint64_t take64(void)
{
	uint8_t bytes[8];

	take(bytes, sizeof(bytes));
	return load_le(bytes, sizeof(bytes));
}

static void drop_guest(void)
{
	if (f.kind >= 0)
		asker_finish(&f.asker);
	f.kind = -1;
}

/* One guest serves all inputs of a kind, until something happened that it cannot tell. */
static void want_guest(int kind)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1u << 12};
	sigset_t alarm, old;

	if (f.kind == kind)
		return;
	drop_guest();
	/* libFuzzer's own timer does not interrupt the guest's first KVM_RUN. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, &old);
	asker_init(&f.asker, kind & 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (kind & 2)
		assert_int_equal(call_of(&f.asker.m, f.asker.g.vm, KVM_ENABLE_CAP, &cap), 0);
	f.kind = kind;
}

/* ---- lists of page state changes ---- */

static struct abi_ghcb_psc *list_of(struct guest *g)
{
	return (struct abi_ghcb_psc *)(void *)ghcb_of(g)->shared_buffer;
}

/* Many entries follow their neighbour, so that there are runs. */
static uint64_t make_entry(uint64_t before)
{
	const uint8_t form = take8();
	const uint64_t step = before & ABI_GHCB_PSC_LARGE ? 512 : 1;
	uint64_t gfn = form & 8 ? ABI_GHCB_PSC_GFN(before) + step : (uint64_t)take8() << (form & 16 ? 9 : 0);
	uint64_t entry = (uint64_t)(form & 3) << 52 | gfn << 12 | (form & 4 ? ABI_GHCB_PSC_LARGE : 0);

	if ((form & 0xe0) == 0xe0)
		entry = take64();
	else if ((form & 0xe0) == 0xc0)
		entry |= take8();
	return entry;
}

static void make_list(struct guest *g, bool odd)
{
	struct abi_ghcb_psc *list = list_of(g);
	uint8_t count = take8() % ENTRIES_MAX;
	uint64_t entry = 0;

	list->current = odd ? (uint16_t)take64() : take8() & 1;
	list->end = odd ? (uint16_t)take64() : (uint16_t)(count ? count - 1 : 0);
	for (unsigned i = 0; i < count; i++)
		list->entries[i] = entry = make_entry(entry);
	GIVE(g, sw_scratch, GHCB + ABI_GHCB_SHARED_AT);
}

static unsigned pages_of(uint64_t entry)
{
	return entry & ABI_GHCB_PSC_LARGE ? 512 : 1;
}

/* A list that is done: each page of it that is to become private or shared was told, once. */
static void check_list(struct guest *g, const struct abi_ghcb *before, const struct course *course)
{
	const struct abi_ghcb_psc *was = (const void *)before->shared_buffer, *now = list_of(g);
	uint64_t pages = 0;

	if (ghcb_of(g)->sw_exit_info_1 || ghcb_of(g)->sw_exit_info_2)
		return;
	for (unsigned i = was->current; i <= was->end; i++) {
		const unsigned operation = ABI_GHCB_PSC_OPERATION(was->entries[i]);

		if (operation == ABI_GHCB_PSC_PRIVATE || operation == ABI_GHCB_PSC_SHARED)
			pages += pages_of(was->entries[i]) - (was->entries[i] & ABI_GHCB_PSC_DONE);
		fuzz_assert((now->entries[i] & ABI_GHCB_PSC_DONE) == pages_of(was->entries[i]));
		fuzz_assert(((now->entries[i] ^ was->entries[i]) & ~ABI_GHCB_PSC_DONE) == 0);
	}
	fuzz_assert(now->current > now->end && now->end == was->end);
	fuzz_assert(!course->refused && pages == course->told);
}

/* ---- messages ---- */

static void fill_header(uint8_t *page, uint8_t kind, uint64_t next)
{
	static const uint8_t types[] = {REPORT_REQ, TSC_INFO_REQ, KEY_REQ, CPUID_REQ};
	static const uint16_t sizes[] = {96, 128, 32, 3088};
	const uint8_t which = kind >> 4 & 3;

	take(page, kind & RIGHT_HEADER ? 0 : HEADER_BYTES);
	if (kind & RIGHT_HEADER) {
		memset(page, 0, HEADER_BYTES);
		page[AT_ALGO] = page[AT_HDR_VER] = page[AT_VERSION] = 1;
		store_le(page + AT_HDR_SIZE, 2, HEADER_BYTES);
		page[AT_TYPE] = types[which];
		store_le(page + AT_SIZE, 2, sizes[which]);
		page[AT_VMPCK] = kind >> 6;
	}
	if (kind & NEXT)
		store_le(page + AT_SEQUENCE, 8, next);
}

static void make_message(struct asker *a, struct course *course)
{
	uint8_t *page = a->g.memory + REQUEST, kind = take8();
	size_t size;

	memset(page, 0, PAGE_SIZE_BYTES);
	fill_header(page, kind, a->talker.next[kind >> 6]);
	course->vmpck = page[AT_VMPCK] % 4;
	size = load_le(page + AT_SIZE, 2);
	take(page + HEADER_BYTES, 80);
	if (kind & SEALED && size && size <= PAYLOAD_MAX)
		assert_true(crypt_page(true, a->talker.vmpck[course->vmpck], page, size));
	if (kind & BREAK)
		page[load_le((uint8_t[]){take8(), take8()}, 2) % PAGE_SIZE_BYTES] ^= 1;
	/* Reports and the TSC are asked for with any payload; what is wrong with it, the answer says. */
	course->good = (kind & (SEALED | NEXT | RIGHT_HEADER | BREAK)) == (SEALED | NEXT | RIGHT_HEADER) &&
	               !(kind & 0x20);
}

/* An answer has the next number, and opens with the guest's key. */
static void check_message(struct asker *a, const struct abi_ghcb *before, const struct course *course)
{
	const struct abi_ghcb *page = ghcb_of(&a->g);
	uint8_t *response = a->g.memory + RESPONSE;

	fuzz_assert(page->sw_exit_info_1 == ABI_GHCB_DONE ||
	            (page->sw_exit_info_1 == ABI_GHCB_MALFORMED &&
	                    page->sw_exit_info_2 == ABI_GHCB_INVALID_INPUT));
	if (before->sw_exit_info_1 != REQUEST || before->sw_exit_info_2 != RESPONSE)
		return;
	if (page->sw_exit_info_1 == ABI_GHCB_DONE && page->sw_exit_info_2 == 0) {
		fuzz_assert(load_le(response + AT_SEQUENCE, 8) == a->talker.next[course->vmpck] + 1);
		fuzz_assert(load_le(response + AT_SIZE, 2) <= PAYLOAD_MAX);
		fuzz_assert(crypt_page(
		        false, a->talker.vmpck[course->vmpck], response, load_le(response + AT_SIZE, 2)));
		a->talker.next[course->vmpck] += 2;
	} else {
		fuzz_assert(!course->good || course->refused || page->sw_exit_info_1);
	}
}

static void make_request(struct asker *a, uint8_t kind, struct course *course)
{
	static const uint64_t places[] = {
	        REQUEST, RESPONSE, CERTS, REQUEST + 8, RESPONSE + 0xfff, GUEST_DATA, NOWHERE, UINT64_MAX};
	const uint8_t odd = kind & ODD_ADDRESSES ? take8() : 1u << 3;

	make_message(a, course);
	ask(&a->g, kind & EXTENDED ? ABI_GHCB_EXT_GUEST_REQUEST : ABI_GHCB_GUEST_REQUEST, places[odd & 7],
	        places[odd >> 3 & 7]);
	if (kind & EXTENDED) {
		GIVE(&a->g, rax, kind & ODD_FIELDS ? places[take8() % ARRAY_LEN(places)] : CERTS);
		GIVE(&a->g, rbx, take8());
		/* The empty list of certificates would be written over the message before it is read. */
		course->good &= ghcb_of(&a->g)->rax != REQUEST;
	}
	if (kind & EXTENDED && kind & ODD_FIELDS)
		take(ghcb_of(&a->g)->valid_bitmap + ABI_GHCB_BIT(rax) / 8, 1);
}

/* ---- a request ---- */

static void answer_exit(struct guest *g, struct course *course)
{
	static const uint64_t hypercall[] = {0, 0, 0, 0, 0, EINVAL, EAGAIN, ENOSPC};
	static const uint64_t certificates[] = {0, 0, 0, ENOSPC, EAGAIN, EIO, EINVAL, UINT64_MAX};
	const uint8_t which = take8();
	struct uapi_snp_req_certs certs;

	if (g->run->exit_reason == KVM_EXIT_HYPERCALL) {
		fuzz_assert(g->run->hypercall.nr == 12 && g->run->hypercall.ret == 0);
		g->run->hypercall.ret = hypercall[which % ARRAY_LEN(hypercall)];
		course->refused |= g->run->hypercall.ret != 0;
		course->told += g->run->hypercall.args[1];
		return;
	}
	fuzz_assert(g->run->exit_reason == UAPI_EXIT_SNP_REQ_CERTS && f.kind & 1);
	memcpy(&certs, &g->run->hw, sizeof(certs));
	fuzz_assert(certs.ret == 0 && is_aligned(certs.gpa, PAGE_SIZE_BYTES));
	certs.ret = certificates[which % ARRAY_LEN(certificates)];
	certs.npages = which;
	course->refused |= certs.ret != 0;
	memcpy(&g->run->hw, &certs, sizeof(certs));
}

/* Returns false if the guest cannot know what became of its request. */
static bool run_request(struct guest *g, struct course *course)
{
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		int result = guest_run(g);

		if (result == -EINTR)
			continue;
		if (result < 0) {
			fuzz_assert(result == -EIO || result == -EINVAL);
			return false;
		}
		if (g->run->exit_reason == KVM_EXIT_HLT) {
			fuzz_assert(note_of(g)->rbx_after == GUEST_RBX && note_of(g)->vector == 0);
			return true;
		}
		answer_exit(g, course);
	}
	fuzz_assert(false);
}

static bool try_request(struct asker *a)
{
	const uint8_t kind = take8();
	struct course course = {.good = false};
	struct abi_ghcb before;

	if (kind & MESSAGE) {
		make_request(a, kind, &course);
	} else {
		ask(&a->g, ABI_GHCB_PSC, 0, 0);
		make_list(&a->g, kind & ODD_FIELDS);
		if (kind & ODD_ADDRESSES)
			ghcb_of(&a->g)->sw_scratch += take64() & 0xfff;
	}
	before = *ghcb_of(&a->g);
	if (!run_request(&a->g, &course))
		return false;
	assert_only_answered(&a->g, &before);
	if (kind & MESSAGE)
		check_message(a, &before, &course);
	else if (!(kind & ODD_ADDRESSES))
		check_list(&a->g, &before, &course);
	/* An answer that went elsewhere has a number, too. */
	return !(kind & MESSAGE && kind & ODD_ADDRESSES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool good = true;

	input.data = data;
	input.size = size;
	want_guest(take8() & 3);
	for (unsigned i = 0; i < REQUESTS_MAX && input.size && good; i++)
		good = try_request(&f.asker);
	if (!good)
		drop_guest();
	return 0;
}
