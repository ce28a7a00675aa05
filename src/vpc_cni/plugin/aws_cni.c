/* The plugin's commands. Source: containernetworking/cni SPEC.md 1.1.0, "Execution Protocol". */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const VERSIONS[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
#define VERSION_COUNT (sizeof VERSIONS / sizeof *VERSIONS)
#define VERSION_LIST "0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"

static const struct {
    const char *name;
    size_t since; /* index into VERSIONS */
    bool has_sandbox;
    bool needs_netns;
} COMMANDS[] = {
    [ADD] = {"ADD", 0, true, true},          [DEL] = {"DEL", 0, true, false}, [CHECK] = {"CHECK", 2, true, true},
    [STATUS] = {"STATUS", 4, false, false},  [GC] = {"GC", 4, false, false},  [VERSION] = {"VERSION", 0, false, false},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof *COMMANDS)

static char input[MAX_CONFIG_BYTES + 1];

/* ---- standard input ---- */

/* Reads the configuration until its end. Returns NULL, else what failed. */
static const char *read_input(size_t *size)
{
    int64_t end = now_ms() + STDIN_MS;
    struct pollfd pollfd = {.fd = STDIN_FILENO, .events = POLLIN};
    *size = 0;
    while (*size < sizeof input) {
        int64_t left = end - now_ms();
        if (left <= 0)
            return "standard input did not end in time";
        if (poll(&pollfd, 1, (int)left) <= 0)
            continue;
        ssize_t got = read(STDIN_FILENO, input + *size, sizeof input - *size);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return strerror(errno);
        if (got == 0)
            return NULL;
        if (got > 0)
            *size += (size_t)got;
    }
    return NULL;
}

/* ---- names ---- */

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The specification's character set of container IDs and network names. */
static bool is_word(const char *text)
{
    if (!is_alphanumeric(*text) || strlen(text) > MAX_WORD_BYTES)
        return false;
    for (; *text; text++)
        if (!is_alphanumeric(*text) && *text != '_' && *text != '.' && *text != '-')
            return false;
    return true;
}

/* 0xa0 counts as white space in the kernel (lib/ctype.c), and '%' asks it to make up a number. */
static bool is_ifname(const char *text)
{
    if (!*text || strlen(text) > MAX_IFNAME_BYTES || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at <= ' ' || *at == 0x7f || *at == 0xa0 || *at == '/' || *at == ':' || *at == '%')
            return false;
    return true;
}

/* ---- environment ---- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void check_text(const char *name, const char *value)
{
    if (!value)
        return;
    size_t size = strnlen(value, MAX_VARIABLE_BYTES + 1);
    if (size > MAX_VARIABLE_BYTES)
        fail(CNI_INVALID_ENVIRONMENT, "the container runtime must pass a shorter value", "%s is longer than %u bytes", name,
             MAX_VARIABLE_BYTES);
    if (!is_utf8(value, size))
        fail(CNI_INVALID_ENVIRONMENT, "the container runtime must pass plain text", "%s is not UTF-8 text", name);
}

static void read_command(struct request *request)
{
    const char *name = variable("CNI_COMMAND");
    if (!name)
        fail(CNI_INVALID_ENVIRONMENT,
             "this program is a CNI plugin: container runtimes start it; set CNI_COMMAND=VERSION to try it by hand",
             "CNI_COMMAND is not set");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, COMMANDS[i].name) == 0) {
            request->command = (enum command)i;
            request->command_name = COMMANDS[i].name;
            return;
        }
    }
    fail(CNI_INVALID_ENVIRONMENT, "use ADD, DEL, CHECK, STATUS, GC or VERSION", "CNI_COMMAND %.32s is not known", name);
}

/* Reads what the command needs; names every missing variable at once. */
static void read_variables(struct request *request)
{
    bool sandbox = COMMANDS[request->command].has_sandbox;
    request->path = variable("CNI_PATH");
    check_text("CNI_PATH", request->path);
    if (!sandbox)
        return;
    request->container_id = variable("CNI_CONTAINERID");
    request->ifname = variable("CNI_IFNAME");
    request->netns = variable("CNI_NETNS");
    request->args = variable("CNI_ARGS");
    bool netns_missing = COMMANDS[request->command].needs_netns && !request->netns;
    if (!request->container_id || !request->ifname || netns_missing)
        fail(CNI_INVALID_ENVIRONMENT, "the container runtime must set these variables", "%s without%s%s%s",
             request->command_name, request->container_id ? "" : " CNI_CONTAINERID",
             request->ifname ? "" : " CNI_IFNAME", netns_missing ? " CNI_NETNS" : "");
    if (!is_word(request->container_id))
        fail(CNI_INVALID_ENVIRONMENT,
             "start with a letter or digit, go on with those, '_', '.' or '-', at most 255 in all",
             "CNI_CONTAINERID %.64s is not valid", request->container_id);
    if (!is_ifname(request->ifname))
        fail(CNI_INVALID_ENVIRONMENT, "use 1 to 15 bytes without '/', ':', '%' and white space, not '.' or '..'",
             "CNI_IFNAME %.64s is not a valid interface name", request->ifname);
    check_text("CNI_IFNAME", request->ifname);
    check_text("CNI_NETNS", request->netns);
    check_text("CNI_ARGS", request->args);
}

/* ---- configuration ---- */

static size_t find_version(const char *version)
{
    size_t i = 0;
    while (i < VERSION_COUNT && strcmp(VERSIONS[i], version) != 0)
        i++;
    return i;
}

static void check_version(const struct request *request, enum member_state state)
{
    size_t index = find_version(request->version);
    if (state == MEMBER_NOT_TEXT)
        fail(CNI_DECODING_FAILURE, "correct cniVersion in the conflist", "cniVersion is not text");
    if (index == VERSION_COUNT)
        fail(CNI_INCOMPATIBLE_VERSION, "set cniVersion in the conflist to one of " VERSION_LIST,
             "cniVersion %s is not supported; supported are " VERSION_LIST,
             state == MEMBER_ABSENT ? "0.1.0 (none given)" : request->version);
    if (index < COMMANDS[request->command].since)
        fail(CNI_INCOMPATIBLE_VERSION, "set a later cniVersion in the conflist", "cniVersion %s has no %s; it came with %s",
             request->version, request->command_name, VERSIONS[COMMANDS[request->command].since]);
}

static void check_socket(struct request *request, enum member_state state)
{
    if (state == MEMBER_ABSENT)
        strcpy(request->socket, DEFAULT_SOCKET);
    else if (state != MEMBER_TEXT || request->socket[0] != '/')
        fail(CNI_INVALID_CONFIG, "set agentSocket in the conflist to an absolute path of at most 107 bytes, or remove it",
             "agentSocket is not valid");
}

/* Scans the configuration; `problem` is what reading it met. Variables are judged before: they come first in SPEC.md. */
static void read_config(struct request *request, size_t size, const char *problem)
{
    struct member members[] = {
        {"cniVersion", request->version, sizeof request->version, MEMBER_ABSENT},
        {"name", request->network, sizeof request->network, MEMBER_ABSENT},
        {"agentSocket", request->socket, sizeof request->socket, MEMBER_ABSENT},
    };
    size_t at = 0;
    const char *error = problem ? NULL : json_scan(input, size, members, sizeof members / sizeof *members, &at);
    size_t index = find_version(request->version);
    if (index < VERSION_COUNT && !error && members[0].state == MEMBER_TEXT)
        answer_version = VERSIONS[index];
    read_variables(request);
    if (problem)
        fail(CNI_IO_FAILURE, "the container runtime must write the network configuration and close the pipe",
             "cannot read the network configuration: %s", problem);
    if (size > MAX_CONFIG_BYTES)
        fail(CNI_INVALID_CONFIG, "correct the conflist, or the program that passes it on standard input",
             "the network configuration is larger than 1 MiB");
    if (error)
        fail(CNI_DECODING_FAILURE, "correct the conflist, or the program that passes it on standard input",
             "the network configuration is not a JSON object: %s at byte %zu", error, at);
    check_version(request, members[0].state);
    if (members[1].state != MEMBER_TEXT || !is_word(request->network))
        fail(CNI_INVALID_CONFIG,
             "set name in the conflist to letters, digits, '_', '.' and '-', beginning with a letter or digit",
             "the network name is %s", members[1].state == MEMBER_ABSENT ? "missing" : "not valid");
    check_socket(request, members[2].state);
    request->config = input;
    request->config_size = size;
}

/* ---- commands ---- */

/* Answers VERSION here: it must work without an agent. No input at all is as good as an empty object. */
static int print_version(size_t size)
{
    char version[32] = "", escaped[80], out[256];
    struct member member = {"cniVersion", version, sizeof version, MEMBER_ABSENT};
    size_t at = 0;
    const char *error = size > 0 ? json_scan(input, size, &member, 1, &at) : NULL;
    if (error)
        fail(CNI_DECODING_FAILURE, "pass an object with cniVersion", "standard input is not a JSON object: %s at byte %zu",
             error, at);
    if (member.state == MEMBER_NOT_TEXT || member.state == MEMBER_TOO_LONG)
        fail(CNI_DECODING_FAILURE, "pass cniVersion as text, for example 1.1.0", "cniVersion is not a version");
    json_escape(escaped, sizeof escaped, 0, *version ? version : answer_version);
    int length = snprintf(out, sizeof out,
                          "{\"cniVersion\":\"%s\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n",
                          escaped);
    print_out(out, (size_t)length);
    return 0;
}

static int finish(const struct request *request, const struct answer *answer)
{
    bool silent = answer->out_size == 0;
    if (silent && (answer->exit_code != 0 || request->command == ADD))
        fail(CNI_INTERNAL, "look into the log of the aws-node pod on this node", "the agent answered %s without saying what",
             request->command_name);
    print_out(answer->out, answer->out_size);
    return answer->exit_code <= 255 ? (int)answer->exit_code : 1;
}

static int finish_alone(const struct request *request, const char *why)
{
    const char *problem = request->command == DEL ? spool_delete(request) : NULL;
    if (request->command == DEL && !problem)
        return 0;
    if (request->command == DEL)
        fail(CNI_IO_FAILURE, "free space, or set owner root and mode 0700 there; the runtime must repeat the DEL",
             "the agent at %s gives no answer (%s), and the DEL cannot be recorded beside it: %s", request->socket, why,
             problem);
    enum cni_code code = request->command == STATUS ? CNI_NOT_AVAILABLE : CNI_TRY_AGAIN_LATER;
    if (reference_listens())
        fail(code,
             "roll out one implementation as a whole, image and init image, or delete the aws-node pod of this node if it was"
             " rolled out already: its init container installs the plugin that belongs to its agent",
             "the agent at %s gives no answer (%s), and 127.0.0.1:50051 is open: the agent of amazon-vpc-cni-k8s seems to run"
             " here, which does not understand this plugin", request->socket, why);
    fail(code,
         "the aws-node pod of this node is not running, still starting or overloaded; look at its log",
         "the agent at %s gives no answer: %s", request->socket, why);
}

static void open_standard_descriptors(void)
{
    /* Else a socket of ours could become standard output. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            _exit(1);
}

int main(void)
{
    struct request request = {0};
    struct passed passed = {0};
    struct answer answer;
    size_t size;
    signal(SIGPIPE, SIG_IGN);
    open_standard_descriptors();
    read_command(&request);
    const char *problem = read_input(&size);
    if (request.command == VERSION)
        return print_version(problem ? 0 : size);
    read_config(&request, size, problem);
    if (COMMANDS[request.command].needs_netns)
        enter_pod(request.netns, &passed);
    const char *why = ask_agent(&request, &passed, &answer);
    return why ? finish_alone(&request, why) : finish(&request, &answer);
}
