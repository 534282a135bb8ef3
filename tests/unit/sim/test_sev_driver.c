/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The behaviour of the kernel's driver of the secure processor: it relies on what it remembers of the
 * platform, and undoes what it did for one command. The tests are here and not in tests/abi, because a
 * factory reset destroys a host's keys.
 */
#include "sev_guest.h"
#include "vmm/abi/sev_cert.h"

static int issue(const struct machine *m, int fd, uint32_t number, void *data, uint32_t *ret_code)
{
	struct sev_issue_cmd cmd = {.cmd = number, .data = (uintptr_t)data, .error = 0xeeee};
	int result = call_of(m, fd, SEV_ISSUE_CMD, &cmd);

	if (ret_code)
		*ret_code = cmd.error;
	return result;
}

static unsigned state_of(const struct machine *m)
{
	struct sev_user_data_status status;

	assert_int_equal(issue(m, m->sev, SEV_PLATFORM_STATUS, &status, NULL), 0);
	return status.state;
}

static bool has_snp(const struct machine *m)
{
	struct uapi_sev_snp_status status;

	assert_int_equal(issue(m, m->sev, UAPI_SNP_PLATFORM_STATUS, &status, NULL), 0);
	return status.state;
}

static void make(struct machine *m, const char *product)
{
	const struct sim_options options = {.product = product, .seed = 1};

	machine_open(m, &options);
}

static void start(struct machine *m, struct guest *g)
{
	guest_make(g, m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(g), 0);
	assert_int_equal(launch_start(g, 0), 0);
}

/*
 * The driver remembers INIT, though the firmware is WORKING: exporting certificates needs no right to write.
 */
static void test_driver_exports_certificates_while_guests_run(void **state)
{
	static struct abi_sev_cert_chain chain;
	struct abi_sev_cert pdh;
	struct sev_user_data_pdh_cert_export export = {
	        (uintptr_t)&pdh, sizeof(pdh), (uintptr_t)&chain, sizeof(chain)};
	struct machine m;
	struct guest g;
	int fd;

	make(&m, "Milan");
	fd = host_open(m.host, "/dev/sev", O_RDONLY);
	start(&m, &g);
	assert_int_equal(state_of(&m), 2);
	assert_int_equal(issue(&m, fd, SEV_PDH_CERT_EXPORT, &export, NULL), 0);
	assert_int_equal(issue(&m, m.sev, SEV_FACTORY_RESET, NULL, NULL), -EBUSY);
	guest_close(&g);
	assert_int_equal(issue(&m, m.sev, SEV_FACTORY_RESET, NULL, NULL), 0);
	assert_int_equal(state_of(&m), 0);
	assert_int_equal(issue(&m, fd, SEV_PDH_CERT_EXPORT, &export, NULL), -EPERM);
	export.pdh_cert_len = 0x4001; /* looked at first */
	assert_int_equal(issue(&m, fd, SEV_PDH_CERT_EXPORT, &export, NULL), -EFAULT);
	assert_int_equal(issue(&m, fd, SEV_PDH_CERT_EXPORT, (void *)16, NULL), -EFAULT);
	host_close(m.host, fd);
	machine_close(&m);
}

/*
 * SEV was initialised for the command, so after it neither SEV nor SEV-SNP is initialised. A guest brings
 * both back.
 */
static void test_driver_shuts_down_behind_a_command(void **state)
{
	struct uapi_sev_snp_config config = {0};
	struct sev_user_data_pek_csr csr = {0};
	struct machine m;
	struct guest g;
	uint32_t code;

	make(&m, "Milan");
	assert_int_equal(issue(&m, m.sev, SEV_FACTORY_RESET, NULL, NULL), 0);
	assert_true(has_snp(&m));
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_SET_CONFIG, &config, NULL), 0);
	assert_int_equal(issue(&m, m.sev, SEV_PEK_CSR, &csr, &code), -EIO);
	assert_int_equal(code, 4);
	assert_int_equal(csr.length, sizeof(struct abi_sev_cert));
	assert_int_equal(state_of(&m), 0);
	assert_false(has_snp(&m));
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_SET_CONFIG, &config, NULL), -ENODEV);
	guest_make(&g, &m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(state_of(&m), 1);
	assert_true(has_snp(&m));
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_SET_CONFIG, &config, NULL), 0);
	assert_int_equal(issue(&m, m.sev, SEV_PDH_GEN, NULL, NULL), 0);
	assert_int_equal(state_of(&m), 1); /* it was before */
	guest_close(&g);
	machine_close(&m);
}

/* The firmware does not shut SEV-SNP down while a guest has an ASID, so the guest goes on. */
static void test_driver_leaves_snp_to_its_guests(void **state)
{
	const struct uapi_sev_snp_launch_start snp = {.policy = 0x30000};
	struct sim_guest_view view;
	struct machine m;
	struct guest g;

	make(&m, "Milan");
	guest_make(&g, &m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(command(&g, UAPI_SEV_SNP_LAUNCH_START, &snp), 0);
	assert_int_equal(issue(&m, m.sev, SEV_FACTORY_RESET, NULL, NULL), 0);
	assert_int_equal(issue(&m, m.sev, SEV_PEK_GEN, NULL, NULL), 0);
	assert_int_equal(state_of(&m), 0);
	assert_true(has_snp(&m));
	assert_true(sim_guest_view(m.host, 0, &view) && view.snp);
	guest_close(&g);
	assert_int_equal(issue(&m, m.sev, SEV_PEK_GEN, NULL, NULL), 0);
	assert_false(has_snp(&m));
	machine_close(&m);
}

static void test_driver_that_cannot_init_tells_the_guest(void **state)
{
	struct machine m;
	struct guest g;

	make(&m, "Milan");
	assert_int_equal(issue(&m, m.sev, SEV_FACTORY_RESET, NULL, NULL), 0);
	assert_int_equal(sim_fail_firmware(m.host, "INIT", 1, 0x18), 0);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), -EIO);
	assert_int_equal(g.error, 0x18);
	assert_int_equal(guest_init2(&g), 0); /* and leaves no ASID taken */
	guest_close(&g);
	machine_close(&m);
}

/*
 * On a processor without SEV-SNP the driver still asks the firmware, except for commands that would change
 * something.
 */
static void test_driver_asks_firmware_without_snp(void **state)
{
	struct uapi_sev_snp_status status;
	struct uapi_sev_snp_config config = {0};
	struct machine m;
	uint32_t code;
	int fd;

	make(&m, "Rome");
	fd = host_open(m.host, "/dev/sev", O_RDONLY);
	assert_int_equal(issue(&m, fd, UAPI_SNP_PLATFORM_STATUS, &status, &code), -EIO);
	assert_int_equal(code, 0x11);
	assert_int_equal(issue(&m, fd, UAPI_SNP_COMMIT, NULL, &code), -EIO);
	assert_int_equal(code, 0x11);
	assert_int_equal(issue(&m, fd, UAPI_SNP_SET_CONFIG, NULL, NULL), -EINVAL);
	assert_int_equal(issue(&m, fd, UAPI_SNP_SET_CONFIG, &config, NULL), -EPERM);
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_SET_CONFIG, &config, NULL), -ENODEV);
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_VLEK_LOAD, (void *)16, NULL), -ENODEV);
	host_close(m.host, fd);
	machine_close(&m);
}

/*
 * The answer is one socket's id, though there is room for two. A buffer that the kernel cannot allocate is
 * refused.
 */
static void test_driver_writes_the_id_of_one_socket(void **state)
{
	struct sev_user_data_get_id id;
	struct sev_user_data_get_id2 id2 = {(uintptr_t)&id, 0x400001};
	struct machine m;

	make(&m, "Milan");
	memset(&id, 0xee, sizeof(id));
	assert_int_equal(issue(&m, m.sev, SEV_GET_ID, &id, NULL), 0);
	assert_int_not_equal(id.socket1[0] | id.socket1[63], 0xee);
	assert_int_equal(id.socket2[0], 0xee);
	assert_int_equal(issue(&m, m.sev, SEV_GET_ID2, &id2, NULL), -ENOMEM);
	machine_close(&m);
}

/* The options that stand for SNP_CONFIG and SNP_VLEK_LOAD; the platform's status tells both. */
static void test_vlek_and_masks_are_loaded_by_the_options(void **state)
{
	struct sim_options options = {.product = "Genoa", .vlek = "cloud.example", .mask_chip = 2};
	struct uapi_sev_snp_status status = {0};
	struct sim_cert certs[SIM_CERTS];
	struct err err;
	struct machine m;
	struct host *h;

	machine_open(&m, &options);
	assert_int_equal(issue(&m, m.sev, UAPI_SNP_PLATFORM_STATUS, &status, NULL), 0);
	assert_int_equal(status.flags & 7, UAPI_SNP_STATUS_MASK_CHIP_KEY | UAPI_SNP_STATUS_VLEK_EN);
	assert_ok(sim_certificates(m.host, true, certs, &err));
	assert_true(certs[SIM_CERT_VLEK].size && !certs[SIM_CERT_CHIP].size && certs[SIM_CERT_ASK].size);
	sim_certificates_free(certs);
	machine_close(&m);
	options.product = "Rome";
	assert_fails(
	        sim_host_create(&options, &h, &err), ERR_USAGE, "sim.vlek and sim.mask-chip need SEV-SNP");
	options = (struct sim_options){.product = "Milan", .vlek = "a provider with a name of 33 chars"};
	assert_fails(sim_host_create(&options, &h, &err), ERR_USAGE, "has no VLEK for the provider");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_driver_exports_certificates_while_guests_run),
	        cmocka_unit_test(test_driver_shuts_down_behind_a_command),
	        cmocka_unit_test(test_driver_leaves_snp_to_its_guests),
	        cmocka_unit_test(test_driver_that_cannot_init_tells_the_guest),
	        cmocka_unit_test(test_driver_asks_firmware_without_snp),
	        cmocka_unit_test(test_driver_writes_the_id_of_one_socket),
	        cmocka_unit_test(test_vlek_and_masks_are_loaded_by_the_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
