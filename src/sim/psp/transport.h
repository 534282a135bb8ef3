/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport: sessions and packets that travel between this platform and a guest's owner or another platform.
 * Private to psp.
 */
#ifndef SIM_PSP_TRANSPORT_H
#define SIM_PSP_TRANSPORT_H

#include "internal.h"

/* The keys that both ends of a session derive from their shared secret. */
struct psp_transport_keys {
	uint8_t kek[MAC_KEY_BYTES], kik[MAC_KEY_BYTES];
};

/* KEK and KIK of a common secret and the session's nonce. False: OpenSSL failed. */
bool psp_transport_keys_of(const uint8_t *z, size_t z_size, const uint8_t nonce[static 16],
        struct psp_transport_keys *ret_keys) MUST_CHECK;
/* BAD_MEASUREMENT: the session was made with other keys or for another policy. */
uint32_t psp_transport_unwrap(const struct psp_transport_keys *keys, const struct abi_sev_session *session,
        uint32_t policy, struct psp_transport *ret_transport);

/*
 * Unwraps the keys of a session that is for this platform. BAD_MEASUREMENT, POLICY_FAILURE,
 * INVALID_CERTIFICATE.
 */
uint32_t psp_transport_open(struct psp *psp, const struct abi_sev_cert *peer,
        const struct abi_sev_session *session, uint32_t policy, struct psp_transport *ret_transport);
/* Makes new keys and wraps them for the platform with this PDH. */
uint32_t psp_transport_wrap(struct psp *psp, const struct abi_sev_cert *peer, uint32_t policy,
        struct abi_sev_session *ret_session, struct psp_transport *ret_transport);

/*
 * Makes a packet. size is a multiple of 16, at most PSP_PACKET_MAX_BYTES. context tells the kinds of packets
 * apart; measure is the measurement that a launch secret is tied to, NULL for other packets.
 */
uint32_t psp_transport_pack(struct psp *psp, const struct psp_transport *transport, uint8_t context,
        const void *plain, size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet);
/* Checks and decrypts a packet, and encrypts its contents for the guest's memory. */
uint32_t psp_transport_unpack(const struct psp_transport *transport, uint8_t context, const uint8_t *measure,
        const struct abi_sev_secret_header *header, const void *packet, const struct psp_cipher *cipher,
        void *data, uint64_t address, size_t size);

/* Computes MEASURE of LAUNCH_MEASURE. options gives the version of the firmware. */
bool psp_transport_measure(const struct psp_transport *transport, const struct psp_options *options,
        uint32_t policy, const uint8_t digest[static SHA256_BYTES], const uint8_t mnonce[static 16],
        uint8_t ret_measure[static SHA256_BYTES]) MUST_CHECK;

#endif
