/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uefi: what the program uses of the UEFI specification 2.10, under the specification's names. Functions that
 * it does not call are only places in their table.
 */
#ifndef UEFI_H
#define UEFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EFIAPI __attribute__((ms_abi))

typedef uint64_t EFI_STATUS; /* 0 is EFI_SUCCESS */
typedef void *EFI_HANDLE;
typedef void *EFI_EVENT;
typedef uint8_t BOOLEAN;
typedef uint16_t CHAR16;

#define EFI_SUCCESS      0
#define EFI_SIZE_MINIMUM 4096 /* a page; 2.3.4: addresses of RAM are virtual ones, too */

typedef struct {
	uint32_t Data1;
	uint16_t Data2, Data3;
	uint8_t Data4[8];
} EFI_GUID;

typedef struct {
	uint64_t Signature;
	uint32_t Revision, HeaderSize, CRC32, Reserved;
} EFI_TABLE_HEADER;

/* 7.2: memory. */
enum {
	EfiReservedMemoryType = 0,
	EfiBootServicesData = 4,
	EfiConventionalMemory = 7,
	EfiUnusableMemory = 8,
	EfiMemoryMappedIO = 11,
	EfiMemoryMappedIOPortSpace = 12,
};
#define AllocateAnyPages 0

typedef struct {
	uint32_t Type;
	uint64_t PhysicalStart, VirtualStart, NumberOfPages, Attribute;
} EFI_MEMORY_DESCRIPTOR;

/* 7.1: events. */
#define EVT_TIMER         0x80000000u
#define EVT_NOTIFY_SIGNAL 0x00000200u
#define TPL_CALLBACK      8
enum { TimerCancel, TimerPeriodic, TimerRelative };

typedef void EFIAPI EFI_EVENT_NOTIFY(EFI_EVENT event, void *context);

typedef struct {
	EFI_TABLE_HEADER Hdr;
	void *RaiseTPL, *RestoreTPL;
	EFI_STATUS(EFIAPI *AllocatePages)(int type, int memory_type, size_t pages, uint64_t *memory);
	void *FreePages;
	EFI_STATUS(EFIAPI *GetMemoryMap)
	(size_t *size, void *map, size_t *key, size_t *descriptor_size, uint32_t *version);
	void *AllocatePool, *FreePool;
	EFI_STATUS(EFIAPI *CreateEvent)
	(uint32_t type, size_t tpl, EFI_EVENT_NOTIFY *notify, void *context, EFI_EVENT *event);
	EFI_STATUS(EFIAPI *SetTimer)(EFI_EVENT event, int type, uint64_t trigger_time_100ns);
	void *WaitForEvent, *SignalEvent;
	EFI_STATUS(EFIAPI *CloseEvent)(EFI_EVENT event);
	void *CheckEvent;
	void *InstallProtocolInterface, *ReinstallProtocolInterface, *UninstallProtocolInterface;
	EFI_STATUS(EFIAPI *HandleProtocol)(EFI_HANDLE handle, const EFI_GUID *protocol, void **interface);
	void *Reserved;
	void *RegisterProtocolNotify, *LocateHandle, *LocateDevicePath, *InstallConfigurationTable;
	void *LoadImage, *StartImage, *Exit, *UnloadImage, *ExitBootServices;
	void *GetNextMonotonicCount, *Stall, *SetWatchdogTimer;
	void *ConnectController, *DisconnectController, *OpenProtocol, *CloseProtocol,
	        *OpenProtocolInformation;
	void *ProtocolsPerHandle, *LocateHandleBuffer;
	EFI_STATUS(EFIAPI *LocateProtocol)(const EFI_GUID *protocol, void *registration, void **interface);
} EFI_BOOT_SERVICES;

/* 8: runtime services. */
typedef struct {
	uint16_t Year;
	uint8_t Month, Day, Hour, Minute, Second, Pad1;
	uint32_t Nanosecond;
	int16_t TimeZone;
	uint8_t Daylight, Pad2;
} EFI_TIME;

enum { EfiResetCold, EfiResetWarm, EfiResetShutdown };

typedef struct {
	EFI_TABLE_HEADER Hdr;
	EFI_STATUS(EFIAPI *GetTime)(EFI_TIME *time, void *capabilities);
	void *SetTime, *GetWakeupTime, *SetWakeupTime, *SetVirtualAddressMap, *ConvertPointer;
	void *GetVariable, *GetNextVariableName, *SetVariable, *GetNextHighMonotonicCount;
	void(EFIAPI *ResetSystem)(int type, EFI_STATUS status, size_t size, void *data);
} EFI_RUNTIME_SERVICES;

/* 4.6: configuration tables. */
typedef struct {
	EFI_GUID VendorGuid;
	void *VendorTable;
} EFI_CONFIGURATION_TABLE;

#define EFI_ACPI_20_TABLE_GUID \
	{ \
		0x8868e871, 0xe4f1, 0x11d3, \
		{ \
			0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 \
		} \
	}

/* 4.3 */
typedef struct {
	EFI_TABLE_HEADER Hdr;
	const CHAR16 *FirmwareVendor;
	uint32_t FirmwareRevision;
	EFI_HANDLE ConsoleInHandle;
	void *ConIn;
	EFI_HANDLE ConsoleOutHandle;
	void *ConOut;
	EFI_HANDLE StandardErrorHandle;
	void *StdErr;
	EFI_RUNTIME_SERVICES *RuntimeServices;
	EFI_BOOT_SERVICES *BootServices;
	size_t NumberOfTableEntries;
	EFI_CONFIGURATION_TABLE *ConfigurationTable;
} EFI_SYSTEM_TABLE;

/* 9.1: what the program was started with. */
#define EFI_LOADED_IMAGE_PROTOCOL_GUID \
	{ \
		0x5b1b31a1, 0x9562, 0x11d2, \
		{ \
			0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
		} \
	}

typedef struct {
	uint32_t Revision;
	EFI_HANDLE ParentHandle;
	EFI_SYSTEM_TABLE *SystemTable;
	EFI_HANDLE DeviceHandle;
	void *FilePath, *Reserved;
	uint32_t LoadOptionsSize; /* bytes */
	const void *LoadOptions;
} EFI_LOADED_IMAGE_PROTOCOL;

/*
 * Not of the specification, but of EDK II: memory for devices. In an encrypted guest it is shared with the
 * hypervisor while it is mapped.
 */
#define EDKII_IOMMU_PROTOCOL_GUID \
	{ \
		0x4e939de9, 0xd948, 0x4b0f, \
		{ \
			0x88, 0xed, 0xe6, 0xe1, 0xce, 0x51, 0x7c, 0x1e \
		} \
	}
#define EDKII_IOMMU_ATTRIBUTE_DUAL_ADDRESS_CYCLE   0x8000u
#define EdkiiIoMmuOperationBusMasterCommonBuffer64 5

typedef struct EDKII_IOMMU_PROTOCOL {
	uint64_t Revision;
	void *SetAttribute;
	EFI_STATUS(EFIAPI *Map)
	(struct EDKII_IOMMU_PROTOCOL *self, int operation, void *host, size_t *bytes, uint64_t *device,
	        void **mapping);
	EFI_STATUS(EFIAPI *Unmap)(struct EDKII_IOMMU_PROTOCOL *self, void *mapping);
	EFI_STATUS(EFIAPI *AllocateBuffer)
	(struct EDKII_IOMMU_PROTOCOL *self, int type, int memory_type, size_t pages, void **host,
	        uint64_t attributes);
	void *FreeBuffer;
} EDKII_IOMMU_PROTOCOL;

/* The platform initialization specification 1.7, volume 2, 13.4: processors. */
#define EFI_MP_SERVICES_PROTOCOL_GUID \
	{ \
		0x3fdda605, 0xa76e, 0x4f46, \
		{ \
			0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 \
		} \
	}

typedef void EFIAPI EFI_AP_PROCEDURE(void *argument);

typedef struct EFI_MP_SERVICES_PROTOCOL {
	EFI_STATUS(EFIAPI *GetNumberOfProcessors)
	(struct EFI_MP_SERVICES_PROTOCOL *self, size_t *total, size_t *enabled);
	void *GetProcessorInfo;
	EFI_STATUS(EFIAPI *StartupAllAPs)
	(struct EFI_MP_SERVICES_PROTOCOL *self, EFI_AP_PROCEDURE *procedure, BOOLEAN single_thread,
	        EFI_EVENT wait_event, size_t timeout_us, void *argument, size_t **failed);
} EFI_MP_SERVICES_PROTOCOL;

#endif
