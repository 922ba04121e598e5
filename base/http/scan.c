/* SPDX-License-Identifier: Apache-2.0
 * scan: see the header. */
#include "base/http/scan.h"

#include "base/word.h"

enum {
    FIRST_PRINTABLE = 0x20,
    METHOD_AND_VERSION_BYTES = 32, /* what the first line holds besides the URL, with room to spare */
};

/* The first control character (below 0x20) at or after from, or end. */
static size_t find_control(const char *bytes, size_t from, size_t end)
{
    for (; end - from >= WORD_BYTES; from += WORD_BYTES) {
        uint64_t marks = word_mark_below(word_load(bytes + from), FIRST_PRINTABLE);
        if (marks)
            return from + word_first(marks);
    }
    while (from < end && (unsigned char)bytes[from] >= FIRST_PRINTABLE)
        from++;
    return from;
}

/* Where the line being read, its CRLF included, must have ended. */
static size_t find_limit(const struct scan *scan, const struct http_limits *limits)
{
    size_t line_max = scan->line_count == 0 ? (size_t)limits->max_url_bytes + METHOD_AND_VERSION_BYTES
                                            : (size_t)HTTP_MAX_FIELD_BYTES;
    size_t line_end = scan->line_start + line_max;
    size_t head_end = (size_t)limits->max_head_bytes;
    return line_end < head_end ? line_end : head_end;
}

static enum scan_result refuse(struct refusal *refusal, struct refusal because)
{
    *refusal = because;
    return SCAN_REFUSED;
}

static enum scan_result refuse_length(const struct scan *scan, struct refusal *refusal)
{
    if (scan->line_count == 0)
        return refuse(refusal, REFUSE(414, "the URL is too long"));
    return refuse(refusal, REFUSE(431, "the header is too long"));
}

static struct refusal check_line(const struct scan *scan, slice line)
{
    if (scan->line_count == 0)
        return line.len > 0 ? NOT_REFUSED : REFUSE(400, "empty line before the request");
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return REFUSE(400, "folded header line");
    if (line.data[0] == ':')
        return REFUSE(400, "header field without a name");
    if (scan->line_count > HTTP_MAX_FIELDS)
        return REFUSE(431, "too many header fields");
    return NOT_REFUSED;
}

/* At CRLF. COMPLETE at the empty line, else on to the next one. */
static enum scan_result end_line(struct scan *scan, slice bytes, struct refusal *refusal)
{
    slice line = {bytes.data + scan->line_start, scan->checked - scan->line_start};
    scan->checked += 2;
    if (line.len == 0 && scan->line_count > 0)
        return SCAN_COMPLETE;
    *refusal = check_line(scan, line);
    if (refusal->status)
        return SCAN_REFUSED;
    if (scan->line_count == 0)
        scan->line_length = line.len;
    scan->line_count++;
    scan->line_start = scan->checked;
    return SCAN_MORE;
}

/* At a control character: a tab inside a field is text, CRLF ends the line, all else is refused. */
static enum scan_result pass_control(struct scan *scan, slice bytes, struct refusal *refusal)
{
    char control = bytes.data[scan->checked];
    if (control == '\r' && bytes.data[scan->checked + 1] == '\n')
        return end_line(scan, bytes, refusal);
    if (control == '\t' && scan->line_count > 0) {
        scan->checked++;
        return SCAN_MORE;
    }
    if (control == '\r')
        return refuse(refusal, REFUSE(400, "CR without LF"));
    if (control == '\n')
        return refuse(refusal, REFUSE(400, "LF without CR"));
    return refuse(refusal, REFUSE(400, "control character in the header"));
}

enum scan_result scan_advance(struct scan *scan, slice bytes, const struct http_limits *limits,
                              struct refusal *refusal)
{
    enum scan_result result = SCAN_MORE;
    while (result == SCAN_MORE) {
        size_t limit = find_limit(scan, limits);
        size_t end = bytes.len < limit ? bytes.len : limit;
        scan->checked = find_control(bytes.data, scan->checked, end);
        bool is_cr = scan->checked < end && bytes.data[scan->checked] == '\r';
        if (scan->checked + (is_cr ? 2 : 0) > limit || scan->checked == limit)
            return refuse_length(scan, refusal);
        if (scan->checked == bytes.len || (is_cr && scan->checked + 1 == bytes.len))
            return SCAN_MORE;
        result = pass_control(scan, bytes, refusal);
    }
    return result;
}
