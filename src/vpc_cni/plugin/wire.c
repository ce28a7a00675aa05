/* Frames: docs/architecture.md, "Wire format between plugin and agent". */

#include "shim.h"

#include <string.h>

#define WIRE_VERSION 1
#define WIRE_MIN_VERSION 1

enum { TYPE_REQUEST = 1, TYPE_RESULT = 2, TYPE_PROGRESS = 3 };

enum {
    TAG_COMMAND = 1,
    TAG_CONTAINER_ID = 2,
    TAG_NETNS = 3,
    TAG_IFNAME = 4,
    TAG_ARGS = 5,
    TAG_PATH = 6,
    TAG_CONFIG = 7,
    TAG_DEADLINE_MS = 8,
    TAG_SHIM_VERSION = 9,
    TAG_DESCRIPTORS = 10,
    TAG_RELEASED_AT_MS = 11,
    TAG_EXIT_CODE = 32,
    TAG_STDOUT = 33,
};

static void write_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The sum of all fields fits: every variable and the configuration were bounded before. */
static unsigned char *add_field(struct frame *frame, unsigned tag, const void *data, size_t size)
{
    unsigned char *at = frame->bytes + frame->size;
    at[0] = (unsigned char)(tag >> 8);
    at[1] = (unsigned char)tag;
    write_u32(at + 2, (uint32_t)size);
    memcpy(at + 6, data, size);
    frame->size += 6 + size;
    return at + 6;
}

static void add_text(struct frame *frame, unsigned tag, const char *text)
{
    if (text)
        add_field(frame, tag, text, strlen(text));
}

void frame_request(struct frame *frame, const struct request *request, const char *kinds, int64_t released_at_ms)
{
    unsigned char number[8] = {0};
    frame->size = FRAME_HEADER_BYTES;
    add_text(frame, TAG_COMMAND, request->command_name);
    add_text(frame, TAG_CONTAINER_ID, request->container_id);
    add_text(frame, TAG_NETNS, request->netns);
    add_text(frame, TAG_IFNAME, request->ifname);
    add_text(frame, TAG_ARGS, request->args);
    add_text(frame, TAG_PATH, request->path);
    add_field(frame, TAG_CONFIG, request->config, request->config_size);
    frame->deadline_at = (size_t)(add_field(frame, TAG_DEADLINE_MS, number, 4) - frame->bytes);
    add_text(frame, TAG_SHIM_VERSION, SHIM_VERSION);
    add_text(frame, TAG_DESCRIPTORS, kinds);
    if (released_at_ms) {
        write_u32(number, (uint32_t)((uint64_t)released_at_ms >> 32));
        write_u32(number + 4, (uint32_t)released_at_ms);
        add_field(frame, TAG_RELEASED_AT_MS, number, 8);
    }
    const unsigned char header[8] = {'v', 'c', 'n', 'i', WIRE_VERSION, WIRE_MIN_VERSION, TYPE_REQUEST, 0};
    memcpy(frame->bytes, header, sizeof header);
    write_u32(frame->bytes + 8, (uint32_t)(frame->size - FRAME_HEADER_BYTES));
}

void frame_set_deadline(struct frame *frame, uint32_t ms)
{
    write_u32(frame->bytes + frame->deadline_at, ms);
}

/* Reads the fields of a RESULT; unknown tags are skipped. */
static bool read_result(const unsigned char *at, size_t left, struct answer *answer)
{
    bool has_exit_code = false;
    memset(answer, 0, sizeof *answer);
    while (left > 0) {
        if (left < 6)
            return false;
        unsigned tag = (unsigned)at[0] << 8 | at[1];
        size_t size = read_u32(at + 2);
        if (size > left - 6)
            return false;
        if (tag == TAG_EXIT_CODE) {
            if (size != 4 || has_exit_code)
                return false;
            answer->exit_code = read_u32(at + 6);
            has_exit_code = true;
        } else if (tag == TAG_STDOUT) {
            answer->out = at + 6;
            answer->out_size = size;
        }
        at += 6 + size;
        left -= 6 + size;
    }
    return has_exit_code;
}

enum answer_kind read_answer(const unsigned char *data, size_t size, struct answer *answer, size_t *used)
{
    if (size < FRAME_HEADER_BYTES)
        return ANSWER_INCOMPLETE;
    size_t payload = read_u32(data + 8);
    if (memcmp(data, "vcni", 4) != 0 || data[5] > WIRE_VERSION || payload > MAX_PAYLOAD_BYTES)
        return ANSWER_MALFORMED;
    if (size - FRAME_HEADER_BYTES < payload)
        return ANSWER_INCOMPLETE;
    *used = FRAME_HEADER_BYTES + payload;
    switch (data[6]) {
    case TYPE_RESULT:
        return read_result(data + FRAME_HEADER_BYTES, payload, answer) ? ANSWER_RESULT : ANSWER_MALFORMED;
    case TYPE_PROGRESS:
        return ANSWER_PROGRESS;
    default:
        return ANSWER_OTHER;
    }
}
