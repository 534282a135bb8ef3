/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side: a SEV guest with a migration helper, launched by the plan on a software platform of its own. Its vCPU
 * writes a text into private memory, and later says what is there. That of a SEV-ES guest cannot say it,
 * because it has no handler of #VC: it writes the text and crashes.
 */
#ifndef VMM_TEST_HELPER_SIDE_H
#define VMM_TEST_HELPER_SIDE_H

#include "../../src/launch/launch.h"
#include "support/flat.h"
#include "unit/launch/bench.h"
#include "vmm/call.h"
#include "vmm/owner.h"
#include "vmm/sim.h"

#define TEXT_GPA   0x20000u
#define TEXT_BYTES 64u
#define TEXT_AT    0xe000u /* in the image */

struct side {
	struct bench bench;
	struct host *host;
	struct owner_keys keys;
	char dh[64], session[64];
	struct mirror_helper *helper; /* the launch's */
};

static struct err err;
static const char *side_type = "sev"; /* or "sev-es" */
static inline bool side_is_es(void)
{
	return strcmp(side_type, "sev-es") == 0;
}

static const char *side_memory_max; /* the key, for guests whose memory can grow; NULL: it cannot */
static const uint8_t root_key[HELPER_ROOT_BYTES] = "thirty-two bytes of the owner's";

/* ---- the guest ---- */

static inline void side_image(struct side *side, const char *text)
{
	static struct flat flat;

	flat_init(&flat);
	memcpy(flat.image + TEXT_AT, text, strlen(text));
	FLAT(&flat, 0xfc, 0xb8, 0x00, TEXT_GPA >> 12, 0x8e, 0xc0); /* cld; mov ax, 2000; mov es, ax */
	FLAT(&flat, 0xbe, 0x00, TEXT_AT >> 8, 0x31, 0xff);         /* mov si, TEXT_AT; xor di, di */
	FLAT(&flat, 0xb9, TEXT_BYTES, 0x00, 0x2e, 0xf3, 0xa4);     /* mov cx; rep movs from cs */
	if (side_is_es())
		flat_triple_fault(&flat);
	FLAT(&flat, 0xe6, 0x80); /* out 0x80, al */
	FLAT(&flat, 0x31, 0xdb, 0x26, 0x8a, 0x07, 0xe6, 0x80,
	        0x43);                          /* xor bx, bx; mov al, es:[bx]; out; inc */
	FLAT(&flat, 0xeb, 0xf8);                /* jmp to the mov */
	bench_image(&side->bench, false, true); /* its tables stay */
	memcpy(side->bench.image.bytes, flat.image, FLAT_START + sizeof(flat.image) / 64);
	memcpy(side->bench.image.bytes + IMAGE_BYTES - 16, flat.image + IMAGE_BYTES - 16, 16);
}

/* Runs the guest to its next output. Returns the byte. */
static inline uint8_t side_step(struct side *side)
{
	const struct machine_vcpu *vcpu = machine_vm_vcpu(side->bench.vm, 0);

	assert_true(call_vcpu_run(side->host, vcpu->fd, vcpu->run, &err) >= 0);
	assert_int_equal(vcpu->run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(vcpu->run->io.port, 0x80);
	return *((const uint8_t *)vcpu->run + vcpu->run->io.data_offset);
}

static inline void side_crash(struct side *side)
{
	const struct machine_vcpu *vcpu = machine_vm_vcpu(side->bench.vm, 0);

	assert_true(call_vcpu_run(side->host, vcpu->fd, vcpu->run, &err) >= 0);
	assert_int_equal(vcpu->run->exit_reason, KVM_EXIT_SHUTDOWN);
}

/* ---- its owner ---- */

static inline void put_file(char *word, const void *data, size_t size)
{
	char *path = strchr(word, '=') + 1;
	int fd = mkstemp(strcpy(path, "/tmp/vmm-helper-XXXXXX"));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static inline void side_session(struct side *side)
{
	struct abi_sev_cert_chain chain;
	struct abi_sev_session session;
	struct abi_sev_cert pdh, godh;
	int fd;

	assert_ok(call_platform_open(side->host, &fd, &err));
	assert_ok(call_platform_certificates(side->host, fd, &pdh, &chain, &err));
	host_close(side->host, fd);
	assert_ok(owner_session_create(&pdh, side_is_es() ? 5 : 1, &session, &godh, &side->keys, &err));
	strcpy(side->dh, "sev.dh-cert=");
	strcpy(side->session, "sev.session=");
	put_file(side->dh, &godh, sizeof(godh));
	put_file(side->session, &session, sizeof(session));
}

static inline void side_inject_root(struct side *side, const uint8_t *root)
{
	const struct owner_secret_entry entry = {HELPER_ROOT_GUID,
	        {.name = "root", .data = (void *)(uintptr_t)root, .size = HELPER_ROOT_BYTES}};
	const struct abi_sev_measure *measure = launch_measurement_of(side->bench.launch);
	struct abi_sev_secret_header header;
	uint8_t *table, packet[128];
	size_t size;

	assert_non_null(measure);
	assert_ok(owner_secret_table(&entry, 1, &table, &size, &err));
	assert_true(size <= sizeof(packet));
	assert_ok(owner_secret_pack(&side->keys, measure->measure, table, size, &header, packet, &err));
	assert_ok(launch_inject(
	        side->bench.launch, &header, packet, size, &(uint64_t){HELPER_SECRET_GPA}, &err));
	free(table);
}

/* ---- its launch ---- */

/* Begins a launch, and brings it to where a paused guest waits for its owner. */
static inline void side_begin(struct side *side)
{
	int next = LAUNCH_MORE;

	launch_begin(side->bench.launch, side->bench.machine);
	while (next == LAUNCH_MORE)
		next = launch_next(side->bench.launch, true, &err);
	assert_int_equal(next, LAUNCH_HELD);
}

static inline void side_finish(struct side *side)
{
	int next = LAUNCH_MORE;

	while (next == LAUNCH_MORE)
		next = launch_next(side->bench.launch, false, &err);
	if (next < 0)
		fail_msg("%s", err.text);
	assert_int_equal(next, LAUNCH_DONE);
	side->bench.vm = launch_vm(side->bench.launch);
	side->helper = launch_helper(side->bench.launch);
	assert_non_null(side->helper);
}

/* Makes the guest, and its machine, up to the launch. */
static inline void side_prepare(struct side *side, const struct sim_options *options, const char *text)
{
	static const struct device_events events = {0};
	const char *const sets[] = {"sev.helper=true", side->dh, side->session, side_memory_max, NULL};

	memset(side, 0, sizeof(*side));
	assert_ok(sim_host_create(options, &side->host, &err));
	side_session(side);
	bench_start(&side->bench);
	side_image(side, text);
	bench_config(&side->bench, side_type, sets);
	if (bench_plan_on(&side->bench, side->host) < 0)
		fail_msg("%s", side->bench.err.text);
	const struct machine_place place = {.host = side->host, .events = &events};
	const struct machine_files files = launch_machine_files(side->bench.launch);
	assert_ok(machine_create(&place, side->bench.config, &files, &side->bench.machine, &err));
}

/* root NULL: the owner injects none. */
static inline void side_start(
        struct side *side, const struct sim_options *options, const char *text, const uint8_t *root)
{
	side_prepare(side, options, text);
	side_begin(side);
	if (root)
		side_inject_root(side, root);
	side_finish(side);
	if (side_is_es())
		side_crash(side);
	else
		side_step(side);
}

static inline void side_end(struct side *side)
{
	bench_end(&side->bench);
	host_destroy(side->host);
	if (side->dh[0])
		unlink(strchr(side->dh, '=') + 1);
	if (side->session[0])
		unlink(strchr(side->session, '=') + 1);
	memset(side, 0, sizeof(*side));
}

#endif
