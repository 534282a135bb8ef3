/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: derives the keys that a SEV-SNP guest asks for. The same request of the same guest gives the same key;
 * a key with a root of the processor's is the same again after the guest's next launch. Another chip, another
 * VMPL or another value of a field that the guest selected gives another key. The caller holds the lock of
 * the secure processor. SNP ABI, MSG_KEY_REQ; NIST SP 800-108. The order of the checks is that of AMD's
 * published firmware, amd/AMD-ASPFW, snp_mcmd_guest_request(). A real VCEK of a lower TCB follows from that
 * of a higher one; here each TCB has a key of its own.
 */
#include <string.h>

#include "internal.h"

bool psp_key_is_vlek(const struct psp *psp, unsigned select)
{
	return psp->vlek.loaded && select != ABI_KEY_VCEK;
}

bool psp_key_is_allowed(const struct psp *psp, const struct psp_snp_guest *guest, unsigned select)
{
	switch (select) {
	case ABI_KEY_VLEK_OR_VCEK: return psp->vlek.loaded || !guest->vcek_disabled;
	case ABI_KEY_VCEK: return !guest->vcek_disabled;
	case ABI_KEY_VLEK: return psp->vlek.loaded;
	default: return false;
	}
}

/* Which key digest of the guest's ID block is mixed in: a new ID key of the same author keeps the keys. */
enum id_key { ID_NONE, ID_KEY, ID_AUTHOR };

/* What the key is derived from besides its root. */
struct mix {
	uint32_t is_vmrk, id_key;
	uint64_t fields;
	uint32_t vmpl, guest_svn;
	uint64_t tcb, policy;
	uint8_t image_id[16], family_id[16];
	uint8_t measurement[SHA384_BYTES], host_data[UAPI_SNP_HOST_DATA_BYTES], id_key_digest[SHA384_BYTES];
} ABI_PACKED;

static uint32_t check(
        const struct psp *psp, const struct psp_question *question, const struct abi_msg_key_req *request)
{
	const struct psp_snp_guest *guest = question->guest;
	bool is_vmrk = request->select & ABI_KEY_REQ_VMRK;

	if (request->select & ~ABI_KEY_REQ_SELECT_KNOWN || request->reserved_04)
		return PSP_INVALID_PARAM;
	if (!is_vmrk &&
	        (psp->mask_chip_key || !psp_key_is_allowed(psp, guest, ABI_KEY_REQ_SELECT(request->select))))
		return PSP_INVALID_KEY;
	if (request->vmpl < question->vmpck || request->vmpl >= ABI_MESSAGE_VMPCKS ||
	        request->fields & ~ABI_KEY_FIELDS_KNOWN)
		return PSP_INVALID_PARAM;
	if (request->fields & ABI_KEY_FIELD_TCB && !psp_product_tcb_covers(psp->committed_tcb, request->tcb))
		return PSP_INVALID_PARAM;
	if (request->fields & ABI_KEY_FIELD_GUEST_SVN && request->guest_svn > guest->block.guest_svn)
		return PSP_INVALID_PARAM;
	return PSP_SUCCESS;
}

static void mix_id_key(const struct psp_snp_guest *guest, struct mix *mix)
{
	mix->id_key = guest->author_en ? ID_AUTHOR : guest->block.version ? ID_KEY : ID_NONE;
	memcpy(mix->id_key_digest, guest->author_en ? guest->author_key_digest : guest->id_key_digest,
	        sizeof(mix->id_key_digest));
}

static void mix_fields(
        const struct psp_snp_guest *guest, const struct abi_msg_key_req *request, struct mix *mix)
{
	const uint64_t fields = request->fields;

	mix->fields = fields;
	if (fields & ABI_KEY_FIELD_POLICY)
		mix->policy = guest->policy;
	if (fields & ABI_KEY_FIELD_IMAGE_ID)
		memcpy(mix->image_id, guest->block.image_id, sizeof(mix->image_id));
	if (fields & ABI_KEY_FIELD_FAMILY_ID)
		memcpy(mix->family_id, guest->block.family_id, sizeof(mix->family_id));
	if (fields & ABI_KEY_FIELD_MEASUREMENT)
		memcpy(mix->measurement, guest->digest, sizeof(mix->measurement));
	if (fields & ABI_KEY_FIELD_GUEST_SVN)
		mix->guest_svn = request->guest_svn;
	if (fields & ABI_KEY_FIELD_TCB)
		mix->tcb = request->tcb;
}

/* Finds the root, of EC_BYTES; the VMRK is shorter, and zeros follow it. */
static bool root_of(struct psp *psp, const struct psp_snp_guest *guest, const struct abi_msg_key_req *request,
        uint8_t ret_root[static EC_BYTES])
{
	uint64_t tcb = request->fields & ABI_KEY_FIELD_TCB ? request->tcb : psp->reported_tcb;

	memset(ret_root, 0, EC_BYTES);
	if (request->select & ABI_KEY_REQ_VMRK) {
		memcpy(ret_root, guest->vmrk, sizeof(guest->vmrk));
	} else if (psp_key_is_vlek(psp, ABI_KEY_REQ_SELECT(request->select))) {
		memcpy(ret_root, psp->vlek.key.scalar, EC_BYTES);
	} else {
		return psp_keys_derive(psp, "vcek", tcb, ret_root, EC_BYTES);
	}
	return true;
}

uint32_t psp_answer_key(struct psp *psp, const struct psp_question *question, void *ret_answer)
{
	struct abi_msg_key_rsp answer = {0};
	struct abi_msg_key_req request;
	uint8_t root[EC_BYTES];
	struct mix mix = {0};
	uint32_t code;

	memcpy(&request, question->payload, sizeof(request));
	code = check(psp, question, &request);
	if (code)
		return code;
	mix.is_vmrk = request.select & ABI_KEY_REQ_VMRK;
	mix.vmpl = request.vmpl;
	memcpy(mix.host_data, question->guest->host_data, sizeof(mix.host_data));
	mix_id_key(question->guest, &mix);
	mix_fields(question->guest, &request, &mix);
	if (!root_of(psp, question->guest, &request, root) ||
	        !psp_mac_kdf_long(root, sizeof(root), "gmsg-keyreq", &mix, sizeof(mix), answer.key))
		code = PSP_BROKEN;
	memcpy(ret_answer, &answer, sizeof(answer));
	crypto_wipe(root, sizeof(root));
	crypto_wipe(&answer, sizeof(answer));
	return code;
}
