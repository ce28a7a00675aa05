/*
 * grpc-health-probe: asks the agent of this node whether it is healthy. A static program for probes of kubelet, which
 * start it every few seconds: it must cost a millisecond, not the start of an interpreter.
 *
 * Flags, output and exit codes are those of the program of that name that charts call. The agent speaks HTTP, not
 * gRPC: addresses at which the reference's agent listens stand for our status socket, any other one is asked by HTTP.
 *
 *   main.c     flags in, exit code out
 *   flags.c    command line, times, addresses
 *   ask.c      one HTTP request with deadlines
 */
#ifndef VPC_CNI_PROBE_H
#define VPC_CNI_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SHIM_VERSION
#define SHIM_VERSION "0.0.0"
#endif

/* What the probe ends with. Source: grpc-ecosystem/grpc-health-probe README, "Exit codes". */
enum outcome { HEALTHY = 0, BAD_ARGUMENTS = 1, NOT_CONNECTED = 2, REQUEST_FAILED = 3, UNHEALTHY = 4 };

struct flags {
    const char *address; /* as given */
    const char *service;
    int64_t connect_ms;
    int64_t request_ms;
    bool verbose;
    bool help;
    bool version;
};

struct target {
    struct sockaddr_storage address;
    socklen_t size;
};

/* flags.c: each returns NULL, else what is wrong. */
const char *read_flags(int count, char **words, struct flags *flags);
const char *find_target(const char *address, const char *run_dir, struct target *target);
/* Returns the page that answers for a service; NULL when no such service is known. */
const char *find_page(const char *service);

/* ask.c */
#define MAX_ANSWER_BYTES 4096
/* Returns the outcome; `text` is what to print: the agent's words, or what failed. */
enum outcome ask(const struct flags *flags, const struct target *target, const char *page, char text[MAX_ANSWER_BYTES]);

#endif
