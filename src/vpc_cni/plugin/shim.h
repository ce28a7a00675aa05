/*
 * aws-cni: the CNI plugin. A static program that passes a container runtime's request to the node agent and prints
 * the agent's answer. It decides nothing about addresses; it judges its input, enters the pod's network namespace
 * for two descriptors, and never loses a DEL.
 *
 * One request a process, so: no heap, every buffer is static and bounded, every wait has a deadline, and an error
 * is printed where it is found and ends the process.
 *
 *   aws_cni.c  main: environment, standard input, the commands
 *   clock.c    the time
 *   output.c   results and errors, on standard output
 *   json.c     strict scan of the configuration; escaping for what we print
 *   netns.c    the pod's namespace and a netlink socket inside it
 *   wire.c     the request frame, the answer frames (docs/architecture.md, "Wire format")
 *   agent.c    the conversation: connect, send, wait, try again
 *   spool.c    DELs kept for an agent that is away
 *   sha256.c   names of spool files
 */
#ifndef VPC_CNI_SHIM_H
#define VPC_CNI_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SHIM_VERSION
#define SHIM_VERSION "0.0.0"
#endif

/* Times in milliseconds. Tests build with shorter ones. */
#ifndef STDIN_MS
#define STDIN_MS 5000 /* for the runtime to write and close our standard input */
#endif
#ifndef FIRST_ANSWER_MS
#define FIRST_ANSWER_MS 2000 /* for the agent's first frame; then until the command's own deadline */
#endif
#ifndef RETRY_MS
#define RETRY_MS 1500 /* how long an unreachable agent is tried when nothing says that it restarts */
#endif
#ifndef RESTART_MAX_MS
#define RESTART_MAX_MS 30000 /* how much of the restarting marker we believe */
#endif
#ifndef ADD_MS
#define ADD_MS 60000
#endif
#ifndef OTHER_MS
#define OTHER_MS 10000 /* DEL, CHECK, STATUS, GC */
#endif
#define POLL_MS 50

#define MAX_CONFIG_BYTES (1u << 20)
#define MAX_PAYLOAD_BYTES (MAX_CONFIG_BYTES + (128u << 10))
#define FRAME_HEADER_BYTES 12
#define MAX_VARIABLE_BYTES (16u << 10)
#define MAX_WORD_BYTES 255 /* of a container ID or a network name */
#define MAX_IFNAME_BYTES 15
#define MAX_SOCKET_PATH_BYTES 107
#define MAX_SPOOL_FILES 4096
#define MAX_SPOOL_FILE_BYTES (64u << 10)
#ifndef DEFAULT_SOCKET
#define DEFAULT_SOCKET "/var/run/aws-node/vpc-cni.sock"
#endif
/* Where the reference's agent takes the calls of its own plugin. Source: amazon-vpc-cni-k8s pkg/ipamd, grpc. */
#define REFERENCE_PORT 50051
#define REFERENCE_MS 100

/* Error codes of the CNI specification. */
enum cni_code {
    CNI_INCOMPATIBLE_VERSION = 1,
    CNI_INVALID_ENVIRONMENT = 4,
    CNI_IO_FAILURE = 5,
    CNI_DECODING_FAILURE = 6,
    CNI_INVALID_CONFIG = 7,
    CNI_TRY_AGAIN_LATER = 11,
    CNI_NOT_AVAILABLE = 50,
    CNI_INTERNAL = 100, /* ours; docs/errors.md */
};

enum command { ADD, DEL, CHECK, STATUS, GC, VERSION };

/* What the runtime asks. Variables are as given, NULL when unset or of no use to the command. */
struct request {
    enum command command;
    const char *command_name;
    const char *container_id;
    const char *netns;
    const char *ifname;
    const char *args;
    const char *path;
    const char *config; /* one JSON object, not terminated */
    size_t config_size;
    char version[32];
    char network[MAX_WORD_BYTES + 1];
    char socket[MAX_SOCKET_PATH_BYTES + 1];
};

/* Descriptors for the agent and the letters that name them, in order. */
struct passed {
    int fds[2];
    char kinds[3];
};

/* clock.c */
int64_t now_ms(void); /* CLOCK_BOOTTIME: goes on while the machine sleeps, as the agent's clock does */

/* output.c */
extern const char *answer_version; /* of error objects: the configuration's once it is known to be one of ours */
void print_out(const void *data, size_t size);
/* Prints an error object and ends the process. `details` says what to do, in plain ASCII without quotes. */
_Noreturn void fail(enum cni_code code, const char *details, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* json.c */
enum member_state { MEMBER_ABSENT, MEMBER_TEXT, MEMBER_TOO_LONG, MEMBER_NOT_TEXT };

/* A top-level string to extract; the last one wins when a key repeats. */
struct member {
    const char *key;
    char *out; /* terminated; `room` bytes */
    size_t room;
    enum member_state state;
};

/* Returns NULL when `data` is exactly one JSON object in UTF-8, else what is wrong; `*at` is the byte. */
const char *json_scan(const char *data, size_t size, struct member *members, size_t count, size_t *at);
/* Appends `text` escaped for a JSON string; bytes outside printable ASCII become '?'. Returns the new length. */
size_t json_escape(char *out, size_t room, size_t length, const char *text);
bool is_utf8(const char *text, size_t size);

/* netns.c */
void enter_pod(const char *path, struct passed *passed);
/* Leaves the pod's namespace, if it was entered; false when that fails. */
bool return_to_host(void);

/* wire.c */
struct frame {
    unsigned char bytes[FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES];
    size_t size;
    size_t deadline_at; /* offset of the DEADLINE_MS value */
};

struct answer {
    uint32_t exit_code;
    const unsigned char *out;
    size_t out_size;
};

enum answer_kind { ANSWER_INCOMPLETE, ANSWER_RESULT, ANSWER_PROGRESS, ANSWER_OTHER, ANSWER_MALFORMED };

/* `released_at_ms` 0: none. */
void frame_request(struct frame *frame, const struct request *request, const char *kinds, int64_t released_at_ms);
void frame_set_deadline(struct frame *frame, uint32_t ms);
/* Looks at the first frame in `data`; sets `*used` to its whole size unless it is incomplete or malformed. */
enum answer_kind read_answer(const unsigned char *data, size_t size, struct answer *answer, size_t *used);

/* agent.c */
/* Returns NULL with `*answer` filled in, else why there is no answer. */
const char *ask_agent(const struct request *request, const struct passed *passed, struct answer *answer);
/* Whether something listens where the reference's agent does. Only words may depend on it: any process can listen. */
bool reference_listens(void);

/* spool.c */
/* Records a DEL for the agent. Returns NULL, else why it could not. */
const char *spool_delete(const struct request *request);
/* Writes `<directory of the socket>/<name>` into `out`; false when it does not fit. */
bool path_beside(const char *socket, const char *name, char *out, size_t room);

/* sha256.c */
void sha256_hex(const char *text, char out[65]);

#endif
