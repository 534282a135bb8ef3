# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Guests for tests/guests. The disk with Debian on it that debian.py starts is made with mmdebstrap and as root: Debian 13, the cloud kernels of 13
# and sid, and GRUB for UEFI. Sourced after archive.sh.

# Beside the essential packages: what the tests run in the guest.
DEBIAN_INCLUDE=systemd-sysv,udev,dbus,kmod,login,passwd,util-linux,e2fsprogs,procps,iproute2,iputils-ping,fio,socat
DEBIAN_MIB=1024 # the disk's size
DEBIAN_ESP_MIB=127 # a partition for UEFI behind the first MiB; the root file system follows

# How this machine's apt gets at its mirror.
debian_apt_settings() { apt-config dump | grep -E '^Acquire::(https?|Check-Valid-Until|Check-Date)' | sed 's/^/--aptopt=/' || true; }

# debian_kernel FOLDER NUMBER SUITE: unpacks the suite's cloud kernel as kernel-NUMBER; newer kernels split the package.
debian_kernel() {
	local tree=$1/kernel-$2 suite=$3 image packages
	image=$(archive_depends "$suite" linux-image-cloud-amd64 '^linux-image-[0-9]')
	mapfile -t packages < <(archive_depends "$suite" "$image" '^linux-(binary|modules)-[0-9]')
	[ ${#packages[@]} != 0 ] || packages=("$image")
	archive_unpack "$suite" "$tree" "${packages[@]}" || return 1
	cp "$(find "$tree" -name 'vmlinuz*' -type f)" "$1/vmlinuz-$2"
}

# debian_initrd FOLDER NUMBER: mounts the disk's second partition and starts its init.
debian_initrd() {
	local folder=$1 number=$2 tree=$1/initrd-tree module
	rm -rf "$tree"
	mkdir -p "$tree"/{dev,proc,sys,system}
	cp "$folder/busybox" "$tree/busybox"
	module=$(find "$folder/kernel-$number" -name 'virtio_blk.ko*')
	case $module in
	*.xz) "$folder/busybox" xzcat "$module" >"$tree/virtio_blk.ko" ;;
	*) cp "$module" "$tree/virtio_blk.ko" ;;
	esac || return 1
	cat >"$tree/init" <<-'INIT'
		#!/busybox sh
		/busybox mount -t proc proc /proc
		/busybox mount -t devtmpfs dev /dev
		/busybox insmod /virtio_blk.ko
		while ! [ -b /dev/vda2 ]; do
			/busybox usleep 10000
		done
		/busybox mount -o ro /dev/vda2 /system || exec /busybox sh
		/busybox mount --move /dev /system/dev
		/busybox umount /proc
		exec /busybox switch_root /system /sbin/init
	INIT
	chmod 755 "$tree/init"
	(cd "$tree" && find . | "$folder/busybox" cpio -o -H newc 2>/dev/null) >"$folder/initrd-$number"
}

# debian_settle ROOT: root may log in without a password; the network asks for its address; timers of a machine that stays on are off.
debian_settle() {
	local root=$1
	chroot "$root" passwd -q -d root &&
		chroot "$root" systemctl -q enable systemd-networkd &&
		chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
			systemd-networkd-wait-online.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount || return 1
	printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/80-all.network"
	printf '/dev/vda2 / ext4 rw 0 1\n' >"$root/etc/fstab"
	printf 'debian\n' >"$root/etc/hostname"
	printf '127.0.0.1 localhost debian\n' >"$root/etc/hosts"
	mkdir -p "$root/etc/systemd/system.conf.d" # on a busy machine devices and services take longer than systemd waits
	printf '[Manager]\nDefaultDeviceTimeoutSec=1h\nDefaultTimeoutStartSec=1h\n' >"$root/etc/systemd/system.conf.d/slow.conf"
	: >"$root/etc/machine-id"
	rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
}

# fetch_netboot FOLDER SUITE NUMBER: loaders, kernel and initial RAM disk of Debian's installer, flat. A hundred and thirty MiB are fetched.
fetch_netboot() {
	local folder=$1 suite=$2 number=$3
	archive_suites "$suite" && archive_unpack "$suite" "$folder/tree" "debian-installer-$number-netboot-amd64" || return 1
	mv "$folder/tree/usr/lib/debian-installer/images/$number/amd64/text/debian-installer/amd64"/{bootnetx64.efi,grubx64.efi,linux,initrd.gz} \
		"$folder" || return 1
	rm -rf "$folder/tree"
}

# debian_grub FOLDER: one EFI program with all its modules; its menu is on the disk.
debian_grub() {
	local folder=$1
	printf 'search --set=root --file /grub.cfg\nconfigfile /grub.cfg\n' >"$folder/early.cfg"
	cat >"$folder/grub.cfg" <<-'MENU'
		set timeout=1
		set gfxpayload=text
		serial --unit=0 --speed=115200
		terminal_input serial
		terminal_output serial
		for number in 6 7; do
			menuentry "Debian, kernel $number" $number {
				linux /vmlinuz-$2 console=ttyS0 quiet
				initrd /initrd-$2
			}
		done
	MENU
	grub-mkstandalone -O x86_64-efi -o "$folder/bootx64.efi" --modules="part_gpt fat search serial linux" --locales= --fonts= --themes= \
		"boot/grub/grub.cfg=$folder/early.cfg"
}

# debian_bios_grub FOLDER: a disk for BIOS with nothing but GRUB, which comes to its prompt.
debian_bios_grub() {
	local folder=$1 modules=/usr/lib/grub/i386-pc
	printf 'serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n' >"$folder/early.cfg"
	grub-mkimage -O i386-pc -d "$modules" -c "$folder/early.cfg" -p /boot/grub -o "$folder/core.img" biosdisk part_gpt serial terminal normal ls \
		echo halt && cat "$modules/boot.img" "$folder/core.img" >"$folder/grub-bios.raw" && truncate -s 1M "$folder/grub-bios.raw"
}

# debian_disk FOLDER: without mounting anything.
debian_disk() {
	local folder=$1 disk=$1/disk.raw esp=$1/disk.raw@@1M root_mib=$((1 + DEBIAN_ESP_MIB))
	truncate -s "${DEBIAN_MIB}M" "$disk"
	printf 'label: gpt\nstart=1MiB, size=%dMiB, type=uefi\nstart=%dMiB, type=linux\n' "$DEBIAN_ESP_MIB" "$root_mib" |
		sfdisk -q "$disk" || return 1
	mformat -i "$esp" -F -T $((DEBIAN_ESP_MIB * 2048)) :: && mmd -i "$esp" ::/EFI ::/EFI/BOOT &&
		mcopy -i "$esp" "$folder/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI &&
		mcopy -i "$esp" "$folder"/vmlinuz-? "$folder"/initrd-? "$folder/grub.cfg" :: || return 1
	mkfs.ext4 -q -F -L root -d "$folder/system" -E "offset=$((root_mib << 20))" "$disk" $((DEBIAN_MIB - root_mib - 1))M
}

# fetch_debian FOLDER: disk.raw, grub-bios.raw, and kernels and initial RAM disks beside it for boot.kernel. Two hundred MiB are fetched.
fetch_debian() {
	local folder=$1 options number
	archive_suites trixie sid || return 1
	mapfile -t options < <(debian_apt_settings)
	mmdebstrap --quiet --variant=essential --include="$DEBIAN_INCLUDE" --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --keyring="$ARCHIVE_KEYRING" "${options[@]}" \
		trixie "$folder/system" "$ARCHIVE_MIRROR" >"$folder/log" 2>&1 || {
		tail -n 20 "$folder/log" >&2
		return 1
	}
	archive_unpack trixie "$folder/tree" busybox-static && cp "$(find "$folder/tree" -path '*bin/busybox')" "$folder/busybox" &&
		debian_kernel "$folder" 6 trixie && debian_kernel "$folder" 7 sid || return 1
	for number in 6 7; do
		debian_initrd "$folder" $number || return 1
		cp -r "$folder/kernel-$number"/*lib/modules "$folder/system/usr/lib/" 2>/dev/null ||
			cp -r "$folder/kernel-$number/usr/lib/modules" "$folder/system/usr/lib/" || return 1
	done
	for number in "$folder"/system/usr/lib/modules/*; do
		rm -f "$number/vmlinuz" && depmod -b "$folder/system/usr" "${number##*/}" || return 1
	done
	debian_settle "$folder/system" && debian_grub "$folder" && debian_bios_grub "$folder" && debian_disk "$folder" || return 1
	rm -rf "$folder"/{system,tree,kernel-?,initrd-tree,log,early.cfg,grub.cfg,bootx64.efi,core.img}
}
