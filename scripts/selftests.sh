# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# KVM's selftests, built from the kernel's source as Debian has it, for tests/others. Sourced after archive.sh.

SELFTESTS_LINUX=7.3
SELFTESTS_NEEDS=(make bc xz-utils)
# What of the source is needed to build them: themselves, what they include, and what makes the kernel's headers.
SELFTESTS_PARTS=(Makefile Kbuild Kconfig 'arch/x86/Makefile*' arch/x86/entry/syscalls arch/x86/include arch/x86/kvm include scripts tools/arch
	tools/build tools/include tools/lib tools/scripts tools/testing/selftests/kvm tools/testing/selftests/rseq
	tools/testing/selftests/cgroup tools/testing/selftests/vfio 'tools/testing/selftests/*.mk' 'tools/testing/selftests/*.h')

# fetch_selftests FOLDER SUITE: the programs, as FOLDER/NAME and FOLDER/x86/NAME. A hundred and fifty MiB are fetched. One that wants more than
# that (irq_test: VFIO) is not built.
fetch_selftests() {
	local folder=$1 suite=$2 source=$1/tree/usr/src/linux-source-$SELFTESTS_LINUX kvm=tools/testing/selftests/kvm part
	local wanted=() log=$CACHE/selftests.log
	archive_suites "$suite" && archive_unpack "$suite" "$folder/tree" "linux-source-$SELFTESTS_LINUX" || return 1
	for part in "${SELFTESTS_PARTS[@]}"; do
		wanted+=("linux-source-$SELFTESTS_LINUX/$part")
	done
	say "building KVM's selftests, which takes minutes"
	tar -xf "$source.tar.xz" -C "$folder/tree/usr/src" --wildcards "${wanted[@]}" &&
		make -C "$source" ARCH=x86 headers >"$log" 2>&1 || return 1
	make -k -j "$(nproc)" -C "$source/$kvm" ARCH=x86 OUTPUT="$folder/built" LIBVFIO_O= LDLIBS='-ldl -lpthread' \
		KHDR_INCLUDES="-isystem $source/usr/include" >>"$log" 2>&1 || true
	mkdir "$folder/x86" &&
		find "$folder/built" -maxdepth 1 -type f -perm -u+x -exec mv {} "$folder" \; &&
		find "$folder/built/x86" -maxdepth 1 -type f -perm -u+x -exec mv {} "$folder/x86" \; || return 1
	rm -rf "$folder/tree" "$folder/built"
	if [ ! -x "$folder/x86/sev_smoke_test" ]; then
		say "the selftests were not built: $log has the reason"
		return 1
	fi
}
