/* SPDX-License-Identifier: Apache-2.0
 * mmdb_files: see the header. */
#include "tests/lib/mmdb_files.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"

/* libmaxminddb 1.7 forgets two allocations when it refuses some damaged metadata. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

size_t mmdb_files_read(const char *name, unsigned char bytes[MMDB_FILES_MAX_BYTES])
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/mmdb/%s", FOOTFALL_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    MUST(file != NULL);
    size_t len = fread(bytes, 1, MMDB_FILES_MAX_BYTES, file);
    MUST(fgetc(file) == EOF);
    fclose(file);
    return len;
}

void mmdb_files_write(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    MUST(file != NULL);
    MUST(fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

struct mmdb *mmdb_files_open_bytes(const void *bytes, size_t len)
{
    char path[64];
    struct why why;
    int fd = memfd_create("test", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct mmdb *mmdb = mmdb_open(path, &why);
    close(fd);
    return mmdb;
}

static uint64_t sum_bytes(slice text)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++)
        sum += (unsigned char)text.data[i];
    return sum;
}

static uint64_t read_all(const struct mmdb *mmdb, const char *address)
{
    ip_address ip;
    uint32_t offset;
    struct place_parts record;
    MUST(ip_read(slice_of(address), &ip) == STATUS_OK);
    if (mmdb_find(mmdb, ip, &offset) != STATUS_OK)
        return 0;
    mmdb_read(mmdb, offset, &record);
    if (record.has_coordinates)
        MUST(record.latitude <= 90 && record.latitude >= -90 && record.longitude <= 180 &&
             record.longitude >= -180);
    return sum_bytes(record.country) + sum_bytes(record.state) + sum_bytes(record.city);
}

bool mmdb_files_use(const void *bytes, size_t len)
{
    static const char *const addresses[] = {
        "1.2.3.4",     "8.8.8.8",    "20.0.0.1",    "23.4.5.6",  "27.1.1.1",       "36.1.1.1",
        "81.2.69.142", "85.1.2.3",   "106.51.1.1",  "133.1.2.3", "177.1.2.3",      "203.0.113.1",
        "240.0.0.1",   "2001:db8::", "2001:4860::", "2003::1",   "2405:200:1::99", "240b:2::22",
        "2804::",      "::",         "ffff::"};
    struct mmdb *mmdb = mmdb_files_open_bytes(bytes, len);
    if (mmdb == NULL)
        return false;
    static volatile uint64_t sum; /* so that every byte is really read */
    sum = sum_bytes(slice_of(mmdb_type(mmdb))) + (uint64_t)mmdb_built_at(mmdb).ms;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        sum += read_all(mmdb, addresses[i]);
    mmdb_close(&mmdb);
    return true;
}

/* ---- A database of very many records ---- */

/* The format's control byte: a type up to 7 and a size below 29. */
static void add_control(struct buf *out, unsigned type, size_t size)
{
    buf_add_char(out, (char)(type << 5 | size));
}

static void add_text(struct buf *out, const char *text)
{
    slice s = slice_of(text);
    add_control(out, 2, s.len);
    buf_add(out, s);
}

static void add_metadata(struct buf *out, uint32_t node_count)
{
    static const struct {
        const char *name;
        uint16_t value;
    } numbers[] = {{"record_size", 32},
                   {"ip_version", 4},
                   {"binary_format_major_version", 2},
                   {"binary_format_minor_version", 0}};
    buf_add(out, SLICE("\xab\xcd\xefMaxMind.com"));
    add_control(out, 7, 9); /* a map of nine */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        add_text(out, numbers[i].name);
        add_control(out, 5, 2);
        buf_add_be16(out, numbers[i].value);
    }
    add_text(out, "languages");
    buf_add(out, SLICE("\x01\x04")); /* an array of one, the extended type 11 */
    add_text(out, "en");
    add_text(out, "node_count");
    add_control(out, 6, 4);
    buf_add_be32(out, node_count);
    add_text(out, "build_epoch");
    buf_add(out, SLICE("\x08\x02")); /* eight bytes of the extended type 9 */
    buf_add_be64(out, 1);
    add_text(out, "database_type");
    add_text(out, "full");
    add_text(out, "description");
    add_control(out, 7, 1);
    add_text(out, "en");
    add_text(out, "full");
}

void mmdb_files_make_full(const char *path, unsigned bits)
{
    enum { DATA_SEPARATOR_BYTES = 16, MAX_RECORD_BYTES = 40, MAX_METADATA_BYTES = 512 };
    uint32_t network_count = UINT32_C(1) << bits, node_count = network_count - 1;
    struct buf out, data;
    buf_init_growing(&data, 4096, (size_t)network_count * MAX_RECORD_BYTES);
    buf_init_growing(&out, 4096, (size_t)network_count * (MAX_RECORD_BYTES + 8) + MAX_METADATA_BYTES);
    /* A full binary tree in the order of a heap: the children of node i are 2i + 1 and 2i + 2. */
    for (uint32_t i = 1; i < node_count; i++)
        buf_add_be32(&out, i);
    for (uint32_t i = 0; i < network_count; i++) {
        char city[16];
        snprintf(city, sizeof city, "%u", i);
        buf_add_be32(&out, node_count + DATA_SEPARATOR_BYTES + (uint32_t)data.len);
        add_control(&data, 7, 2); /* a map of two */
        add_text(&data, "country_code");
        add_text(&data, "US");
        add_text(&data, "city");
        add_text(&data, city);
    }
    for (size_t i = 0; i < DATA_SEPARATOR_BYTES; i++)
        buf_add_char(&out, '\0');
    buf_add(&out, buf_slice(&data));
    add_metadata(&out, node_count);
    MUST(!out.overflowed && !data.overflowed);
    mmdb_files_write(path, out.data, out.len);
    buf_fini(&data);
    buf_fini(&out);
}
