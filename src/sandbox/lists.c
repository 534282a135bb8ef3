/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists: the system calls of each kind of thread, each with its reason. Data only. The names are those of
 * syscalls(2). tests/lint/lint.py counts the calls: there are at most 64. None of them makes a process or
 * runs a program.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmm/sandbox.h"
#include "vmm/uapi.h"

#define MAIN    (1u << SANDBOX_MAIN)
#define VCPU    (1u << SANDBOX_VCPU)
#define DEVICE  (1u << SANDBOX_DEVICE)
#define WRITER  (1u << SANDBOX_WRITER)
#define MIGRATE (1u << SANDBOX_MIGRATE)
#define ALL     (MAIN | VCPU | DEVICE | WRITER | MIGRATE)
#define LOOPS   (MAIN | DEVICE)

/* Conditions. The number of an ioctl has its driver's letter in bits 8 to 15 (ioctl(2)). */
#define DRIVER(letter)  .argument = 1, .mask = 0xff00, .value = (uint64_t)(letter) << 8
#define REQUEST(number) .argument = 1, .mask = UINT32_MAX, .value = (number)
#define A_THREAD        .argument = 0, .mask = CLONE_THREAD, .value = CLONE_THREAD
#define NOT_EXECUTABLE  .argument = 2, .mask = PROT_EXEC, .value = 0
#define OWN_PROCESS     .own_process = true
#define SIMULATED       .simulated = true
#define CERTIFICATES    .certificates = true
#define TO_READ         .argument = 2, .mask = O_ACCMODE | O_CREAT | O_TRUNC, .value = O_RDONLY

const struct sandbox_row sandbox_rows[] = {
        /* Every thread: the C library, locks, the log, and the signals that kick a vCPU or end vmm. */
        {"futex", ALL, .why = "locks and conditions between threads"},
        {"read", ALL, .why = "eventfds, signals, the console's input, files of a launch"},
        {"write", ALL, .why = "the log, consoles, eventfds that ring"},
        {"writev", ALL, .why = "the C library's last words, as of a heap that is broken"},
        {"poll", ALL, .why = "waits with a limit, as the log does for its reader"},
        {"close", ALL, .why = "descriptors of a device or an incarnation that ends"},
        {"fstat", ALL, .why = "what kind of file a descriptor is, for newer glibc (2.41)"},
        {"newfstatat", ALL, .why = "the same for older glibc; files of a launch"},
        {"brk", ALL, .why = "malloc's heap"},
        {"mmap", ALL, NOT_EXECUTABLE, .why = "malloc, stacks of threads, guest memory, kvm_run"},
        {"munmap", ALL, .why = "free, and the memory of a guest that has ended"},
        {"mremap", ALL, .refuse = ENOMEM, .why = "realloc of a large block copies it instead"},
        {"mprotect", ALL, NOT_EXECUTABLE, .why = "heaps of threads, guard pages of stacks"},
        {"madvise", ALL, .why = "stacks of threads that end, huge pages of guest memory"},
        {"clock_gettime", ALL, .why = "the processor time of a thread; other clocks need no call"},
        {"clock_nanosleep", ALL, .why = "waits of a few milliseconds"},
        {"restart_syscall", ALL,
                .why = "how the kernel goes on with a wait when a stopped process continues"},
        {"rt_sigprocmask", ALL, .why = "which signals a thread takes"},
        {"rt_sigreturn", ALL, .why = "the end of a signal handler"},
        {"rt_sigaction", ALL, .why = "handlers that restore the terminal before a signal ends vmm"},
        {"tgkill", ALL, OWN_PROCESS, .why = "kicks a vCPU, and repeats a signal that ends vmm"},
        {"getpid", ALL, .why = "the C library asks before it sends a signal"},
        {"gettid", ALL, .why = "the C library asks before it sends a signal"},
        {"ioctl", ALL, REQUEST(TCGETS), .why = "modes of the terminal, when a signal restores it"},
        {"ioctl", ALL, REQUEST(TCSETS), .why = "modes of the terminal, when a signal restores it"},
        {"ioctl", ALL, REQUEST(TCGETS2), .why = "the same, for newer glibc (2.43)"},
        {"ioctl", ALL, REQUEST(TCSETS2), .why = "the same, for newer glibc (2.43)"},
        {"ioctl", ALL, REQUEST(TIOCGPGRP), .why = "whether the terminal is vmm's then"},
        {"exit", ALL, .why = "the end of a thread"},
        {"exit_group", ALL, .why = "the end of the process"},

        /* The guest: its memory, its vCPUs, its interrupts. */
        {"ioctl", MAIN | VCPU | DEVICE | MIGRATE, DRIVER(0xae),
                .why = "KVM: running, interrupts, memory, the launch"},
        {"fallocate", MAIN | VCPU | DEVICE | MIGRATE,
                .why = "gives pages back, and discards blocks of a disk, or of a file in which a guest is"},
        {"ioctl", MAIN | MIGRATE, DRIVER(0xaa),
                .why = "places pages that come when the guest runs already (userfaultfd)"},
        {"ioctl", MAIN, DRIVER('S'), .why = "the secure processor (/dev/sev)"},
        {"memfd_create", MAIN, .why = "the memory of an incarnation"},
        {"ftruncate", MAIN | DEVICE, .why = "the size of that memory, and of a disk that grows"},
        {"fcntl", MAIN, .why = "seals its size; locks a file to which a guest is saved"},
        {"lseek", MAIN, .why = "which parts of it are there (SEEK_DATA), for a controller that asks"},

        /* Loops and the back ends of devices. */
        {"io_uring_enter", LOOPS, .why = "a loop's one wait, and all that it reads and writes"},
        {"io_uring_register", MAIN, .why = "leaves the end of a VM to the kernel"},
        {"ppoll", LOOPS, .why = "a loop's one wait where io_uring is refused"},
        {"preadv2", MAIN | VCPU | DEVICE | MIGRATE,
                .why = "eventfds that a back end has, too; disks where io_uring is refused; a file in which "
                       "a guest is"},
        {"pwritev2", MAIN | VCPU | DEVICE | MIGRATE,
                .why = "variables of the firmware; disks where io_uring is refused; a file in which a guest "
                       "is"},
        {"fdatasync", LOOPS | MIGRATE,
                .why = "flushes of a disk where io_uring is refused, and of a file in which a guest is"},
        {"eventfd2", LOOPS | MIGRATE,
                .why = "doorbells and interrupts that a back end gets; the end of what a move waits for"},
        {"sendto", LOOPS | MIGRATE, .why = "NBD servers, passt, and the frames of a move"},
        {"recvfrom", LOOPS | MIGRATE, .why = "NBD servers, passt, virtiofsd, and the frames of a move"},
        {"pipe2", MAIN | MIGRATE, .why = "through which pages go to a socket without a copy"},
        {"fcntl", MIGRATE, REQUEST(F_SETPIPE_SZ), .why = "the size of that pipe"},
        {"fcntl", MIGRATE, REQUEST(F_GETFL), .why = "that socket's flags"},
        {"fcntl", MIGRATE, REQUEST(F_SETFL), .why = "no call waits for that socket"},
        {"vmsplice", MAIN | MIGRATE, .why = "puts pages of the guest into that pipe"},
        {"splice", MAIN | MIGRATE, .why = "puts them into that socket"},
        {"shutdown", LOOPS, .why = "libnbd ends its connection"},
        {"sendmsg", LOOPS | MIGRATE, .why = "virtiofsd, with descriptors; what is asked of the helper"},
        {"recvmsg", LOOPS | MIGRATE, .why = "messages that may bring descriptors"},
        {"ioctl", LOOPS, DRIVER(0xaf), .why = "the kernel's vhost"},
        {"ioctl", LOOPS, REQUEST(TUNSETOFFLOAD), .why = "what the guest's driver takes from a tap"},
        {"ioctl", LOOPS, REQUEST(TUNSETQUEUE), .why = "how many queues of a tap the driver uses"},
        {"ioctl", LOOPS, REQUEST(TUNGETIFF), .why = "whether a tap is still there"},
        {"ioctl", LOOPS, REQUEST(BLKGETSIZE64), .why = "the size of a block device that grew"},
        {"getrandom", LOOPS | MIGRATE, .why = "the guest's source of random numbers, sessions of TLS"},

        /* A launch, which a reset repeats, and the end. */
        {"accept4", MAIN | MIGRATE,
                .why = "a client of the control socket; the source of memory that a guest lacks"},
        {"getsockopt", MAIN, .why = "which user that client is (SO_PEERCRED)"},
        {"openat", MAIN,
                .why = "/dev/kvm, /dev/sev and the owner's files at each launch; a file to which a guest is "
                       "saved"},
        {"rt_sigpending", MAIN, .why = "a signal that ends the wait for a file of a launch"},
        {"rename", MAIN, .why = "the measurement for the guest's owner appears whole"},
        {"unlink", MAIN,
                .why = "what is left of a measurement, or of a saved guest, that could not be written"},
        {"access", MAIN, .why = "whether the measurement for the owner can be written"},
        {"prlimit64", MAIN, .why = "names the limit that made a launch fail"},
        {"clone", MAIN | MIGRATE, A_THREAD, .why = "a new thread, and no process"},
        {"clone3", MAIN | MIGRATE, .refuse = ENOSYS,
                .why = "its flags lie in memory; glibc uses clone instead"},
        {"set_robust_list", MAIN | MIGRATE, .why = "the locks of a new thread"},
        {"rseq", MAIN | MIGRATE, .why = "the C library registers each new thread"},
        {"prctl", MAIN | MIGRATE, .why = "the name of a new thread, and no_new_privs before its list"},
        {"seccomp", MAIN, .why = "a new thread takes its own list on top"},

        /* The certificates of a SEV-SNP guest (sev.certificates), which its requests bring. */
        {"openat", VCPU, TO_READ, CERTIFICATES, .why = "the file of certificates, or those of a folder"},
        {"fcntl", VCPU, .argument = 1, .mask = UINT32_MAX, .value = F_OFD_SETLK, CERTIFICATES,
                .why = "locks them while a report is made"},

        /* The software platform, which plays the kernel in this process. */
        {"process_vm_readv", MAIN | VCPU | DEVICE | MIGRATE, OWN_PROCESS, SIMULATED,
                .why = "pointers of callers that may be bad"},
        {"process_vm_writev", MAIN | VCPU | DEVICE | MIGRATE, OWN_PROCESS, SIMULATED,
                .why = "pointers of callers that may be bad"},
        {"ioctl", MAIN | VCPU | MIGRATE, REQUEST(UAPI_PROCMAP_QUERY), SIMULATED,
                .why = "which pages of guest memory are the same ones of a file"},
        {"rt_sigpending", VCPU | MIGRATE, SIMULATED, .why = "signals that end a run of the processor"},
        {"getrandom", VCPU, SIMULATED, .why = "random numbers for RDRAND"},
        {"ppoll", VCPU, SIMULATED, .why = "a halted vCPU waits for signals"},
        {"kcmp", MAIN | VCPU, SIMULATED, .refuse = EPERM, .why = "fdinfo tells whether two eventfds are one"},
        {"readlink", MAIN | VCPU, SIMULATED, .refuse = EPERM, .why = "fdinfo tells what an eventfd is"},
        {"openat", VCPU, SIMULATED, .why = "whether a descriptor is an eventfd (fdinfo)"},
        {"fcntl", VCPU, SIMULATED, .why = "descriptors that the platform keeps"},
        {"eventfd2", VCPU, SIMULATED, .why = "ends the thread that waits for irqfds"},
        {"epoll_create1", MAIN | VCPU, SIMULATED, .why = "one thread waits for all irqfds"},
        {"epoll_ctl", MAIN | VCPU, SIMULATED, .why = "one thread waits for all irqfds"},
        {"epoll_wait", MAIN | VCPU, SIMULATED, .why = "irqfds; their thread obeys the list of who made it"},
        {"clone", VCPU, A_THREAD, SIMULATED, .why = "the thread that waits for irqfds"},
        {"clone3", VCPU, SIMULATED, .refuse = ENOSYS, .why = "glibc uses clone instead"},
        {"set_robust_list", VCPU, SIMULATED, .why = "the locks of that thread"},
        {"rseq", VCPU, SIMULATED, .why = "the C library registers that thread"},
};

const size_t sandbox_row_count = ARRAY_LEN(sandbox_rows);
