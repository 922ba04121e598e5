/* SPDX-License-Identifier: Apache-2.0
 * Settings files: whatever is taken is printed as a file that loads again and prints the same. */
#include "base/settings.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    const char *listen, *text, *list, *secret;
    bool is_on;
    int64_t count, duration, bytes;
    int choice;
};

#define AT(member) offsetof(struct values, member)

static const struct setting_row rows[] = {
    {"http", "listen", SETTING_LISTEN, AT(listen), "", 0, 0, NULL, "An address."},
    {"http", "text", SETTING_TEXT, AT(text), "x", 1, 200, NULL, "A text."},
    {"http", "list", SETTING_LIST, AT(list), "", 0, 0, NULL, "A list."},
    {"http", "secret", SETTING_SECRET, AT(secret), "", 0, 0, NULL, "A secret."},
    {"more", "is_on", SETTING_BOOL, AT(is_on), "true", 0, 0, NULL, "A switch."},
    {"more", "count", SETTING_INT, AT(count), "1", -9, 9, NULL, "A number."},
    {"more", "duration", SETTING_DURATION, AT(duration), "0", 0, 0, NULL, "A duration."},
    {"more", "bytes", SETTING_SIZE, AT(bytes), "1MiB", 1, INT64_MAX, NULL, "A size."},
    {"more", "choice", SETTING_CHOICE, AT(choice), "b", 0, 0, "a|b|c", "A choice."},
};

enum { MAX_PRINTED_BYTES = 4 << 20 };

/* Whether the file is taken; *out: what is then printed. */
static bool load(slice file, struct values *values, struct buf *out)
{
    char path[64];
    struct why why = {.text = ""};
    int fd = memfd_create("settings", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, file.data, file.len) == (ssize_t)file.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct settings *settings = settings_new(rows, sizeof(rows) / sizeof(rows[0]), values, "passed");
    enum status status = settings_read_file(settings, path, &why);
    MUST((status == STATUS_OK) == (why.text[0] == '\0'));
    if (status == STATUS_OK)
        settings_print(settings, out);
    MUST(!out->overflowed);
    settings_free(&settings);
    close(fd);
    return status == STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct values first, second;
    struct buf printed, again;
    slice file = size > 0 ? (slice){(const char *)data, size} : SLICE("");
    buf_init_growing(&printed, 4096, MAX_PRINTED_BYTES);
    buf_init_growing(&again, 4096, MAX_PRINTED_BYTES);
    if (load(file, &first, &printed) && !memmem(printed.data, printed.len, "not shown", 9)) {
        MUST(load(buf_slice(&printed), &second, &again));
        MUST(slice_equals(buf_slice(&printed), buf_slice(&again)));
    }
    buf_fini(&printed);
    buf_fini(&again);
    return 0;
}
