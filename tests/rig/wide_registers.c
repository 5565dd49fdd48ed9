/* Lets a user-mode Linux kernel run on processors whose register state outgrew it (AMX: 11 KB, it knows 2.7 KB).
 *
 * Linux takes back a process's extended registers only whole (PTRACE_SETREGSET of NT_X86_XSTATE: EFAULT for less), and
 * Debian's linux.uml brings a buffer of fixed size. Loaded before libc (LD_PRELOAD by vcan-run), this hands what the
 * kernel brings over as the first part of what the process has. Built by vcan-run: gcc -shared -fPIC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { MOST = 1 << 16 };

long ptrace(enum __ptrace_request request, ...)
{
    static long (*next)(enum __ptrace_request, ...);
    va_list given;
    va_start(given, request);
    long pid = va_arg(given, long);
    void *address = va_arg(given, void *);
    void *data = va_arg(given, void *);
    va_end(given);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "ptrace");
    if (request == PTRACE_SETREGSET && (unsigned long)address == NT_X86_XSTATE) {
        static char whole[MOST];
        const struct iovec *brought = data;
        struct iovec all = {whole, sizeof whole};
        if (next(PTRACE_GETREGSET, pid, address, &all) == 0 && all.iov_len > brought->iov_len) {
            memcpy(whole, brought->iov_base, brought->iov_len);
            return next(request, pid, address, &all);
        }
    }
    return next(request, pid, address, data);
}
