/* Strict JSON (RFC 8259) for input that we do not trust: the whole text is checked, a few strings are copied out. */

#include "shim.h"

#include <string.h>

#define MAX_DEPTH 128

struct scanner {
    const unsigned char *at;
    const unsigned char *end;
    const char *error;
};

/* Where the characters of a string go; `out` NULL: nowhere. */
struct sink {
    char *out;
    size_t room;
    size_t used;
    bool too_long;
    bool has_nul;
};

static bool scan_value(struct scanner *s, int depth);

static bool stop(struct scanner *s, const char *error)
{
    s->error = error;
    return false;
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool next_is(struct scanner *s, char wanted)
{
    if (s->at == s->end || *s->at != (unsigned char)wanted)
        return false;
    s->at++;
    return true;
}

static void put(struct sink *sink, const unsigned char *bytes, size_t count)
{
    if (!sink->out)
        return;
    if (count >= sink->room - sink->used) {
        sink->too_long = true;
        return;
    }
    memcpy(sink->out + sink->used, bytes, count);
    sink->used += count;
}

static void put_code_point(struct sink *sink, uint32_t c)
{
    unsigned char b[4];
    if (c == 0)
        sink->has_nul = true;
    if (c < 0x80) {
        b[0] = (unsigned char)c;
        put(sink, b, 1);
    } else if (c < 0x800) {
        b[0] = (unsigned char)(0xc0 | c >> 6);
        b[1] = (unsigned char)(0x80 | (c & 0x3f));
        put(sink, b, 2);
    } else if (c < 0x10000) {
        b[0] = (unsigned char)(0xe0 | c >> 12);
        b[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (unsigned char)(0x80 | (c & 0x3f));
        put(sink, b, 3);
    } else {
        b[0] = (unsigned char)(0xf0 | c >> 18);
        b[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
        b[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        b[3] = (unsigned char)(0x80 | (c & 0x3f));
        put(sink, b, 4);
    }
}

/* Returns the length of the UTF-8 character at `at`, 0 when there is none. Source: RFC 3629, section 4. */
static size_t utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char lead = *at;
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || (lead == 0xf0 && at[1] < 0x90) ||
        (lead == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

bool is_utf8(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + size;
    while (at < end) {
        size_t length = utf8_length(at, end);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static bool scan_hex4(struct scanner *s, uint32_t *out)
{
    uint32_t value = 0;
    if (s->end - s->at < 4)
        return stop(s, "cut \\u escape");
    for (int i = 0; i < 4; i++, s->at++) {
        unsigned char c = *s->at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return stop(s, "\\u escape without four hexadecimal digits");
    }
    *out = value;
    return true;
}

static bool scan_unicode_escape(struct scanner *s, struct sink *sink)
{
    uint32_t c, low;
    if (!scan_hex4(s, &c))
        return false;
    if (c >= 0xdc00 && c <= 0xdfff)
        return stop(s, "lone surrogate");
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!next_is(s, '\\') || !next_is(s, 'u') || !scan_hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
            return stop(s, "lone surrogate");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_code_point(sink, c);
    return true;
}

static bool scan_escape(struct scanner *s, struct sink *sink)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->end)
        return stop(s, "cut escape");
    unsigned char c = *s->at++;
    if (c == 'u')
        return scan_unicode_escape(s, sink);
    const char *found = c ? strchr(letters, c) : NULL;
    if (!found)
        return stop(s, "unknown escape");
    put_code_point(sink, (unsigned char)meanings[found - letters]);
    return true;
}

static bool scan_string(struct scanner *s, struct sink *sink)
{
    if (!next_is(s, '"'))
        return stop(s, "expected a string");
    while (s->at < s->end) {
        unsigned char c = *s->at;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return stop(s, "control character in a string");
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s, sink))
                return false;
            continue;
        }
        size_t length = utf8_length(s->at, s->end);
        if (length == 0)
            return stop(s, "invalid UTF-8");
        put(sink, s->at, length);
        s->at += length;
    }
    return stop(s, "string without end");
}

static bool scan_digits(struct scanner *s)
{
    const unsigned char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start || stop(s, "expected a digit");
}

static bool scan_number(struct scanner *s)
{
    next_is(s, '-');
    if (!next_is(s, '0') && !scan_digits(s))
        return stop(s, "expected a value");
    if (next_is(s, '.') && !scan_digits(s))
        return false;
    if (next_is(s, 'e') || next_is(s, 'E')) {
        if (!next_is(s, '+'))
            next_is(s, '-');
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scanner *s, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return stop(s, "expected a value");
    s->at += length;
    return true;
}

/* After an element: true to go on with the next one; sets `*done` at the closing bracket. */
static bool scan_separator(struct scanner *s, char close, bool *done)
{
    skip_space(s);
    *done = next_is(s, close);
    if (*done)
        return true;
    if (!next_is(s, ','))
        return stop(s, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    skip_space(s);
    return true;
}

static bool scan_array(struct scanner *s, int depth)
{
    bool done = false;
    s->at++;
    skip_space(s);
    if (next_is(s, ']'))
        return true;
    while (!done)
        if (!scan_value(s, depth) || !scan_separator(s, ']', &done))
            return false;
    return true;
}

static bool scan_key(struct scanner *s, struct sink *key)
{
    if (!scan_string(s, key))
        return false;
    skip_space(s);
    if (!next_is(s, ':'))
        return stop(s, "expected ':'");
    skip_space(s);
    return true;
}

static bool scan_object(struct scanner *s, int depth)
{
    struct sink nowhere = {0};
    bool done = false;
    s->at++;
    skip_space(s);
    if (next_is(s, '}'))
        return true;
    while (!done)
        if (!scan_key(s, &nowhere) || !scan_value(s, depth) || !scan_separator(s, '}', &done))
            return false;
    return true;
}

static bool scan_value(struct scanner *s, int depth)
{
    struct sink nowhere = {0};
    if (s->at == s->end)
        return stop(s, "unexpected end");
    if (depth == MAX_DEPTH)
        return stop(s, "nested too deeply");
    switch (*s->at) {
    case '{':
        return scan_object(s, depth + 1);
    case '[':
        return scan_array(s, depth + 1);
    case '"':
        return scan_string(s, &nowhere);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

/* Scans the value of a top-level member and copies it when it is a string. */
static bool scan_member(struct scanner *s, struct member *member)
{
    if (s->at == s->end || *s->at != '"') {
        member->state = MEMBER_NOT_TEXT;
        return scan_value(s, 1);
    }
    struct sink sink = {.out = member->out, .room = member->room};
    if (!scan_string(s, &sink))
        return false;
    member->out[sink.used] = '\0';
    member->state = sink.has_nul ? MEMBER_NOT_TEXT : sink.too_long ? MEMBER_TOO_LONG : MEMBER_TEXT;
    return true;
}

static struct member *find_member(const char *key, struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].key, key) == 0)
            return &members[i];
    return NULL;
}

static bool scan_top(struct scanner *s, struct member *members, size_t count)
{
    char key[32];
    bool done = false;
    skip_space(s);
    if (s->at == s->end)
        return stop(s, "empty");
    if (!next_is(s, '{'))
        return stop(s, "expected an object");
    skip_space(s);
    done = next_is(s, '}');
    while (!done) {
        struct sink sink = {.out = key, .room = sizeof key};
        if (!scan_key(s, &sink))
            return false;
        key[sink.used] = '\0';
        struct member *member = sink.too_long || sink.has_nul ? NULL : find_member(key, members, count);
        if (!(member ? scan_member(s, member) : scan_value(s, 1)) || !scan_separator(s, '}', &done))
            return false;
    }
    skip_space(s);
    return s->at == s->end || stop(s, "text after the object");
}

const char *json_scan(const char *data, size_t size, struct member *members, size_t count, size_t *at)
{
    const unsigned char *start = (const unsigned char *)data;
    struct scanner s = {.at = start, .end = start + size};
    scan_top(&s, members, count);
    *at = (size_t)(s.at - start);
    return s.error;
}

size_t json_escape(char *out, size_t room, size_t length, const char *text)
{
    for (; *text && length + 3 < room; text++) {
        if (*text == '"' || *text == '\\')
            out[length++] = '\\';
        out[length++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    }
    out[length] = '\0';
    return length;
}
