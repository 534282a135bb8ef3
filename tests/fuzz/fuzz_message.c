/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_message: the messages of a SEV-SNP guest to its secure processor. The bytes are messages, each with
 * any header and payload. About half of them are sealed with the guest's key, as the guest itself would do.
 * No other message may be answered. An answer must open with the guest's key, and a key must come again.
 */
#include <string.h>

#include "fuzz.h"
#include "input.h"
#include "psp/mac.h"
#include "psp/psp.h"
#include "vmm/abi/message.h"

#define STEPS       32
#define MAX         ABI_MESSAGE_PAYLOAD_MAX
#define UNTOUCHED   0xa5
#define STATUS_FREE 0x28 /* above every code of the firmware */

/* What the first byte of a message says. */
enum { SEALED = 1, NEXT = 2, RIGHT_HEADER = 4, BREAK = 8 };

static const struct abi_cpuid_entry processor[] = {
        {0x0, 0, 0, 0, 0x10, 1, 2, 3, 0},
        {0x1, 0, 0, 0, 0xa00f11, 0x0800, 0x7ef8320b, 0x178bfbff, 0},
        {0xd, 0, 0, 0, 0x207, 0x988, 0x988, 0, 0},
};

static struct psp *psp;
static uint32_t gctx;
static struct abi_secrets_page secrets;
static uint64_t next[ABI_MESSAGE_VMPCKS];
static uint8_t request[PAGE_SIZE_BYTES], response[PAGE_SIZE_BYTES], payload[MAX];

static void begin(void)
{
	const struct psp_options options = {
	        .product = "Milan",
	        .snp_major = 1,
	        .snp_minor = 55,
	        .snp_build = 35,
	        .tcb = 0x0101000000000101,
	        .asids = 4,
	        .es_asids = 2,
	        .cpuid = processor,
	        .cpuid_count = ARRAY_LEN(processor),
	};
	struct uapi_sev_snp_launch_finish finish = {.vcek_disabled = 0};

	if (psp)
		fuzz_assert(psp_snp_decommission(psp, gctx) == PSP_SUCCESS);
	else
		fuzz_assert(psp_create(&options, &psp, NULL) == 0);
	psp_wbinvd(psp);
	fuzz_assert(psp_df_flush(psp) == PSP_SUCCESS);
	fuzz_assert(psp_gctx_create(psp, &gctx) == PSP_SUCCESS);
	fuzz_assert(psp_snp_launch_start(psp, gctx, 0x30000, secrets.gosvw) == PSP_SUCCESS);
	fuzz_assert(psp_snp_activate(psp, gctx, 1) == PSP_SUCCESS);
	fuzz_assert(psp_snp_launch_update(psp, gctx, ABI_PAGE_SECRETS, 0, &secrets) == PSP_SUCCESS);
	finish.vcek_disabled = take8() & 1;
	fuzz_assert(psp_snp_launch_finish(psp, gctx, &finish, NULL, NULL) == PSP_SUCCESS);
	for (unsigned i = 0; i < ABI_MESSAGE_VMPCKS; i++)
		next[i] = 1;
}

static bool crypt_page(bool seals, struct abi_message_header *header, const void *from, void *to, size_t size)
{
	uint8_t iv[ABI_MESSAGE_IV_BYTES] = {0};
	const struct psp_mac_gcm gcm = {
	        .encrypts = seals,
	        .key = secrets.vmpck[header->vmpck % ABI_MESSAGE_VMPCKS],
	        .iv = iv,
	        .bound = {(const uint8_t *)header + ABI_MESSAGE_BOUND_AT,
	                sizeof(*header) - ABI_MESSAGE_BOUND_AT},
	        .tag = header->tag,
	};

	memcpy(iv, &header->sequence, sizeof(header->sequence));
	return psp_mac_gcm(&gcm, from, to, size);
}

static uint32_t send(void)
{
	uint32_t code;

	memset(response, UNTOUCHED, sizeof(response));
	code = psp_snp_guest_request(psp, gctx, request, response);
	for (size_t i = 0; code && i < sizeof(response); i++)
		fuzz_assert(response[i] == UNTOUCHED);
	return code;
}

static void seal(struct abi_message_header *header)
{
	size_t size = header->bytes <= MAX ? header->bytes : MAX;

	fuzz_assert(crypt_page(true, header, payload, request + sizeof(*header), size));
	memcpy(request, header, sizeof(*header));
}

/* Opens the answer, which has the status at its beginning. */
static uint32_t read_answer(const struct abi_message_header *asked, uint8_t *ret_answer)
{
	struct abi_message_header header;

	memcpy(&header, response, sizeof(header));
	fuzz_assert(header.sequence == asked->sequence + 1 && header.type == asked->type + 1);
	fuzz_assert(header.vmpck == asked->vmpck && header.bytes && header.bytes <= MAX);
	fuzz_assert(crypt_page(false, &header, response + sizeof(header), ret_answer, header.bytes));
	next[asked->vmpck] = asked->sequence + 2;
	return (uint32_t)load_le(ret_answer, 4);
}

/* The same message is refused; the same question gets the same answer. */
static void repeat(struct abi_message_header *header, const uint8_t *answer, uint32_t status)
{
	uint8_t again[MAX] = {0};

	fuzz_assert(send() == PSP_AEAD_OFLOW);
	header->sequence = next[header->vmpck];
	seal(header);
	fuzz_assert(send() == PSP_SUCCESS);
	fuzz_assert(read_answer(header, again) == status);
	fuzz_assert(memcmp(again, answer, MAX) == 0);
}

static void step(void)
{
	struct abi_message_header header = {.algo = ABI_MESSAGE_ALGO_AES_256_GCM,
	        .header_version = ABI_MESSAGE_HEADER_VERSION,
	        .header_bytes = sizeof(header),
	        .version = 1};
	uint8_t how = take8(), answer[MAX] = {0};
	uint32_t code, status;
	size_t broken = 0;

	if (how & RIGHT_HEADER) {
		header.type = take8();
		header.vmpck = how >> 6;
		take(&header.bytes, sizeof(header.bytes));
	} else {
		take(&header, sizeof(header));
	}
	if (how & NEXT)
		header.sequence = next[header.vmpck % ABI_MESSAGE_VMPCKS];
	take(payload, header.bytes <= MAX ? header.bytes : MAX);
	memcpy(request, &header, sizeof(header));
	memcpy(request + sizeof(header), payload, MAX);
	if (how & SEALED)
		seal(&header);
	if (how & BREAK) {
		broken = ABI_MESSAGE_BOUND_AT + take8();
		request[broken] ^= (uint8_t)(take8() | 1);
	}
	code = send();
	if (code)
		return;
	/* All up to the end of the payload is authenticated. */
	fuzz_assert(!(how & BREAK) || broken >= sizeof(header) + header.bytes);
	fuzz_assert(how & SEALED);
	status = read_answer(&header, answer);
	fuzz_assert(status < STATUS_FREE);
	repeat(&header, answer, status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	begin();
	for (int i = 0; i < STEPS && input.size; i++)
		step();
	return 0;
}
