#define _GNU_SOURCE
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_RUN_DIR "/var/run/aws-node" /* VPC_CNI_RUN_DIR of vpc_cni.settings */

static const char USAGE[] =
    "usage: grpc-health-probe -addr=ADDRESS [-service=NAME] [-connect-timeout=1s] [-rpc-timeout=1s] [-v] [-user-agent=TEXT]\n"
    "  -addr     :50051 or unix:///var/run/aws-node/ipamd.sock for the agent of this node, else HOST:PORT or unix:///PATH\n"
    "            of its HTTP pages\n"
    "  -service  empty, readiness or grpc.health.v1.aws-node: does it serve pods; liveness: does it still turn\n"
    "ends with 0 healthy, 1 bad arguments, 2 cannot connect, 3 no answer, 4 unhealthy\n";

static int refuse(const char *problem)
{
    fprintf(stderr, "error: %s\n%s", problem, USAGE);
    return BAD_ARGUMENTS;
}

static const char *run_dir(void)
{
    const char *folder = getenv("VPC_CNI_RUN_DIR");
    return folder && *folder ? folder : DEFAULT_RUN_DIR;
}

static int report(enum outcome outcome, const char *text)
{
    if (outcome == HEALTHY)
        puts("status: SERVING");
    else if (outcome == UNHEALTHY)
        fprintf(stderr, "service unhealthy (responded with \"NOT_SERVING\"): %s\n", text);
    else
        fprintf(stderr, "error: %s\n", text);
    return (int)outcome;
}

int main(int count, char **words)
{
    struct flags flags;
    struct target target;
    char text[MAX_ANSWER_BYTES];
    const char *problem = read_flags(count, words, &flags);
    if (problem)
        return refuse(problem);
    if (flags.help || flags.version) {
        fputs(flags.help ? USAGE : SHIM_VERSION "\n", stdout);
        return HEALTHY;
    }
    problem = find_target(flags.address, run_dir(), &target);
    if (problem)
        return refuse(problem);
    const char *page = find_page(flags.service);
    if (!page) {
        fprintf(stderr, "error: health rpc failed: unknown service %.64s\n", flags.service);
        return REQUEST_FAILED;
    }
    if (flags.verbose)
        fprintf(stderr, "asking %s for %s\n", flags.address, page);
    return report(ask(&flags, &target, page, text), text);
}
