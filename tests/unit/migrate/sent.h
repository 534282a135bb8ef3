/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sent: the two guests of sealed.h without their helpers. Secure processors of this process send what is a
 * guest's own, in the states that the real ones have.
 */
#ifndef TEST_MIGRATE_SENT_H
#define TEST_MIGRATE_SENT_H

#include "sealed.h"

#define POLICY 1
#define PDH(n) ((uint8_t)(0x70 + (n)))

struct processor {
	struct confidential *sev;
	struct migrate_firmware seam;
	struct migrate_chain chain;
	uint8_t key; /* of the move */
	enum { RUNS, SENDS, SENT, EMPTY, RECEIVES } state;
	unsigned began, finished, cancelled, received;
	const char *refusal;
};

static struct processor source_psp, target_psp;

static int refuse_state(struct err *err)
{
	return err_set(err, ERR_HOST, "INVALID_GUEST_STATE");
}

static int psp_check(void *ctx, struct err *err)
{
	const char *why = ((struct processor *)ctx)->refusal;

	return why ? err_set(err, ERR_FAILED, "%s", why) : 0;
}

/* Only the target's PDH is that of a processor. */
static int psp_send_start(
        void *ctx, const struct migrate_chain *to, struct abi_sev_session *ret_session, struct err *err)
{
	struct processor *psp = ctx;

	if (*(const uint8_t *)&to->pdh != PDH(1) || to->amd_bytes != 5 || to->amd[4] != 4)
		return err_set(err, ERR_FAILED, "that is nobody's PDH");
	if (psp->state != RUNS)
		return refuse_state(err);
	psp->state = SENDS;
	psp->key = (uint8_t)(0x91 + 7 * psp->began++);
	memset(ret_session, 0, sizeof(*ret_session));
	ret_session->nonce[0] = psp->key;
	return 0;
}

static uint8_t *own_at(struct processor *psp, struct gpa gpa)
{
	return psp->sev->own + gpa.raw;
}

static uint32_t mac_of(const uint8_t *packet, uint8_t key)
{
	return migrate_crc32c(packet, PAGE_SIZE_BYTES) ^ key;
}

static int psp_send(void *ctx, struct gpa gpa, struct abi_sev_secret_header *ret_header, void *ret_packet,
        struct err *err)
{
	struct processor *psp = ctx;
	const uint8_t *page = own_at(psp, gpa);
	uint8_t *packet = ret_packet;

	if (psp->state != SENDS)
		return refuse_state(err);
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		packet[i] = page[i] ^ psp->key;
	memset(ret_header, 0, sizeof(*ret_header));
	store_le(ret_header->mac, 4, mac_of(packet, psp->key));
	return 0;
}

static int psp_send_end(void *ctx, bool given, struct err *err)
{
	struct processor *psp = ctx;

	if (psp->state != SENDS)
		return 0;
	psp->state = given ? SENT : RUNS;
	psp->finished += given;
	psp->cancelled += !given;
	return 0;
}

static int psp_receive_start(
        void *ctx, const struct abi_sev_cert *pdh, const struct abi_sev_session *session, struct err *err)
{
	struct processor *psp = ctx;

	if (*(const uint8_t *)pdh != PDH(0))
		return err_set(err, ERR_HOST, "BAD_MEASUREMENT");
	if (psp->state != EMPTY)
		return refuse_state(err);
	psp->state = RECEIVES;
	psp->key = session->nonce[0];
	return 0;
}

static int psp_receive(void *ctx, struct gpa gpa, const struct abi_sev_secret_header *header,
        const void *packet, struct err *err)
{
	struct processor *psp = ctx;
	uint8_t *page = own_at(psp, gpa);

	if (psp->state != RECEIVES)
		return refuse_state(err);
	if (load_le(header->mac, 4) != mac_of(packet, psp->key))
		return err_set(err, ERR_HOST, "BAD_MEASUREMENT");
	psp->received++;
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		page[i] = ((const uint8_t *)packet)[i] ^ psp->key;
	return 0;
}

static int psp_receive_finish(void *ctx, struct err *err)
{
	struct processor *psp = ctx;

	if (psp->state != RECEIVES)
		return refuse_state(err);
	psp->state = RUNS;
	return 0;
}

/* ---- life ---- */

static void dress_processor(struct processor *psp, struct confidential *sev, unsigned number)
{
	*psp = (struct processor){.sev = sev, .state = number ? EMPTY : RUNS};
	memset(&psp->chain.pdh, PDH(number), sizeof(psp->chain.pdh));
	memcpy(psp->chain.amd, "\0\1\2\3\4", 5);
	psp->chain.amd_bytes = 5;
	psp->seam = (struct migrate_firmware){.check = psp_check,
	        .send_start = psp_send_start,
	        .send = psp_send,
	        .send_end = psp_send_end,
	        .receive_start = psp_receive_start,
	        .receive = psp_receive,
	        .receive_finish = psp_receive_finish,
	        .chain = &psp->chain,
	        .policy = POLICY,
	        .ctx = psp};
	sev->guest->seam.helper = NULL;
	sev->guest->seam.firmware = &psp->seam;
}

static void dress_processors(void)
{
	dress_both();
	dress_processor(&source_psp, &source_sev, 0);
	dress_processor(&target_psp, &target_sev, 1);
}

/* Whatever has happened: a guest that stays can be sent again, one that runs there is complete. */
static void undress_processors(void)
{
	switch (source.result) {
	case MIGRATE_STAYS: assert_true(source_psp.state == RUNS && !source_psp.finished); break;
	case MIGRATE_GONE: assert_int_equal(source_psp.state, SENT); break;
	case MIGRATE_DOUBT: assert_int_equal(source_psp.state, SENDS); break;
	case MIGRATE_SPLIT: fail_msg("no memory was to come late"); break;
	}
	if (target.runs)
		assert_int_equal(target_psp.state, RUNS);
	undress_both();
}

static void employ_processors(void)
{
	confide();
	dress = dress_processors;
	undress = undress_processors;
}

#endif
