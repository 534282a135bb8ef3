/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: opens the messages of a SEV-SNP guest, has them answered, and seals the answers. Host and
 * hypervisor can only lose messages: a changed, repeated, reordered or invented one is refused. Any thread
 * may call; the command runs with the lock of the secure processor held. SNP ABI, SNP_GUEST_REQUEST. The
 * order of the checks is that of AMD's published firmware, amd/AMD-ASPFW, snp_mcmd_guest_request(), which
 * forgets one that the ABI demands: that the payload is as long as its type needs.
 */
#include <string.h>

#include "internal.h"

#define COUNT_MAX (UINT64_MAX - 1) /* of a VMPCK's messages: the answer to one more would have number 0 */

struct exchange {
	struct abi_message_header request, response;
	uint8_t question[ABI_MESSAGE_PAYLOAD_MAX], answer[ABI_MESSAGE_PAYLOAD_MAX]; /* plaintext */
};

static inline void exchange_wipe(struct exchange *x)
{
	crypto_wipe(x, sizeof(*x));
}
#define auto_wipe_exchange __attribute__((cleanup(exchange_wipe)))

/* ---- types ---- */

/* The scale, the offset and the factor are the same for every guest: its TSC is the host's. */
static uint32_t answer_tsc_info(struct psp *psp, const struct psp_question *question, void *ret_answer)
{
	static const struct abi_msg_tsc_info_req zeros;
	const struct abi_msg_tsc_info_rsp answer = {
	        .scale = PSP_TSC_SCALE_ONE, .offset = 0, .factor = PSP_TSC_FACTOR};

	if (memcmp(question->payload, &zeros, sizeof(zeros)) != 0)
		return PSP_INVALID_PARAM;
	memcpy(ret_answer, &answer, sizeof(answer));
	return PSP_SUCCESS;
}

struct type {
	uint8_t type, version;
	uint16_t request_bytes;  /* at least */
	uint16_t response_bytes; /* 0: as many as the request has */
	psp_answer_fn *answer;
};

/* The types of migration agents (7 to 16) are missing: this platform has no agents. */
static const struct type types[] = {
        {ABI_MSG_CPUID_REQ, 1, sizeof(struct abi_msg_cpuid_req), 0, psp_answer_cpuid},
        {ABI_MSG_KEY_REQ, 1, sizeof(struct abi_msg_key_req), sizeof(struct abi_msg_key_rsp), psp_answer_key},
        {ABI_MSG_REPORT_REQ, 1, sizeof(struct abi_msg_report_req),
                sizeof(struct abi_snp_report_rsp) + sizeof(struct abi_snp_report), psp_answer_report},
        {ABI_MSG_TSC_INFO_REQ, 1, sizeof(struct abi_msg_tsc_info_req), sizeof(struct abi_msg_tsc_info_rsp),
                answer_tsc_info},
};

static const struct type *find_type(const struct abi_message_header *request)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type == request->type)
			return request->version && request->version <= types[i].version &&
			                       request->bytes >= types[i].request_bytes
			               ? &types[i]
			               : NULL;
	}
	return NULL;
}

/* ---- opening and sealing ---- */

static uint32_t check_header(const struct abi_message_header *request)
{
	if (request->header_version != ABI_MESSAGE_HEADER_VERSION ||
	        request->header_bytes != sizeof(*request) || request->algo != ABI_MESSAGE_ALGO_AES_256_GCM ||
	        request->bytes == 0 || !is_aligned(request->bytes, 16) ||
	        request->bytes > ABI_MESSAGE_PAYLOAD_MAX || request->vmpck >= ABI_MESSAGE_VMPCKS)
		return PSP_INVALID_PARAM;
	return PSP_SUCCESS;
}

/* Opens or seals a payload of header->bytes bytes. Sealing makes the tag. */
static bool crypt_payload(const struct psp_snp_guest *guest, bool seals, struct abi_message_header *header,
        const void *from, void *to)
{
	uint8_t iv[ABI_MESSAGE_IV_BYTES] = {0};
	const struct psp_mac_gcm gcm = {
	        .encrypts = seals,
	        .key = guest->vmpck[header->vmpck],
	        .iv = iv,
	        .bound = {(const uint8_t *)header + ABI_MESSAGE_BOUND_AT,
	                sizeof(*header) - ABI_MESSAGE_BOUND_AT},
	        .tag = header->tag,
	};

	store_le(iv, 8, header->sequence);
	return psp_mac_gcm(&gcm, from, to, header->bytes);
}

/* Answers with the next sequence number; the answer's status is the first word of its payload. */
static uint32_t answer(
        struct psp *psp, const struct psp_snp_guest *guest, const struct type *type, struct exchange *x)
{
	const struct psp_question question = {guest, x->request.vmpck, x->question, x->request.bytes};
	uint32_t status;

	x->response.sequence = x->request.sequence + 1;
	x->response.algo = ABI_MESSAGE_ALGO_AES_256_GCM;
	x->response.header_version = ABI_MESSAGE_HEADER_VERSION;
	x->response.header_bytes = sizeof(x->response);
	x->response.type = type->type + 1;
	x->response.version = type->version;
	x->response.bytes = type->response_bytes ?: x->request.bytes;
	x->response.vmpck = x->request.vmpck;
	status = type->answer(psp, &question, x->answer);
	store_le(x->answer, sizeof(status), status);
	return crypt_payload(guest, true, &x->response, x->answer, x->answer) ? PSP_SUCCESS : PSP_BROKEN;
}

static uint32_t exchange(
        struct psp *psp, struct psp_snp_guest *guest, const uint8_t *request, uint8_t *ret_response)
{
	auto_wipe_exchange struct exchange x = {0};
	const struct type *type;
	uint64_t *count;
	uint32_t code;

	memcpy(&x.request, request, sizeof(x.request));
	code = check_header(&x.request);
	if (code)
		return code;
	if (!crypt_payload(guest, false, &x.request, request + sizeof(x.request), x.question))
		return PSP_BAD_MEASUREMENT;
	count = &guest->message_count[x.request.vmpck];
	if (*count >= COUNT_MAX || x.request.sequence != *count + 1)
		return PSP_AEAD_OFLOW;
	type = find_type(&x.request);
	if (!type)
		return PSP_INVALID_PARAM;
	code = answer(psp, guest, type, &x);
	if (code)
		return code;
	*count += 2;
	memcpy(ret_response, &x.response, sizeof(x.response));
	memcpy(ret_response + sizeof(x.response), x.answer, x.response.bytes);
	return PSP_SUCCESS;
}

uint32_t psp_snp_guest_request(struct psp *psp, uint32_t gctx, const void *request, void *ret_response)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_GUEST_REQUEST, gctx, &guest);

	if (call.code)
		return call.code;
	return exchange(psp, guest, request, ret_response);
}
