/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_guest: a SEV-SNP guest that asks its secure processor by the GHCB. The guest copies its keys out of
 * its secrets page into a page that it shares; with them the test seals and opens its messages.
 */
#ifndef VMM_TEST_REQUEST_GUEST_H
#define VMM_TEST_REQUEST_GUEST_H

#include "ghcb_guest.h"
#include "message_guest.h"
#include "vmm/abi/snp.h"

#define SECRETS  0x3000u /* private */
#define REQUEST  OUTSIDE
#define RESPONSE 0xc000u /* shared, as all that follow */
#define CERTS    0xd000u
#define KEYS     (NOTE + 0x800u) /* where the guest copies its secrets page to */
#define POLICY   0x30000

GHCB_CODE(copy_secrets, "movl $0x3000, %esi\n"
                        "movl $0x205800, %edi\n"
                        "movl $0x100, %ecx\n"
                        "rep movsb");

struct asker {
	struct machine m;
	struct guest g;
	int sev; /* the guest's /dev/sev */
	struct talker talker;
};

static inline void asker_update(struct guest *g, uint32_t from, uint32_t to, uint8_t type)
{
	struct uapi_sev_snp_launch_update update = {.gfn_start = from >> 12,
	        .uaddr = (uintptr_t)g->memory + from,
	        .len = to - from,
	        .type = type};

	assert_int_equal(set_private(g, from, to - from, true), 0);
	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_UPDATE, &update), 0);
}

static inline void asker_launch(struct asker *b)
{
	const struct uapi_sev_snp_launch_start start = {.policy = POLICY};
	const struct uapi_sev_snp_launch_finish finish = {0};
	struct guest *g = &b->g;

	assert_int_equal(command_with(g, UAPI_SEV_SNP_LAUNCH_START, &start, b->sev), 0);
	asker_update(g, 0, SECRETS, ABI_PAGE_NORMAL);
	asker_update(g, SECRETS, SECRETS + 0x1000, ABI_PAGE_SECRETS);
	asker_update(g, TABLES, RESPONSE, ABI_PAGE_NORMAL);
	asker_update(g, CERTS + 0x1000, GUEST_BYTES, ABI_PAGE_NORMAL);
	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_FINISH, &finish), 0);
}

/* A guest that runs, registered its GHCB and told its keys. */
static inline void asker_init(struct asker *b, bool certs)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct guest *g = &b->g;

	machine_open(&b->m, &milan);
	b->sev = host_open(b->m.host, "/dev/sev", O_RDWR);
	guest_make(g, &b->m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(g), 0);
	if (certs)
		assert_int_equal(command(g, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL), 0);
	guest_add_vcpu(g);
	ghcb_prepare(g);
	put_code(g, GUEST_CODE, copy_secrets, copy_secrets_end);
	put_code(g, GUEST_CODE + (uint32_t)(copy_secrets_end - copy_secrets), ghcb_asks, ghcb_asks_end);
	asker_launch(b);
	note_of(g)->msr = GHCB | ABI_GHCB_MSR_REGISTER_ASK;
	runs_to_halt(g);
	assert_int_equal(note_of(g)->msr_after, GHCB | ABI_GHCB_MSR_REGISTER);
	note_of(g)->msr = GHCB;
	talker_init(&b->talker, g->memory + KEYS);
}

static inline void asker_finish(struct asker *b)
{
	guest_close(&b->g);
	host_close(b->m.host, b->sev);
	machine_close(&b->m);
}

/* Seals a request for a report, and names the pages. */
static inline void ask_report(struct asker *b, uint64_t event)
{
	static const uint8_t payload[96] = "a nonce";

	message_write(&b->talker, 0, REPORT_REQ, payload, sizeof(payload));
	message_seal(&b->talker, 0, sizeof(payload));
	memcpy(b->g.memory + REQUEST, b->talker.request, sizeof(b->talker.request));
	memset(b->g.memory + RESPONSE, 0x5a, PAGE_SIZE_BYTES);
	ask(&b->g, event, REQUEST, RESPONSE);
}

#endif
