/* The command line, as Go's flag package reads it: -name=value, -name value, one or two dashes. */

#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_NAME "introspect.sock" /* INTROSPECTION_SOCKET_NAME of vpc_cni.settings */
#define REFERENCE_SOCKET_NAME "ipamd.sock"
#define REFERENCE_PORT 50051
#define MAX_MS (24 * 3600 * 1000)

static char problem[256];

static const char *wrong(const char *format, const char *word)
{
    snprintf(problem, sizeof problem, format, word);
    return problem;
}

/* Reads a duration of Go: "5s", "1.5s", "1m30s", "500ms". Returns milliseconds, rounded up; -1 when it is none. */
static int64_t read_duration(const char *text)
{
    static const struct {
        const char *name;
        double ms;
    } UNITS[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}};
    double total = 0;
    if (!*text)
        return -1;
    while (*text) {
        size_t length = strspn(text, "0123456789.");
        char *end;
        double number = strtod(text, &end);
        if (length == 0 || end != text + length)
            return -1;
        text = end;
        size_t unit = strcspn(text, "0123456789."), i = 0;
        while (i < sizeof UNITS / sizeof *UNITS && (strlen(UNITS[i].name) != unit || strncmp(UNITS[i].name, text, unit) != 0))
            i++;
        if (i == sizeof UNITS / sizeof *UNITS)
            return -1;
        total += number * UNITS[i].ms;
        text += unit;
    }
    if (!(total > 0) || total > MAX_MS)
        return -1;
    int64_t ms = (int64_t)total;
    return (double)ms < total ? ms + 1 : ms;
}

static const char *take_value(const char *name, const char *value, struct flags *flags)
{
    if (strcmp(name, "addr") == 0)
        flags->address = value;
    else if (strcmp(name, "service") == 0)
        flags->service = value;
    else if (strcmp(name, "connect-timeout") == 0)
        flags->connect_ms = read_duration(value);
    else if (strcmp(name, "rpc-timeout") == 0)
        flags->request_ms = read_duration(value);
    if (flags->connect_ms < 0 || flags->request_ms < 0)
        return wrong("-%s: write a time of more than 0 and at most 24h, such as 5s or 500ms", name);
    return NULL;
}

static const char *take_switch(const char *name, const char *value, struct flags *flags)
{
    bool on = !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
        return wrong("-%s: write true or false", name);
    if (strcmp(name, "v") == 0)
        flags->verbose = on;
    else if (strcmp(name, "version") == 0)
        flags->version = on;
    else
        flags->help = on;
    return NULL;
}

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static const char *read_flag(char *word, char **next, int *used, struct flags *flags)
{
    static const char *const VALUES[] = {"addr", "service", "user-agent", "connect-timeout", "rpc-timeout", NULL};
    static const char *const SWITCHES[] = {"v", "version", "h", "help", NULL};
    char *name = word + (word[1] == '-' ? 2 : 1);
    char *value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    if (is_one_of(name, SWITCHES))
        return take_switch(name, value, flags);
    if (!is_one_of(name, VALUES))
        return wrong("unknown flag -%s", name);
    if (!value) {
        if (!*next)
            return wrong("-%s needs a value", name);
        value = *next;
        *used = 2;
    }
    return take_value(name, value, flags);
}

const char *read_flags(int count, char **words, struct flags *flags)
{
    *flags = (struct flags){.service = "", .connect_ms = 1000, .request_ms = 1000};
    for (int i = 1; i < count;) {
        int used = 1;
        if (words[i][0] != '-' || !words[i][1])
            return wrong("unexpected argument %s", words[i]);
        const char *error = read_flag(words[i], words + i + 1, &used, flags);
        if (error)
            return error;
        i += used;
    }
    if (!flags->address && !flags->help && !flags->version)
        return "-addr is not given; agents of this node are asked with -addr=:50051";
    return NULL;
}

/* ---- addresses ---- */

static const char *unix_target(const char *folder, size_t folder_size, const char *name, struct target *target)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%.*s%s", (int)folder_size, folder, name);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return "the path of the socket is longer than 107 bytes";
    memcpy(&target->address, &address, sizeof address);
    target->size = sizeof address;
    return NULL;
}

static const char *read_unix(const char *path, struct target *target)
{
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (*path != '/')
        return wrong("unix:%s: write the absolute path of a socket, as in unix:///var/run/aws-node/ipamd.sock", path);
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, REFERENCE_SOCKET_NAME) == 0)
        return unix_target(path, (size_t)(name - path), SOCKET_NAME, target);
    return unix_target(path, strlen(path), "", target);
}

static bool is_loopback(const char *host)
{
    return !*host || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

static const char *tcp_target(const char *host, uint16_t port, struct target *target)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    char inner[64] = "";
    size_t length = strlen(host);
    if (length > 2 && length < sizeof inner && host[0] == '[' && host[length - 1] == ']')
        memcpy(inner, host + 1, length - 2);
    if (inet_pton(AF_INET, !*host || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4.sin_addr) == 1) {
        memcpy(&target->address, &v4, sizeof v4);
        target->size = sizeof v4;
        return NULL;
    }
    if (inet_pton(AF_INET6, inner, &v6.sin6_addr) == 1) {
        memcpy(&target->address, &v6, sizeof v6);
        target->size = sizeof v6;
        return NULL;
    }
    return wrong("-addr: %s is no address; names are not looked up", host);
}

const char *find_target(const char *address, const char *run_dir, struct target *target)
{
    char host[64];
    *target = (struct target){0};
    if (strncmp(address, "unix:", 5) == 0)
        return read_unix(address + 5, target);
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host)
        return wrong("-addr: %s is no address; write HOST:PORT, :PORT or unix:///PATH", address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    size_t digits = strspn(colon + 1, "0123456789");
    long port = strtol(colon + 1, NULL, 10);
    if (digits == 0 || digits > 5 || colon[1 + digits] || port < 1 || port > 65535)
        return wrong("-addr: %s has no port between 1 and 65535", address);
    if (port == REFERENCE_PORT && is_loopback(host))
        return unix_target(run_dir, strlen(run_dir), "/" SOCKET_NAME, target);
    return tcp_target(host, (uint16_t)port, target);
}

const char *find_page(const char *service)
{
    static const struct {
        const char *service;
        const char *page;
    } PAGES[] = {
        {"", "/readyz"},
        {"grpc.health.v1.aws-node", "/readyz"}, /* the service that the reference registers */
        {"readiness", "/readyz"},
        {"liveness", "/livez"},
    };
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++)
        if (strcmp(PAGES[i].service, service) == 0)
            return PAGES[i].page;
    return NULL;
}
