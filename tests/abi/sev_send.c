/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_send: the answers of the commands that send a SEV guest: lengths, and the bytes after an answer. For
 * hosts that have SEV. The receiver is the platform itself.
 */
#include "sev.h"
#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"

struct receiver {
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
};

static void take_receiver(struct sev_vm *v, struct receiver *r)
{
	const struct sev_user_data_pdh_cert_export export = {
	        (uintptr_t)&r->pdh, sizeof(r->pdh), (uintptr_t)&r->chain, sizeof(r->chain)};
	struct sev_issue_cmd cmd = {.cmd = SEV_PDH_CERT_EXPORT, .data = (uintptr_t) & export};

	if (ask(v->abi, v->sev, SEV_ISSUE_CMD, &cmd) < 0)
		give_up("the platform's certificates");
}

static void send_start(
        struct sev_vm *v, const struct receiver *r, uint32_t session_len, uint32_t pdh_len, const char *what)
{
	uint8_t session[512];
	struct kvm_sev_send_start start = {.policy = 0xeeee,
	        .pdh_cert_uaddr = (uintptr_t)&r->pdh,
	        .pdh_cert_len = pdh_len,
	        .plat_certs_uaddr = (uintptr_t)&r->chain,
	        .plat_certs_len = sizeof(r->chain),
	        .amd_certs_uaddr = (uintptr_t)&r->chain,
	        .amd_certs_len = sizeof(r->chain),
	        .session_uaddr = (uintptr_t)session,
	        .session_len = session_len};

	command(v, KVM_SEV_SEND_START, &start, what);
	tell("a session of %u bytes, policy %x", start.session_len, start.policy);
}

static void send_data(struct sev_vm *v, uint32_t hdr_len, uint32_t trans_len, const char *what)
{
	static uint8_t header[128], packet[2 * PAGE_SIZE_BYTES];
	struct kvm_sev_send_update_data data = {.hdr_uaddr = (uintptr_t)header,
	        .hdr_len = hdr_len,
	        .guest_uaddr = (uintptr_t)v->memory,
	        .guest_len = PAGE_SIZE_BYTES,
	        .trans_uaddr = (uintptr_t)packet,
	        .trans_len = trans_len};

	memset(header, 0xee, sizeof(header));
	memset(packet, 0xee, sizeof(packet));
	command(v, KVM_SEV_SEND_UPDATE_DATA, &data, what);
	tell("header %u, packet %u; behind them %x, %x", data.hdr_len, data.trans_len,
	        header[sizeof(struct abi_sev_secret_header)], packet[PAGE_SIZE_BYTES]);
}

/* The firmware's answer is shorter than the room: the kernel's zeros follow. */
static void measure_into_more(struct sev_vm *v)
{
	uint8_t blob[64];
	struct kvm_sev_launch_measure m = {.uaddr = (uintptr_t)blob, .len = 60};

	memset(blob, 0xee, sizeof(blob));
	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "measure into 60 bytes");
	tell("%u bytes; behind them %x, behind the room %x", m.len, blob[59], blob[60]);
}

static void launch(struct sev_vm *v, const struct receiver *r)
{
	struct kvm_sev_launch_start start = {.policy = 0};
	const struct kvm_sev_launch_update_data data = {(uintptr_t)v->memory, MEMORY_BYTES};
	struct kvm_sev_launch_measure query = {.len = 0};
	struct kvm_sev_attestation_report report = {.len = 0};

	init2(v, "init2");
	command(v, KVM_SEV_LAUNCH_START, &start, "start");
	command(v, KVM_SEV_LAUNCH_UPDATE_DATA, &data, "update");
	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &report, "how long is a report of what is not measured");
	tell("%u bytes", report.len);
	command(v, KVM_SEV_LAUNCH_FINISH, NULL, "finish before it is measured");
	send_start(v, r, 0, sizeof(r->pdh), "how long is a session, not running");
	send_start(v, r, sizeof(struct abi_sev_session), sizeof(r->pdh), "send start, not running");
	send_data(v, 0, 0, "how long is a packet, not sent");
	measure_into_more(v);
	command(v, KVM_SEV_LAUNCH_MEASURE, &query, "how long is a measurement, measured");
	tell("%u bytes", query.len);
	command(v, KVM_SEV_LAUNCH_FINISH, NULL, "finish");
}

static void run_send(struct abi *abi)
{
	const uint32_t session = sizeof(struct abi_sev_session), pdh = sizeof(struct abi_sev_cert),
	               header = sizeof(struct abi_sev_secret_header);
	static struct receiver r;
	struct sev_vm v;

	vm_open(&v, abi, UAPI_VM_SEV);
	take_receiver(&v, &r);
	launch(&v, &r);
	send_start(&v, &r, 0, pdh, "how long is a session");
	send_start(&v, &r, session - 1, pdh, "send start with less room");
	send_start(&v, &r, session + 1, pdh, "send start with more room");
	send_start(&v, &r, session, pdh - 1, "send start with half a certificate");
	send_start(&v, &r, session, pdh, "send start");
	send_data(&v, 0, 4096, "how long is a header");
	send_data(&v, header, 0, "how long is a packet");
	send_data(&v, header - 1, 4096, "send with less room for a header");
	send_data(&v, header, 4095, "send with less room for a packet");
	send_data(&v, header + 1, 8192, "send with more room");
	send_data(&v, header, 0x400001, "send with more room than the kernel has");
	command(&v, KVM_SEV_SEND_FINISH, NULL, "send finish");
	host_close(abi->host, v.sev);
	send_start(&v, &r, 0, pdh, "how long is a session, its descriptor closed");
	v.sev = -1;
	vm_close(&v);
}

const struct chapter chapter_sev_send = {"sev-send", run_send, true};
