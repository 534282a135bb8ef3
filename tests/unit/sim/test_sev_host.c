/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software platform as a host with SEV: products, ASIDs, the misc cgroup, /dev/sev; mirrors and moves.
 */
#include <sys/stat.h>

#include "sev_guest.h"
#include "support/folder.h"
#include "vmm/abi/sev_cert.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};
static struct err err;

/* ---- products ---- */

static void test_product_decides_types_and_cpuid(void **state)
{
	static const struct {
		const char *product;
		int types;
		uint32_t eax;
	} rows[] = {{NULL, 0x3, 0}, {"none", 0x3, 0}, {"Naples", 0x7, 0x2}, {"Rome", 0xf, 0xa},
	        {"Milan", 0x1f, 0x41a}, {"Genoa", 0x1f, 0x41a}, {"Turin", 0x1f, 0x41a}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct sim_options options = {.product = rows[i].product, .c_bit = 47};
		struct {
			struct kvm_cpuid2 head;
			struct kvm_cpuid_entry2 entries[256];
		} cpuid = {.head.nent = 256};
		uint32_t eax = 0;
		struct machine m;

		machine_open(&m, &options);
		assert_int_equal(number_of(&m, m.kvm, KVM_CHECK_EXTENSION, UAPI_CAP_VM_TYPES), rows[i].types);
		assert_int_equal(m.sev >= 0, rows[i].eax != 0);
		assert_int_equal(call_of(&m, m.kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), 0);
		for (uint32_t n = 0; n < cpuid.head.nent; n++) {
			const struct kvm_cpuid_entry2 *e = &cpuid.entries[n];

			if (e->function == 0x80000000)
				assert_int_equal(e->eax, rows[i].eax ? 0x8000001f : 0x80000008);
			if (e->function != 0x8000001f)
				continue;
			eax = e->eax;
			assert_int_equal(e->ebx, 47);
			assert_int_equal(e->ecx, 509);
		}
		assert_int_equal(eax, rows[i].eax);
		machine_close(&m);
	}
}

/* The kernel initialises SNP with firmware of API 1.51 or newer only, and offers it nowhere else. */
static void test_firmware_too_old_for_snp_offers_none(void **state)
{
	static const struct {
		uint8_t major, minor;
		int types;
	} rows[] = {{0, 16, 0xf}, {0, 24, 0xf}, {1, 49, 0xf}, {1, 50, 0xf}, {1, 51, 0x1f}, {2, 0, 0x1f}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct sim_options options = {.product = "Milan",
		        .firmware = {.major = rows[i].major, .minor = rows[i].minor, .build = 1}};
		bool snp = rows[i].types >> UAPI_VM_SNP & 1;
		struct uapi_sev_snp_status status = {0};
		struct sev_issue_cmd cmd = {.cmd = UAPI_SNP_PLATFORM_STATUS, .data = (uintptr_t)&status};
		struct machine m;
		int vm;

		machine_open(&m, &options);
		assert_int_equal(number_of(&m, m.kvm, KVM_CHECK_EXTENSION, UAPI_CAP_VM_TYPES), rows[i].types);
		vm = number_of(&m, m.kvm, KVM_CREATE_VM, UAPI_VM_SNP);
		assert_int_equal(vm < 0 ? vm : 0, snp ? 0 : -EINVAL);
		host_close(m.host, vm);
		assert_int_equal(call_of(&m, m.sev, SEV_ISSUE_CMD, &cmd), 0);
		assert_int_equal(status.rmp_init & UAPI_SNP_STATUS_RMP_INITIALIZED, snp);
		machine_close(&m);
	}
}

static void test_options_that_make_no_sense_are_refused(void **state)
{
	static const struct sim_options bad[] = {
	        {.product = "Athlon"},
	        {.product = "Milan", .asids = 5, .es_asids = 6},
	        {.product = "Milan", .asids = 5, .es_asids = 3, .snp_asids = 4},
	        {.product = "Milan", .asids = 5000},
	        {.product = "Milan", .c_bit = 12},
	        {.product = "Milan", .c_bit = 52},
	        {.product = "Milan", .cgroup = "/proc/nothing/here"},
	};
	struct host *host;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(sim_host_create(&bad[i], &host, &err), ERR_USAGE, "");
}

/* ---- ASIDs ---- */

static int take_asid(struct machine *m, unsigned type, struct guest *g)
{
	guest_make(g, m, type);
	return guest_init2(g);
}

static void test_asids_run_out_and_come_back(void **state)
{
	const struct sim_options options = {.product = "Milan", .asids = 3, .es_asids = 1};
	struct guest a, b, c, es, snp;
	struct machine m;

	machine_open(&m, &options);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV, &a), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV, &b), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV, &c), -EBUSY);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV_ES, &es), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SNP, &snp), -EBUSY); /* they share theirs */
	assert_int_equal(launch_start(&a, 0), 0);
	guest_close(&a);
	assert_int_equal(guest_init2(&c), 0); /* a refused one can try again */
	assert_int_equal(launch_start(&c, 0), 0);
	guest_close(&es);
	assert_int_equal(guest_init2(&snp), 0);
	guest_close(&snp);
	guest_close(&c);
	guest_close(&b);
	machine_close(&m);
}

/* A guest that ran leaves its ASID dirty: the next one gets it after a flush. */
static void test_asid_of_a_guest_that_ran_is_flushed(void **state)
{
	const struct sim_options options = {.product = "Milan", .asids = 2, .es_asids = 1};
	struct abi_sev_measure measure;
	struct machine m;
	struct guest g;

	machine_open(&m, &options);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take_asid(&m, UAPI_VM_SEV, &g), 0);
		assert_int_equal(launch_start(&g, 0), 0);
		assert_int_equal(launch_measure(&g, &measure), 0);
		assert_int_equal(command(&g, KVM_SEV_LAUNCH_FINISH, NULL), 0);
		assert_int_equal(sim_firmware_calls(m.host, "DF_FLUSH"), i);
		guest_close(&g);
	}
	machine_close(&m);
}

static void test_asids_partition_of_ciphertext_hiding(void **state)
{
	const struct sim_options options = {.product = "Milan", .asids = 10, .es_asids = 3, .snp_asids = 2};
	struct guest snp[2], es, more;
	struct machine m;

	machine_open(&m, &options);
	assert_int_equal(take_asid(&m, UAPI_VM_SNP, &snp[0]), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SNP, &snp[1]), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SNP, &more), -EBUSY);
	guest_close(&more);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV_ES, &es), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SEV_ES, &more), -EBUSY);
	guest_close(&more);
	guest_close(&es);
	guest_close(&snp[1]);
	guest_close(&snp[0]);
	machine_close(&m);
}

static void test_asids_none_for_es_offers_no_es(void **state)
{
	const struct sim_options options = {.product = "Milan", .asids = 10, .es_asids = 0};
	struct machine m;
	struct guest g;

	machine_open(&m, &options);
	assert_int_equal(number_of(&m, m.kvm, KVM_CHECK_EXTENSION, UAPI_CAP_VM_TYPES), 0x7);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&g, KVM_SEV_ES_INIT, NULL), -ENOTTY);
	guest_close(&g);
	machine_close(&m);
}

/* ---- locked memory ---- */

/*
 * Registered regions count as locked as long as they are registered, and measured memory while it is
 * measured.
 */
static void test_memlock_bounds_what_is_pinned(void **state)
{
	const struct sim_options options = {
	        .product = "Milan", .memlock_bytes = GUEST_BYTES + PAGE_SIZE_BYTES};
	struct kvm_enc_region region;
	struct machine m;
	struct guest g;

	machine_open(&m, &options);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(launch_start(&g, 0), 0);
	region = (struct kvm_enc_region){.addr = (uintptr_t)g.memory, .size = GUEST_BYTES};
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), 0);
	assert_int_equal(launch_update(&g, 0, PAGE_SIZE_BYTES), 0);
	assert_int_equal(launch_update(&g, 0, 2 * PAGE_SIZE_BYTES), -ENOMEM);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), -ENOMEM);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, &region), 0);
	assert_int_equal(launch_update(&g, 0, 2 * PAGE_SIZE_BYTES), 0);
	guest_close(&g);
	machine_close(&m);
}

/* ---- the misc cgroup ---- */

static void assert_text(const char *folder, const char *name, const char *text)
{
	char path[200], found[200] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "r");
	assert_non_null(f);
	found[fread(found, 1, sizeof(found) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(found, text);
}

static void test_cgroup_counts_and_limits(void **state)
{
	char folder[] = "/tmp/vmm-test-cgroup-XXXXXX";
	struct sim_options options = {.product = "Milan", .asids = 10, .es_asids = 4, .cgroup = folder};
	struct guest a, b, snp;
	struct host *other;
	struct machine m;

	assert_non_null(mkdtemp(folder));
	machine_open(&m, &options);
	assert_fails(sim_host_create(&options, &other, &err), ERR_USAGE, "another has it");
	assert_text(folder, "misc.capacity", "sev 6\nsev_es 4\n");
	assert_text(folder, "misc.max", "sev max\nsev_es max\n");
	assert_int_equal(take_asid(&m, UAPI_VM_SEV, &a), 0);
	assert_int_equal(take_asid(&m, UAPI_VM_SNP, &snp), 0);
	assert_text(folder, "misc.current", "sev 1\nsev_es 1\n");
	folder_put(folder, "misc.max", "sev_es max\nsev 1\n");
	assert_int_equal(take_asid(&m, UAPI_VM_SEV, &b), -EBUSY);
	assert_text(folder, "misc.events", "sev.max 1\nsev_es.max 0\n");
	assert_text(folder, "misc.events.local", "sev.max 1\nsev_es.max 0\n");
	folder_put(folder, "misc.max", "sev 2\nsev_es 0\n");
	assert_int_equal(guest_init2(&b), 0);
	assert_text(folder, "misc.peak", "sev 2\nsev_es 1\n");
	guest_close(&b);
	guest_close(&snp);
	guest_close(&a);
	assert_text(folder, "misc.current", "sev 0\nsev_es 0\n");
	assert_text(folder, "misc.peak", "sev 2\nsev_es 1\n");
	machine_close(&m);
	folder_remove(folder);
}

/* ---- mirrors and moves ---- */

static int enable(struct guest *g, uint32_t capability, const struct guest *source)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args[0] = (uint64_t)source->vm};

	return call_of(g->m, g->vm, KVM_ENABLE_CAP, &cap);
}

/* Owner: inc byte [GUEST_DATA]; mov al, [GUEST_DATA]; out PORT, al; again */
#define COUNT 0xfe, 0x06, 0x00, 0x20, 0xa0, 0x00, 0x20, 0xe6, PORT, 0xeb, 0xf5

/* The mirror has the owner's memory at other places, and sees what the owner wrote: same key, same bytes. */
static void test_mirror_reads_what_its_owner_wrote(void **state)
{
	struct machine m;
	struct guest owner, mirror;
	const uint64_t base = 0x40000;

	machine_open(&m, &milan);
	guest_make(&owner, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&owner), 0);
	guest_add_vcpu(&owner);
	CODE(&owner, COUNT);
	guest_launch(&owner, 0);
	assert_int_equal(run_to_port(&owner), 1);

	guest_make(&mirror, &m, UAPI_VM_SEV);
	assert_int_equal(enable(&mirror, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, &owner), 0);
	assert_int_equal(set_memory(&mirror, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&mirror, 0, base, GUEST_BYTES, owner.memory, -1), 0);
	guest_add_vcpu(&mirror);
	{
		struct kvm_sregs s;

		assert_int_equal(call_of(&m, mirror.vcpu, KVM_GET_SREGS, &s), 0);
		s.cs.base = s.ds.base = base;
		s.cs.selector = s.ds.selector = base >> 4;
		assert_int_equal(call_of(&m, mirror.vcpu, KVM_SET_SREGS, &s), 0);
	}
	assert_int_equal(run_to_port(&mirror), 2);
	assert_int_equal(run_to_port(&owner), 3);
	host_close(m.host, owner.vm); /* the mirror keeps the context */
	host_close(m.host, owner.vcpu);
	owner.vm = owner.vcpu = -1;
	assert_int_equal(run_to_port(&mirror), 4);
	guest_close(&mirror);
	guest_close(&owner);
	machine_close(&m);
}

/*
 * Plain SEV: memory and key move, the registers stay with the VMM. Only the VM type 0 can run after a move.
 */
static void test_move_takes_the_context_along(void **state)
{
	struct machine m;
	struct guest from, to;

	machine_open(&m, &milan);
	guest_make(&from, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&from, KVM_SEV_INIT, NULL), 0);
	guest_add_vcpu(&from);
	CODE(&from, COUNT);
	guest_launch(&from, 0);
	assert_int_equal(run_to_port(&from), 1);
	guest_make(&to, &m, UAPI_VM_DEFAULT);
	assert_int_equal(set_memory(&to, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&to, 0, 0, GUEST_BYTES, from.memory, -1), 0);
	guest_add_vcpu(&to);
	assert_int_equal(enable(&to, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, &from), 0);
	assert_int_equal(command(&to, KVM_SEV_LAUNCH_FINISH, NULL), -EBADF); /* /dev/sev is not known here */
	assert_int_equal(guest_run(&from), -EIO);
	assert_int_equal(run_to_port(&to), 2);
	guest_close(&to);
	guest_close(&from);
	machine_close(&m);
}

/* With SEV-ES the registers are in the VMSA and move, too. */
static void test_move_of_es_takes_registers_along(void **state)
{
	const struct kvm_regs own = {.rax = 0x1234};
	struct kvm_regs regs;
	struct machine m;
	struct guest from, to;

	machine_open(&m, &milan);
	guest_make(&from, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&from, KVM_SEV_ES_INIT, NULL), 0);
	guest_add_vcpu(&from);
	/* mov al, 1; tell al; inc al; tell al; hlt */
	CODE(&from, 0xb0, 0x01, TELL, 0xfe, 0xc0, TELL, 0xf4);
	guest_launch(&from, ABI_SEV_POLICY_ES);
	assert_int_equal(run_to_port(&from), 1);
	from.run->immediate_exit = 1; /* the access is completed before the guest goes */
	assert_int_equal(guest_run(&from), -EINTR);
	guest_make(&to, &m, UAPI_VM_DEFAULT);
	assert_int_equal(enable(&to, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, &from), -EINVAL); /* no vCPU */
	assert_int_equal(set_memory(&to, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&to, 0, 0, GUEST_BYTES, from.memory, -1), 0);
	guest_add_vcpu(&to);
	assert_int_equal(call_of(&m, to.vcpu, KVM_SET_REGS, &own), 0);
	assert_int_equal(enable(&to, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, &from), 0);
	assert_int_equal(run_to_port(&to), 2);
	assert_int_equal(call_of(&m, to.vcpu, KVM_GET_REGS, &regs), 0); /* what the VMM had set here */
	assert_int_equal(regs.rax, own.rax);
	guest_close(&from);
	guest_close(&to);
	machine_close(&m);
}

/* ---- sending a guest ---- */

static void export_certs(struct machine *m, struct abi_sev_cert *pdh, struct abi_sev_cert_chain *chain)
{
	const struct sev_user_data_pdh_cert_export export = {
	        (uintptr_t)pdh, sizeof(*pdh), (uintptr_t)chain, sizeof(*chain)};
	struct sev_issue_cmd cmd = {.cmd = SEV_PDH_CERT_EXPORT, .data = (uintptr_t) & export};

	assert_int_equal(call_of(m, m->sev, SEV_ISSUE_CMD, &cmd), 0);
}

/* The receiver is this platform itself; a policy without SEV and DOMAIN does not ask who it is. */
static void send_start(struct guest *g, const struct abi_sev_cert *pdh,
        const struct abi_sev_cert_chain *chain, struct abi_sev_session *ret_session)
{
	struct kvm_sev_send_start start = {.session_len = 0};

	assert_int_equal(command(g, KVM_SEV_SEND_START, &start), -EIO);
	assert_int_equal(g->error, 4);
	assert_int_equal(start.session_len, sizeof(*ret_session));
	start.session_uaddr = (uintptr_t)ret_session;
	assert_int_equal(command(g, KVM_SEV_SEND_START, &start), -EINVAL);
	start.pdh_cert_uaddr = (uintptr_t)pdh;
	start.pdh_cert_len = sizeof(*pdh);
	start.plat_certs_uaddr = start.amd_certs_uaddr = (uintptr_t)chain;
	start.plat_certs_len = start.amd_certs_len = sizeof(*chain);
	assert_int_equal(command(g, KVM_SEV_SEND_START, &start), 0);
}

/* A page as it travels. */
struct packet {
	struct abi_sev_secret_header header;
	uint8_t data[PAGE_SIZE_BYTES];
};

static void send_page(struct guest *g, uint32_t at, struct packet *packet)
{
	struct kvm_sev_send_update_data update = {
	        .guest_uaddr = (uintptr_t)g->memory + at, .guest_len = PAGE_SIZE_BYTES};

	assert_int_equal(command(g, KVM_SEV_SEND_UPDATE_DATA, &update), -EIO);
	assert_int_equal(update.hdr_len, sizeof(packet->header));
	assert_int_equal(update.trans_len, 0); /* KVM names no page to the firmware */
	update.trans_len = PAGE_SIZE_BYTES;
	update.hdr_uaddr = (uintptr_t)&packet->header;
	update.trans_uaddr = (uintptr_t)packet->data;
	update.guest_uaddr += 16;
	assert_int_equal(command(g, KVM_SEV_SEND_UPDATE_DATA, &update), -EINVAL); /* two pages */
	update.guest_uaddr -= 16;
	assert_int_equal(command(g, KVM_SEV_SEND_UPDATE_DATA, &update), 0);
}

static int receive_page(struct guest *g, uint32_t at, const struct packet *packet)
{
	const struct kvm_sev_receive_update_data update = {.hdr_uaddr = (uintptr_t)&packet->header,
	        .hdr_len = sizeof(packet->header),
	        .guest_uaddr = (uintptr_t)g->memory + at,
	        .guest_len = PAGE_SIZE_BYTES,
	        .trans_uaddr = (uintptr_t)packet->data,
	        .trans_len = PAGE_SIZE_BYTES};

	return command(g, KVM_SEV_RECEIVE_UPDATE_DATA, &update);
}

static void test_guest_that_was_sent_runs_where_it_arrived(void **state)
{
	static struct abi_sev_cert_chain chain;
	static struct packet packets[3];
	struct abi_sev_session session;
	struct kvm_sev_receive_start receive;
	struct abi_sev_cert pdh;
	struct machine m;
	struct guest from, to;

	machine_open(&m, &milan);
	guest_make(&from, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&from), 0);
	guest_add_vcpu(&from);
	CODE(&from, COUNT);
	guest_launch(&from, 0);
	assert_int_equal(run_to_port(&from), 1);
	export_certs(&m, &pdh, &chain);
	send_start(&from, &pdh, &chain, &session);
	for (unsigned i = 0; i < ARRAY_LEN(packets); i++)
		send_page(&from, i * PAGE_SIZE_BYTES, &packets[i]);
	assert_int_equal(command(&from, KVM_SEV_SEND_FINISH, NULL), 0);

	guest_make(&to, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&to), 0);
	guest_add_vcpu(&to);
	receive = (struct kvm_sev_receive_start){.pdh_uaddr = (uintptr_t)&pdh,
	        .pdh_len = sizeof(pdh),
	        .session_uaddr = (uintptr_t)&session,
	        .session_len = sizeof(session)};
	assert_int_equal(command(&to, KVM_SEV_RECEIVE_START, &receive), 0);
	packets[2].data[7] ^= 1;
	assert_int_equal(receive_page(&to, GUEST_DATA, &packets[2]), -EIO);
	packets[2].data[7] ^= 1;
	for (unsigned i = 0; i < ARRAY_LEN(packets); i++)
		assert_int_equal(receive_page(&to, i * PAGE_SIZE_BYTES, &packets[i]), 0);
	assert_int_equal(command(&to, KVM_SEV_RECEIVE_FINISH, NULL), 0);
	assert_int_equal(run_to_port(&to), 2);
	guest_close(&to);
	guest_close(&from);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_product_decides_types_and_cpuid),
	        cmocka_unit_test(test_firmware_too_old_for_snp_offers_none),
	        cmocka_unit_test(test_options_that_make_no_sense_are_refused),
	        cmocka_unit_test(test_asids_run_out_and_come_back),
	        cmocka_unit_test(test_asid_of_a_guest_that_ran_is_flushed),
	        cmocka_unit_test(test_asids_partition_of_ciphertext_hiding),
	        cmocka_unit_test(test_asids_none_for_es_offers_no_es),
	        cmocka_unit_test(test_memlock_bounds_what_is_pinned),
	        cmocka_unit_test(test_cgroup_counts_and_limits),
	        cmocka_unit_test(test_mirror_reads_what_its_owner_wrote),
	        cmocka_unit_test(test_move_takes_the_context_along),
	        cmocka_unit_test(test_move_of_es_takes_registers_along),
	        cmocka_unit_test(test_guest_that_was_sent_runs_where_it_arrived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
