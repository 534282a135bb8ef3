/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: the guest owner's side of a SEV launch: wraps keys for the platform and checks its measurement.
 * Any thread. SEV API, LAUNCH_START ("session"), LAUNCH_MEASURE, appendix A.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "mac.h"
#include "vmm/attest/key.h"
#include "vmm/attest/sev.h"

#define P384_BYTES 48

static int random_bytes(void *bytes, size_t size, struct err *err)
{
	if (RAND_priv_bytes(bytes, (int)size) != 1)
		return err_set(err, ERR_FAILED, "OpenSSL cannot make random numbers");
	return 0;
}

static int policy_mac(
        const struct owner_keys *keys, uint32_t policy, uint8_t ret_mac[static MAC_BYTES], struct err *err)
{
	uint8_t bytes[4];

	store_le(bytes, sizeof(bytes), policy);
	return owner_mac_compute(keys->tik, sizeof(keys->tik), &(struct owner_mac_part){bytes, sizeof(bytes)},
	        1, ret_mac, err);
}

int owner_session_wrap(const uint8_t *z, size_t z_size, uint32_t policy, const struct owner_keys *keys,
        struct abi_sev_session *session, struct err *err)
{
	struct {
		uint8_t master[KEY_BYTES], kek[KEY_BYTES], kik[KEY_BYTES];
	} secret;
	int status = -1;

	if (owner_mac_derive(z, z_size, "sev-master-secret", session->nonce, sizeof(session->nonce),
	            secret.master, err) == 0 &&
	        owner_mac_derive(secret.master, KEY_BYTES, "sev-kek", NULL, 0, secret.kek, err) == 0 &&
	        owner_mac_derive(secret.master, KEY_BYTES, "sev-kik", NULL, 0, secret.kik, err) == 0 &&
	        owner_mac_crypt(secret.kek, session->wrap_iv, (const uint8_t *)keys, sizeof(*keys),
	                session->wrap_tk, err) == 0 &&
	        owner_mac_compute(secret.kik, KEY_BYTES,
	                &(struct owner_mac_part){session->wrap_tk, sizeof(session->wrap_tk)}, 1,
	                session->wrap_mac, err) == 0)
		status = policy_mac(keys, policy, session->policy_mac, err);
	crypto_wipe(&secret, sizeof(secret));
	return status;
}

/* Computes the X coordinate of the point that both keys share (Diffie-Hellman). */
static int shared_secret(EVP_PKEY *own, EVP_PKEY *peer, uint8_t ret_z[static P384_BYTES], struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t size = P384_BYTES;
	bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
	            EVP_PKEY_derive(ctx, ret_z, &size) == 1 && size == P384_BYTES;

	EVP_PKEY_CTX_free(ctx);
	return good ? 0
	            : err_set(err, ERR_FAILED,
	                      "OpenSSL cannot compute the secret shared with the platform's PDH");
}

/*
 * The firmware and AMD's tools read only the key of this certificate. They check neither its form nor its
 * signatures.
 */
static int make_godh(EVP_PKEY *own, struct abi_sev_cert *ret_godh, struct err *err)
{
	struct abi_sev_cert godh = {
	        .version = 1,
	        .usage = ABI_SEV_USAGE_PDH,
	        .algo = ABI_SEV_ALGO_ECDH_SHA256,
	        .sig = {{.usage = ABI_SEV_USAGE_INVALID}, {.usage = ABI_SEV_USAGE_INVALID}},
	};
	struct abi_public_key key;

	if (attest_key_to_ec(own, &key, err) < 0)
		return -1;
	godh.ec = key;
	*ret_godh = godh;
	return 0;
}

static int create(EVP_PKEY *peer, EVP_PKEY *own, uint32_t policy, struct abi_sev_session *session,
        struct abi_sev_cert *godh, struct owner_keys *keys, struct err *err)
{
	uint8_t z[P384_BYTES];
	int status = -1;

	if (random_bytes(keys, sizeof(*keys), err) == 0 &&
	        random_bytes(session->nonce, sizeof(session->nonce), err) == 0 &&
	        random_bytes(session->wrap_iv, sizeof(session->wrap_iv), err) == 0 &&
	        make_godh(own, godh, err) == 0 && shared_secret(own, peer, z, err) == 0)
		status = owner_session_wrap(z, sizeof(z), policy, keys, session, err);
	crypto_wipe(z, sizeof(z));
	return status;
}

int owner_session_create(const struct abi_sev_cert *pdh, uint32_t policy, struct abi_sev_session *ret_session,
        struct abi_sev_cert *ret_godh, struct owner_keys *ret_keys, struct err *err)
{
	struct abi_sev_session session = {0};
	struct owner_keys keys;
	struct abi_sev_cert godh;
	int status;

	if (pdh->usage != ABI_SEV_USAGE_PDH)
		return err_set(err, ERR_USAGE,
		        "is the certificate of a %s; that of the platform's PDH is needed",
		        attest_sev_usage_name(pdh->usage));
	if (crypto_load(err) < 0)
		return -1;

	EVP_PKEY *peer = attest_key_from_ec(&pdh->ec), *own = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");

	if (!peer || !own)
		status = err_set(err, ERR_USAGE, "the PDH is not a key on P-384");
	else
		status = create(peer, own, policy, &session, &godh, &keys, err);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	ERR_clear_error();
	if (status == 0) {
		*ret_session = session;
		*ret_godh = godh;
		*ret_keys = keys;
	}
	crypto_wipe(&keys, sizeof(keys));
	return status;
}

int owner_session_check(const struct abi_sev_session *session, const struct owner_keys *keys, uint32_t policy,
        bool *ret_good, struct err *err)
{
	uint8_t mac[MAC_BYTES];

	if (crypto_load(err) < 0 || policy_mac(keys, policy, mac, err) < 0)
		return -1;
	*ret_good = crypto_equal(mac, session->policy_mac, sizeof(mac));
	return 0;
}

int owner_measure_expected(const struct owner_keys *keys, const struct owner_measured *launch,
        const uint8_t mnonce[static 16], uint8_t ret_measure[static 32], struct err *err)
{
	const uint8_t head[] = {0x04, launch->api_major, launch->api_minor, launch->build};
	uint8_t policy[4];
	const struct owner_mac_part parts[] = {
	        {head, sizeof(head)},
	        {policy, sizeof(policy)},
	        {launch->digest, sizeof(launch->digest)},
	        {mnonce, 16},
	};

	store_le(policy, sizeof(policy), launch->policy);
	if (crypto_load(err) < 0)
		return -1;
	return owner_mac_compute(keys->tik, sizeof(keys->tik), parts, ARRAY_LEN(parts), ret_measure, err);
}
