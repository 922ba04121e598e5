/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/url: what is a host, and what is refused. */
#include "collector/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct example {
    const char *text;
    const char *host; /* NULL: refused */
};

static void check(const struct example *example, enum status (*read)(slice, struct buf *, slice *))
{
    char memory[512];
    struct buf scratch;
    slice host = SLICE("untouched");
    buf_init(&scratch, memory, sizeof(memory));
    enum status status = read(slice_of(example->text), &scratch, &host);
    if (!example->host && status != STATUS_MALFORMED)
        fail_msg("%s is taken", example->text);
    if (example->host && (status != STATUS_OK || !slice_equals(host, slice_of(example->host))))
        fail_msg("%s: %.*s instead of %s", example->text, SLICE_ARGS(host), example->host);
}

static void urls_have_hosts(void **state)
{
    static const struct example examples[] = {
        {"https://example.com", "example.com"},
        {"https://example.com/", "example.com"},
        {"HTTPS://WWW.Example.COM./a?b#c", "www.example.com"},
        {"http://example.com:8080/x", "example.com"},
        {"http://example.com:/x", "example.com"},
        {"http://example.com?q=http://other.org/", "example.com"},
        {"http://example.com#@other.org", "example.com"},
        {"http://example.com/@other.org", "example.com"},
        {"http://192.0.2.7:81/", "192.0.2.7"},
        {"http://[2001:DB8::1]:81/", "[2001:db8::1]"},
        {"http://[2001:DB8::1]:/", "[2001:db8::1]"},
        {"http://localhost/", "localhost"},
        {"http://example.com/p\xc3\xa4th", "example.com"},
        {"", NULL},
        {"example.com", NULL},
        {"//example.com/", NULL},
        {"ftp://example.com/", NULL},
        {"javascript:alert(1)", NULL},
        {"https:example.com", NULL},
        {"https:/example.com", NULL},
        {"https://", NULL},
        {"https:///path", NULL},
        {"https://user@example.com/", NULL},
        {"https://user:secret@example.com/", NULL},
        {"https://example.com\\@other.org/", NULL},
        {"https://example.com\\other.org", NULL},
        {"https:// example.com/", NULL},
        {" https://example.com/", NULL},
        {"https://example.com/a b", NULL},
        {"https://example.com/a\nb", NULL},
        {"https://example.com\t/", NULL},
        {"https://example.com:65536/", NULL},
        {"https://example.com:-1/", NULL},
        {"https://example.com:8o/", NULL},
        {"https://example.com:000080/", NULL},
        {"https://example.com::/", NULL},
        {"https://:/", NULL},
        {"https://example.com/behind-the-words\x7f", NULL},
        {"https://example.com/in\x7fthem", NULL},
        {"https://example..com/", NULL},
        {"https://.example.com/", NULL},
        {"https://ex\xc3\xa4mple.com/", NULL},
        {"https://ex%61mple.com/", NULL},
        {"https://[::1/", NULL},
        {"https://[example.com]/", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        check(&examples[i], url_host);
}

static void origins_end_after_the_port(void **state)
{
    static const struct example examples[] = {
        {"https://example.com", "example.com"},
        {"http://Example.com:8080", "example.com"},
        {"http://[::1]:8080", "[::1]"},
        {"https://example.com/", NULL},
        {"https://example.com?", NULL},
        {"https://a.com, https://b.com", NULL},
        {"null", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        check(&examples[i], url_origin_host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_have_hosts),
        cmocka_unit_test(origins_end_after_the_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
