/* What the runtime reads: a result or an error object on standard output. Source: containernetworking/cni SPEC.md 1.1.0. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

const char *answer_version = "1.1.0";

void print_out(const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        at += written;
        size -= (size_t)written;
    }
}

_Noreturn void fail(enum cni_code code, const char *details, const char *format, ...)
{
    char message[1024], escaped[2100], out[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    json_escape(escaped, sizeof escaped, 0, message);
    int size = snprintf(out, sizeof out, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\",\"details\":\"%s\"}\n",
                        answer_version, (int)code, escaped, details);
    print_out(out, (size_t)size);
    _exit(1);
}
