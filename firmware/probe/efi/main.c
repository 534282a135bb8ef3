/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: what the guest is, and the order of the line's keys. Then the machine is switched off; with the load
 * option "wait" only after a key, and until then nothing in the guest changes.
 *
 * Law: AMD APM 24594, E.4.17 (CPUID 8000001F); APM 24593, 15.34.10 (SEV_STATUS).
 */
#include "facts.h"

#define CPUID_EXTENDED    0x80000000u
#define CPUID_FEATURES    1u
#define CPUID_HYPERVISOR  0x40000000u
#define HYPERVISOR_LEAVES 32u
#define IS_GUEST          (1u << 31)

/* SEV_STATUS exists only where CPUID tells of SEV; elsewhere reading it is a #GP. */
static struct guest look(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	struct guest guest = {.system = system, .image = image};

	guest.has_sev_leaf = cpuid(CPUID_EXTENDED).eax >= CPUID_SEV;
	guest.has_sev = guest.has_sev_leaf && (cpuid(CPUID_SEV).eax & 2);
	if (guest.has_sev) {
		guest.sev_status = rdmsr(MSR_SEV_STATUS);
		guest.c_bit = cpuid(CPUID_SEV).ebx & 0x3f;
	}
	return guest;
}

static const char *name_of(uint64_t sev_status)
{
	if (sev_status & SEV_STATUS_SNP)
		return "sev-snp";
	if (sev_status & SEV_STATUS_ES)
		return "sev-es";
	return sev_status & SEV_STATUS_SEV ? "sev" : "none";
}

static void facts_type(const struct guest *guest)
{
	print_text("type", name_of(guest->sev_status), 8);
	if (guest->has_sev_leaf)
		print_cpuid("cpuid-8000001f", CPUID_SEV);
	else
		print_null("cpuid-8000001f");
	if (guest->has_sev)
		print_mask("sev-status", guest->sev_status);
	else
		print_null("sev-status");
}

static void facts_firmware(const struct guest *guest)
{
	print_open("firmware", '{');
	print_text16("vendor", guest->system->FirmwareVendor);
	print_mask("revision", guest->system->FirmwareRevision);
	print_close('}');
}

static void facts_hypervisor(const struct guest *guest)
{
	struct cpuid c = cpuid(CPUID_HYPERVISOR);
	uint32_t signature[3] = {c.ebx, c.ecx, c.edx};

	if (!(cpuid(CPUID_FEATURES).ecx & IS_GUEST)) {
		print_null("hypervisor");
		return;
	}
	print_open("hypervisor", '{');
	print_text("signature", (const char *)signature, sizeof(signature));
	print_open("leaves", '[');
	for (uint32_t leaf = CPUID_HYPERVISOR; leaf <= c.eax && leaf < CPUID_HYPERVISOR + HYPERVISOR_LEAVES;
	        leaf++)
		print_cpuid(NULL, leaf);
	print_close(']');
	print_close('}');
}

/* Was the program started with the word wait? */
static bool shall_wait(const struct guest *guest)
{
	static const EFI_GUID protocol = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	static const CHAR16 wait[] = {'w', 'a', 'i', 't'};
	const EFI_LOADED_IMAGE_PROTOCOL *self;
	void *found;

	if (guest->system->BootServices->HandleProtocol(guest->image, &protocol, &found))
		return false;
	self = found;
	if (self->LoadOptionsSize < sizeof(wait))
		return false;
	for (size_t i = 0; i < sizeof(wait) / sizeof(wait[0]); i++)
		if (((const CHAR16 *)self->LoadOptions)[i] != wait[i])
			return false;
	return true;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	struct guest guest = look(image, system);
	bool wait = shall_wait(&guest);

	print_begin();
	print_number("probe", 1); /* the version of this line */
	facts_type(&guest);
	facts_c_bit(&guest);
	facts_ghcb(&guest);
	facts_firmware(&guest);
	facts_hypervisor(&guest);
	facts_processors(&guest);
	facts_memory_map(&guest);
	facts_added(&guest);
	facts_time(&guest);
	facts_conversions(&guest);
	/* From here on no driver of firmware runs, so the tables stay as they are printed. */
	interrupts_off();
	facts_page_tables(&guest);
	print_end();
	if (wait)
		await_key();
	system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_SUCCESS;
}
