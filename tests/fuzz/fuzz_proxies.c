/* SPDX-License-Identifier: MIT
 *
 * What proxies tell: PROXY preambles, and the two families of fields.
 *
 * An input is a byte of options and then either a preamble, or a field's value, with zero bytes where it is cut.
 *
 * What must hold: a preamble comes to the same whole and byte by byte, and lies within the bytes; what a field names
 * lies within the field and is a node and a scheme; what stands left of an entry that is not trusted changes nothing,
 * which is what a client can write; in the middle of a list a cut is as good as a comma.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_memory.h"
#include "http/field_names.h"
#include "http/forwarded.h"
#include "http/node.h"
#include "http/proxy_preamble.h"

enum { PREAMBLE = 1 << 0, /* the options */
       RFC_7239 = 1 << 1,
       EVERYONE = 1 << 2,
       HOPS = 1 << 3 };

enum { LONGEST = 4096,
       HOP_COUNT = 2 };

static char bytes[LONGEST + 1];

/* ---- preambles ----------------------------------------------------------------------------------------------- */

static int
parse_copy(cv_preamble_t *out, const uint8_t *data, size_t len)
{
    char *copy = malloc(len + 1); /* of its own, so that a read behind its end is seen; */
    memcpy(copy + 1, data, len);  /* and at an odd place */
    int status = cv_preamble_parse(out, copy + 1, len);
    free(copy);
    return status;
}

static void
check_preamble(fuzz_input_t input)
{
    cv_preamble_t whole, part;
    int status = parse_copy(&whole, input.at, input.left);
    size_t first = input.left > 300 ? input.left - 300 : 0; /* pieces that are cut at the end, or at the start */
    for (size_t len = 0; len < input.left; len++) {
        if (len > 300 && len < first) {
            continue;
        }
        int seen = parse_copy(&part, input.at, len);
        MUST(seen == CV_PREAMBLE_MORE || seen == status);
        MUST(seen != CV_PREAMBLE_END || (part.size == whole.size && part.kind == whole.kind));
        MUST(seen != CV_PREAMBLE_MORE || status != CV_PREAMBLE_END || len < whole.size);
    }
    MUST(status != CV_PREAMBLE_END || (whole.size <= input.left && whole.size >= 15));
    MUST(status >= 0 || cv_preamble_error_rule(status)[0] != '\0');
    MUST(status != CV_PREAMBLE_MORE || input.left < 16 + CV_PREAMBLE_V2_MOST);
}

/* ---- fields -------------------------------------------------------------------------------------------------- */

static void
add_field(cv_h1_head_t *head, uint8_t id, size_t from, size_t to)
{
    head->fields[head->field_count++] = (cv_h1_field_t){
        .value = (uint32_t)from,
        .value_len = (uint32_t)(to - from),
        .id = id,
    };
}

static cv_forwarded_t
read_bytes(const cv_forwarded_rules_t *rules, size_t from, size_t cut, size_t to)
{
    static cv_h1_head_t head;
    cv_forwarded_t told;
    head.base = bytes;
    head.field_count = 0;
    add_field(&head, rules->is_rfc_7239 ? CV_FIELD_FORWARDED : CV_FIELD_X_FORWARDED_FOR, from, cut);
    if (cut < to) {
        add_field(&head, head.fields[0].id, cut + 1, to);
    }
    cv_forwarded_read(&head, rules, &told);
    return told;
}

static bool
is_same(const cv_forwarded_t *a, const cv_forwarded_t *b)
{
    return a->host.data == b->host.data && a->host.len == b->host.len && a->port == b->port
        && a->scheme.len == b->scheme.len && (a->scheme.len == 0 || a->scheme.data == b->scheme.data);
}

static bool
is_within(cv_span_t span, size_t len)
{
    return span.len == 0 || (span.data >= bytes && span.data + span.len <= bytes + len);
}

/* Whether the walk ends at this host, whatever stands further left. */
static bool
is_the_end(const cv_forwarded_rules_t *rules, const cv_forwarded_t *told)
{
    cv_node_t node;
    bool is_node = told->host.len > 0 && cv_node_parse(&node, told->host);
    return is_node && rules->hops == 0 && node.is_address && !cv_trusted_has_address(rules->trusted, &node.address);
}

static void
check_fields(const cv_forwarded_rules_t *rules, fuzz_input_t input)
{
    size_t len = input.left < LONGEST ? input.left : LONGEST;
    memcpy(bytes, input.at, len);
    const char *zero = len > 0 ? memchr(bytes, '\0', len) : NULL;
    size_t cut = zero != NULL ? (size_t)(zero - bytes) : len;
    cv_forwarded_t told = read_bytes(rules, 0, len, len);
    MUST(is_within(told.host, len) && is_within(told.scheme, len) && told.host.len <= CV_NODE_MOST);
    MUST(told.scheme.len == 0 || (told.scheme.len >= 2 && told.scheme.len <= 5));
    if (zero == NULL) {
        return;
    }
    cv_forwarded_t right = read_bytes(rules, cut + 1, len, len);
    cv_forwarded_t apart = read_bytes(rules, 0, cut, len);
    bytes[cut] = ',';
    cv_forwarded_t joined = read_bytes(rules, 0, len, len);
    if (is_the_end(rules, &right)) {
        MUST(is_same(&right, &apart) && is_same(&right, &joined));
    }
    MUST(rules->is_rfc_7239 || is_same(&apart, &joined));
}

static void
add(cv_trusted_t *trusted, const char *entry)
{
    MUST(cv_trusted_add(trusted, (cv_span_t){entry, strlen(entry)}) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    unsigned options = fuzz_byte(&input);
    if ((options & PREAMBLE) != 0) {
        check_preamble(input);
        return 0;
    }
    long blocks = fuzz_memory_blocks();
    cv_trusted_t trusted;
    cv_trusted_init(&trusted);
    add(&trusted, "10.0.0.0/8");
    add(&trusted, "2001:db8::/33");
    add(&trusted, "proxy");
    if ((options & EVERYONE) != 0) {
        add(&trusted, "*");
    }
    cv_forwarded_rules_t rules = {
        .trusted = &trusted,
        .hops = (options & HOPS) != 0 ? HOP_COUNT : 0,
        .is_rfc_7239 = (options & RFC_7239) != 0,
    };
    check_fields(&rules, input);
    fuzz_input_t entry = fuzz_take(&input, 64);
    (void)cv_trusted_add(&trusted, (cv_span_t){(const char *)entry.at, entry.left});
    cv_trusted_deinit(&trusted);
    MUST(fuzz_memory_blocks() == blocks);
    return 0;
}
