/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport: wraps keys for one platform in a session, and protects packets with those keys. The caller holds
 * the lock of the secure processor. SEV API, chapter 2 ("Keys"), LAUNCH_START, LAUNCH_SECRET, SEND_START to
 * RECEIVE_UPDATE_VMSA.
 */
#include <string.h>

#include "identity.h"
#include "transport.h"
#include "vmm/abi/policy.h"

#define MEASURE_CONTEXT 0x04
#define COMPRESSED      1u /* a flag of packets that no firmware ever accepted */

static void wipe_keys(struct psp_transport_keys *keys)
{
	crypto_wipe(keys, sizeof(*keys));
}
#define auto_wipe_keys __attribute__((cleanup(wipe_keys)))

bool psp_transport_keys_of(
        const uint8_t *z, size_t z_size, const uint8_t nonce[static 16], struct psp_transport_keys *ret_keys)
{
	uint8_t master[MAC_KEY_BYTES];
	bool good = psp_mac_kdf(z, z_size, "sev-master-secret", nonce, 16, master) &&
	            psp_mac_kdf(master, sizeof(master), "sev-kek", NULL, 0, ret_keys->kek) &&
	            psp_mac_kdf(master, sizeof(master), "sev-kik", NULL, 0, ret_keys->kik);

	crypto_wipe(master, sizeof(master));
	return good;
}

static uint32_t agree(const struct psp_ec_key *own, const struct abi_sev_cert *peer,
        const uint8_t nonce[static 16], struct psp_transport_keys *ret_keys)
{
	uint8_t z[EC_BYTES];
	bool good;

	if (peer->version != 1 || peer->usage != ABI_SEV_USAGE_PDH ||
	        peer->algo != ABI_SEV_ALGO_ECDH_SHA256 || !psp_ec_agree(own, &peer->ec, z))
		return PSP_INVALID_CERTIFICATE;
	good = psp_transport_keys_of(z, sizeof(z), nonce, ret_keys);
	crypto_wipe(z, sizeof(z));
	return good ? PSP_SUCCESS : PSP_BROKEN;
}

static bool wrap_mac(const struct psp_transport_keys *keys, const struct abi_sev_session *session,
        uint8_t ret_mac[static SHA256_BYTES])
{
	const struct psp_mac_part part = {session->wrap_tk, sizeof(session->wrap_tk)};

	return psp_mac_of(MAC_SHA256, keys->kik, sizeof(keys->kik), &part, 1, ret_mac);
}

static bool policy_mac(
        const struct psp_transport *transport, uint32_t policy, uint8_t ret_mac[static SHA256_BYTES])
{
	uint8_t bytes[4];
	const struct psp_mac_part part = {bytes, sizeof(bytes)};

	store_le(bytes, sizeof(bytes), policy);
	return psp_mac_of(MAC_SHA256, transport->tik, sizeof(transport->tik), &part, 1, ret_mac);
}

/* Checks an owner's policy: this firmware must know all of its bits, and be as new as the policy demands. */
static uint32_t policy_check(const struct psp *psp, uint32_t policy)
{
	uint8_t major = (uint8_t)(policy >> 16), minor = (uint8_t)(policy >> 24);
	const struct psp_options *o = &psp->options;

	if (policy & ~ABI_SEV_POLICY_KNOWN)
		return PSP_POLICY_FAILURE;
	return major > o->sev_major || (major == o->sev_major && minor > o->sev_minor) ? PSP_POLICY_FAILURE
	                                                                               : PSP_SUCCESS;
}

uint32_t psp_transport_unwrap(const struct psp_transport_keys *keys, const struct abi_sev_session *session,
        uint32_t policy, struct psp_transport *ret_transport)
{
	uint8_t mac[SHA256_BYTES];

	if (!wrap_mac(keys, session, mac))
		return PSP_BROKEN;
	if (!crypto_equal(mac, session->wrap_mac, sizeof(mac)))
		return PSP_BAD_MEASUREMENT;
	if (!psp_mac_ctr(
	            keys->kek, session->wrap_iv, session->wrap_tk, ret_transport, sizeof(*ret_transport)) ||
	        !policy_mac(ret_transport, policy, mac))
		return PSP_BROKEN;
	return crypto_equal(mac, session->policy_mac, sizeof(mac)) ? PSP_SUCCESS : PSP_BAD_MEASUREMENT;
}

uint32_t psp_transport_open(struct psp *psp, const struct abi_sev_cert *peer,
        const struct abi_sev_session *session, uint32_t policy, struct psp_transport *ret_transport)
{
	const struct psp_identity *identity = psp_identity_get(psp);
	auto_wipe_transport struct psp_transport transport;
	auto_wipe_keys struct psp_transport_keys keys;
	uint32_t code;

	if (!identity)
		return PSP_BROKEN;
	code = agree(&identity->pdh, peer, session->nonce, &keys);
	if (code)
		return code;
	code = psp_transport_unwrap(&keys, session, policy, &transport);
	if (code)
		return code;
	code = policy_check(psp, policy);
	if (code)
		return code;
	*ret_transport = transport;
	return PSP_SUCCESS;
}

static bool wrap(struct psp *psp, const struct psp_transport_keys *keys, uint32_t policy,
        const struct psp_transport *transport, struct abi_sev_session *session)
{
	return psp_keys_random(psp, session->wrap_iv, sizeof(session->wrap_iv)) &&
	       psp_mac_ctr(keys->kek, session->wrap_iv, transport, session->wrap_tk, sizeof(*transport)) &&
	       wrap_mac(keys, session, session->wrap_mac) &&
	       policy_mac(transport, policy, session->policy_mac);
}

uint32_t psp_transport_wrap(struct psp *psp, const struct abi_sev_cert *peer, uint32_t policy,
        struct abi_sev_session *ret_session, struct psp_transport *ret_transport)
{
	const struct psp_identity *identity = psp_identity_get(psp);
	struct abi_sev_session session;
	auto_wipe_transport struct psp_transport transport;
	auto_wipe_keys struct psp_transport_keys keys;
	uint32_t code;

	if (!identity || !psp_keys_random(psp, session.nonce, sizeof(session.nonce)))
		return PSP_BROKEN;
	code = agree(&identity->pdh, peer, session.nonce, &keys);
	if (code)
		return code;
	if (!psp_keys_random(psp, &transport, sizeof(transport)) ||
	        !wrap(psp, &keys, policy, &transport, &session))
		return PSP_BROKEN;
	*ret_session = session;
	*ret_transport = transport;
	return PSP_SUCCESS;
}

/* ---- packets ---- */

static bool packet_mac(const struct psp_transport *transport, uint8_t context, const uint8_t *measure,
        const struct abi_sev_secret_header *header, const void *packet, size_t size,
        uint8_t ret_mac[static SHA256_BYTES])
{
	uint8_t length[4];
	const struct psp_mac_part parts[] = {
	        {&context, sizeof(context)},
	        {&header->flags, sizeof(header->flags)},
	        {header->iv, sizeof(header->iv)},
	        {length, sizeof(length)}, /* its length in the guest */
	        {length, sizeof(length)}, /* its length in transit */
	        {packet, size},
	        {measure, measure ? SHA256_BYTES : 0},
	};

	store_le(length, sizeof(length), size);
	return psp_mac_of(
	        MAC_SHA256, transport->tik, sizeof(transport->tik), parts, ARRAY_LEN(parts), ret_mac);
}

uint32_t psp_transport_pack(struct psp *psp, const struct psp_transport *transport, uint8_t context,
        const void *plain, size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	struct abi_sev_secret_header header = {0};

	if (!psp_keys_random(psp, header.iv, sizeof(header.iv)) ||
	        !psp_mac_ctr(transport->tek, header.iv, plain, ret_packet, size) ||
	        !packet_mac(transport, context, NULL, &header, ret_packet, size, header.mac))
		return PSP_BROKEN;
	*ret_header = header;
	return PSP_SUCCESS;
}

uint32_t psp_transport_unpack(const struct psp_transport *transport, uint8_t context, const uint8_t *measure,
        const struct abi_sev_secret_header *header, const void *packet, const struct psp_cipher *cipher,
        void *data, uint64_t address, size_t size)
{
	uint8_t mac[SHA256_BYTES], plain[PSP_PACKET_MAX_BYTES];
	bool good;

	if (!packet_mac(transport, context, measure, header, packet, size, mac))
		return PSP_BROKEN;
	if (!crypto_equal(mac, header->mac, sizeof(mac)))
		return PSP_BAD_MEASUREMENT;
	if (header->flags & COMPRESSED)
		return PSP_UNSUPPORTED;
	good = psp_mac_ctr(transport->tek, header->iv, packet, plain, size);
	if (good)
		psp_encrypt(cipher, address, plain, data, size);
	crypto_wipe(plain, size);
	return good ? PSP_SUCCESS : PSP_BROKEN;
}

/* ---- the measurement ---- */

bool psp_transport_measure(const struct psp_transport *transport, const struct psp_options *options,
        uint32_t policy, const uint8_t digest[static SHA256_BYTES], const uint8_t mnonce[static 16],
        uint8_t ret_measure[static SHA256_BYTES])
{
	const uint8_t head[] = {MEASURE_CONTEXT, options->sev_major, options->sev_minor, options->sev_build};
	uint8_t policy_bytes[4];
	const struct psp_mac_part parts[] = {
	        {head, sizeof(head)},
	        {policy_bytes, sizeof(policy_bytes)},
	        {digest, SHA256_BYTES},
	        {mnonce, 16},
	};

	store_le(policy_bytes, sizeof(policy_bytes), policy);
	return psp_mac_of(
	        MAC_SHA256, transport->tik, sizeof(transport->tik), parts, ARRAY_LEN(parts), ret_measure);
}
