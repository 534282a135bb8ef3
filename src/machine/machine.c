/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: an i440fx board put together from its devices, as firmware expects it (docs/platform.md). Runs on
 * the main thread; what devices call runs on any thread.
 */
#include <errno.h>
#include <time.h>

#include "machine.h"
#include "vmm/abi/helper.h"
#include "vmm/device/dimms.h"
#include "vmm/device/power.h"
#include "vmm/device/serial.h"

/* ---- what devices reach through the machine ---- */

static void irq_set(void *ctx, unsigned gsi, bool level)
{
	struct machine *machine = ctx;
	int vm_fd = machine->vm_fd;
	struct err err;

	/* Between two guests there is no VM to interrupt. */
	if (vm_fd >= 0 && call_vm_irq_line(machine->host, vm_fd, gsi, level, &err) < 0)
		log_guest(LOG_WARN, "%s", err.text);
}

static uint64_t clock_now_ns(void *ctx)
{
	const struct machine *machine = ctx;

	return clock_ns(CLOCK_MONOTONIC) - machine->start_ns;
}

static int64_t clock_wall_ns(void *ctx)
{
	return (int64_t)clock_ns(CLOCK_REALTIME);
}

/* ---- devices ---- */

/* Each firmware puts the PM block at a port of its choice, and reads the tables afterwards. */
static void refresh_tables(void *ctx, uint8_t *data, size_t size)
{
	const struct machine *machine = ctx;
	uint16_t port = device_power_port(device_power_of(&machine->board));

	machine_acpi_set_pm_port(data + machine->fadt_at, port ?: MACHINE_PM_PORT);
}

static int add_acpi(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	struct machine_acpi acpi = {0};
	int result = -1;

	if (machine_acpi_build(&machine->board, machine->config->machine.vcpus, &acpi, err) < 0)
		return -1;
	if (device_fw_cfg_add_file(fw_cfg, "etc/acpi/tables", acpi.tables, acpi.tables_size, err) == 0 &&
	        device_fw_cfg_add_file(fw_cfg, "etc/acpi/rsdp", acpi.rsdp, acpi.rsdp_size, err) == 0 &&
	        device_fw_cfg_add_file(fw_cfg, "etc/table-loader", acpi.loader, acpi.loader_size, err) == 0)
		result = 0;
	machine->fadt_at = acpi.fadt_at;
	device_fw_cfg_follow(fw_cfg, "etc/acpi/tables", refresh_tables, machine);
	machine_acpi_finish(&acpi);
	return result;
}

static int add_smbios(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	const struct machine_smbios_ask ask = {machine->config, machine->model, &machine->layout};
	struct machine_smbios smbios = {0};
	int result = -1;

	if (machine_smbios_build(&ask, &smbios, err) < 0)
		return -1;
	if (device_fw_cfg_add_file(
	            fw_cfg, "etc/smbios/smbios-tables", smbios.tables, smbios.tables_size, err) == 0 &&
	        device_fw_cfg_add_file(
	                fw_cfg, "etc/smbios/smbios-anchor", smbios.anchor, sizeof(smbios.anchor), err) == 0)
		result = 0;
	machine_smbios_finish(&smbios);
	return result;
}

/* Firmware must put nothing where RAM may be added: it keeps 64-bit PCI windows above this address. */
static int add_reserved(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	const struct page_region *region = page_layout_plugged(&machine->layout);
	uint8_t end[8];

	if (!region)
		return 0;
	store_le(end, 8, (region->gpa.raw + region->size_bytes + GIB(1) - 1) & ~(GIB(1) - 1));
	return device_fw_cfg_add_file(fw_cfg, "etc/reserved-memory-end", end, sizeof(end), err);
}

static int fill_fw_cfg(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	static const uint8_t serial_port[2] = {DEVICE_SERIAL_PORT & 0xff, DEVICE_SERIAL_PORT >> 8};
	uint8_t e820[MACHINE_E820_MAX_BYTES];
	size_t size = machine_e820_make(&machine->layout, e820);

	if (device_fw_cfg_add_number(fw_cfg, FW_CFG_NB_CPUS, machine->config->machine.vcpus, 2, err) < 0 ||
	        device_fw_cfg_add_file(fw_cfg, "etc/e820", e820, size, err) < 0 ||
	        device_fw_cfg_add_file(fw_cfg, "etc/system-states", machine_system_states,
	                sizeof(machine_system_states), err) < 0)
		return -1;
	/* SeaBIOS uses this port as its screen and keyboard. No other firmware reads the file. */
	if (device_fw_cfg_add_file(fw_cfg, "etc/sercon-port", serial_port, sizeof(serial_port), err) < 0)
		return -1;
	if (add_reserved(machine, fw_cfg, err) < 0 || add_acpi(machine, fw_cfg, err) < 0 ||
	        add_smbios(machine, fw_cfg, err) < 0)
		return -1;
	return machine_boot_add(machine, fw_cfg, err);
}

static int add_devices(struct machine *machine, struct err *err)
{
	for (size_t i = 0; i < device_kinds_count; i++) {
		const struct device_kind *kind = device_kinds[i];

		if ((!kind->wanted || kind->wanted(machine->config)) &&
		        device_board_add(&machine->board, kind, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * A SEV-SNP guest must accept memory before it uses it. Linux does not do that with memory of which ACPI
 * tells, and would end at its first access, so such a guest is left to look at the registers itself.
 */
static int add_dimms(struct machine *machine, struct err *err)
{
	const struct device_dimms_ask ask = {.announced = machine->config->sev.type != CONFIG_SEV_SNP};

	if (!page_layout_plugged(&machine->layout))
		return 0;
	return device_board_add(&machine->board, &device_dimms_kind, &ask, err);
}

/* loop: NULL if the devices of devices[] are not to be made. */
static int create_devices(struct machine *machine, struct loop *loop, struct err *err)
{
	struct device_board *board = &machine->board;

	board->low_bytes = machine->layout.low_bytes;
	board->high_bytes = machine->layout.high_bytes;
	if (machine_wires_create(machine, err) < 0 || device_board_init(board, err) < 0 ||
	        add_devices(machine, err) < 0 || add_dimms(machine, err) < 0 ||
	        machine_flash_add(machine, err) < 0 || fill_fw_cfg(machine, device_fw_cfg_of(board), err) < 0)
		return -1;
	if (loop && machine_devices_add(machine, loop, err) < 0)
		return -1;
	device_bus_freeze(board->bus);
	return 0;
}

/* ---- life ---- */

static int place_firmware(struct machine *machine, struct err *err)
{
	const struct config *config = machine->config;

	if (!*config->firmware)
		return err_set(err, ERR_USAGE,
		        "no firmware: name an image, such as --set firmware=/usr/share/ovmf/OVMF.fd (Debian: "
		        "apt install ovmf)");
	if (page_layout_make(config->machine.memory_bytes, machine->files.firmware.size_bytes,
	            &machine->layout, err) < 0)
		return err_wrap(err, "firmware: %s", config->firmware);
	if (config->machine.memory_max_bytes > config->machine.memory_bytes &&
	        page_layout_add_plugged(&machine->layout,
	                config->machine.memory_max_bytes - config->machine.memory_bytes, err) < 0)
		return err_wrap(err, "machine.memory-max");
	if (config->sev.helper &&
	        page_layout_add_helper(&machine->layout, gpa(HELPER_GPA), HELPER_BYTES, err) < 0)
		return err_wrap(err, "sev.helper");
	return 0;
}

static int find_model(struct machine *machine, struct err *err)
{
	machine->model = machine_cpu_model(machine->config->machine.cpu);
	if (machine->model)
		return 0;
	return err_set(
	        err, ERR_USAGE, "machine.cpu: there is no CPU model \"%s\"", machine->config->machine.cpu);
}

static int open_kvm(struct machine *machine, struct err *err)
{
	struct host *host = machine->host;

	if (call_kvm_open(host, &machine->kvm_fd, err) < 0 || call_kvm_check(host, machine->kvm_fd, err) < 0)
		return -1;
	machine->tsc_deadline = call_capability(host, machine->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER);
	if (call_kvm_run_size(host, machine->kvm_fd, &machine->run_size, err) < 0)
		return -1;
	return call_kvm_supported_cpuid(host, machine->kvm_fd, &machine->supported, err);
}

/* A machine that has no device yet and has not opened KVM. NULL with err: no memory is left. */
static struct machine *allocate(const struct machine_place *place, const struct config *config,
        const struct machine_files *files, struct err *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine) {
		err_sys(err, ERR_FAILED, ENOMEM, "machine");
		return NULL;
	}
	machine->host = place->host;
	machine->config = config;
	machine->files = *files;
	machine->kvm_fd = -1;
	machine->vm_fd = -1;
	machine->vars_fd = -1;
	machine->start_ns = clock_ns(CLOCK_MONOTONIC);
	machine->board.irq = (struct device_irq){irq_set, machine};
	machine->board.clock =
	        place->clock ? *place->clock : (struct device_clock){clock_now_ns, clock_wall_ns, machine};
	machine->board.events = *place->events;
	machine->arrives = place->arrives;
	return machine;
}

int machine_check(const struct config *config, const struct machine_files *files, struct err *err)
{
	const struct device_events nobody = {0};
	const struct machine_place nowhere = {.events = &nobody};
	struct machine *machine = allocate(&nowhere, config, files, err);
	int result = -1;

	if (machine && find_model(machine, err) == 0 && place_firmware(machine, err) == 0 &&
	        page_memory_check(&machine->layout, err) == 0)
		result = create_devices(machine, NULL, err);
	machine_destroy(machine);
	return result;
}

int machine_create(const struct machine_place *place, const struct config *config,
        const struct machine_files *files, struct machine **ret_machine, struct err *err)
{
	struct machine *machine = allocate(place, config, files, err);

	if (!machine)
		return -1;
	if (find_model(machine, err) < 0 || place_firmware(machine, err) < 0 || open_kvm(machine, err) < 0 ||
	        create_devices(machine, place->loop, err) < 0) {
		machine_destroy(machine);
		return -1;
	}
	*ret_machine = machine;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	if (!machine)
		return;
	device_board_finish(&machine->board);
	if (machine->vars_fd >= 0)
		close(machine->vars_fd);
	machine_wires_destroy(machine);
	host_close(machine->host, machine->kvm_fd);
	free(machine->supported);
	free(machine);
}

const struct config *machine_config(const struct machine *machine)
{
	return machine->config;
}

struct host *machine_host(const struct machine *machine)
{
	return machine->host;
}

const struct device_board *machine_board(const struct machine *machine)
{
	return &machine->board;
}
