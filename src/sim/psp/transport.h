/*
 * transport: what travels between a guest's owner or another platform and this one. Private to psp.
 */
#ifndef SIM_PSP_TRANSPORT_H
#define SIM_PSP_TRANSPORT_H

#include "internal.h"

/* The keys that a session wraps for this platform; BAD_MEASUREMENT, POLICY_FAILURE, INVALID_CERTIFICATE. */
uint32_t transport_open(struct psp *psp, const struct abi_sev_cert *peer,
        const struct abi_sev_session *session, uint32_t policy, struct transport *ret_transport);
/* Makes new keys and wraps them for the platform with this PDH. */
uint32_t transport_wrap(struct psp *psp, const struct abi_sev_cert *peer, uint32_t policy,
        struct abi_sev_session *ret_session, struct transport *ret_transport);

/*
 * Packets: size is a multiple of 16, at most PSP_PACKET_MAX_BYTES. context tells their kinds apart; measure
 * is what a launch secret is tied to, else NULL.
 */
uint32_t transport_pack(struct psp *psp, const struct transport *transport, uint8_t context,
        const void *plain, size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet);
/* Checks, decrypts, and encrypts for the guest's memory. */
uint32_t transport_unpack(const struct transport *transport, uint8_t context, const uint8_t *measure,
        const struct abi_sev_secret_header *header, const void *packet, const struct psp_cipher *cipher,
        void *data, uint64_t address, size_t size);

#endif
