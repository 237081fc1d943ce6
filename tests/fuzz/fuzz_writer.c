/* SPDX-License-Identifier: MIT
 *
 * The writer: whatever an application gives it, a client reads from the bytes the same status, fields and body, no more
 * and no less, and the answer behind it where the connection goes on.
 *
 * An input is eight bytes about the request, the status, the memory and the time, then the fields (each a byte that
 * names it, or 0 and a name of its own, and a value), a field of 255 to end them, and two bytes for each piece of the
 * body: its length, and in the highest bit whether it is the last one. Fields of a trailer section follow.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "answer.h"
#include "base/ascii.h"
#include "fuzz.h"
#include "fuzz_memory.h"
#include "http/field_names.h"
#include "http/h1_rules.h"
#include "http/h1_writer.h"
#include "http/http_date.h"
#include "http/status.h"

enum { MINOR = 1,       /* bits of the first byte */
       HEAD = 2,
       KEEP_ALIVE = 4,
       CONNECT = 8,
       DATE = 16,
       SERVER = 32,
       OUT_OF_MEMORY = 64,
       TRAILERS = 128,

       FIELDS_MAX = 40,
       END_OF_FIELDS = 255,
       PIECE_MAX = 0x1fff,
       BODY_MAX = 1 << 18 };

static const char *const NAMES[] = {
    "content-length",
    "transfer-encoding",
    "Connection",
    "DATE",
    "Server",
    "content-type",
    "Set-Cookie",
    "x-Own",
    "Trailer",
};
static const char SERVER_NAME[] = "fuzz";

typedef struct {
    cv_span_t name, value;
} field_t;

typedef struct {
    unsigned bits, status;
    int64_t second;           /* of the date field */
    cv_h1_response_t response;
    cv_buffer_t out;
    cv_default_fields_t defaults;
    field_t fields[FIELDS_MAX];
    size_t field_count, trailer_count;
    size_t given;             /* body bytes that the writer took or should have */
    size_t taken;             /* ... and did */
    bool is_final;            /* the last piece was given, and the trailer section if there is one */
    bool keeps;               /* when the head was complete, the connection was to go on */
    int error;                /* the first one */
} run_t;

static char pattern[BODY_MAX];
static char body[BODY_MAX];

static void
begin(run_t *run, fuzz_input_t *input)
{
    run->bits = fuzz_byte(input);
    run->status = fuzz_word(input) % 1100;
    unsigned allocations = fuzz_byte(input);
    if ((run->bits & SERVER) != 0) {
        MUST(cv_default_fields_add(&run->defaults, "server", 6, SERVER_NAME, sizeof(SERVER_NAME) - 1) == 0);
    }
    run->second = (int64_t)((uint64_t)fuzz_word(input) * fuzz_word(input) * 61);
    if ((run->bits & OUT_OF_MEMORY) != 0) {
        fuzz_memory_fail(allocations, allocations % 2 != 0);
    }
    run->error = cv_h1_response_begin(&run->response, &run->out, run->status, run->bits & MINOR,
                                      (run->bits & HEAD) != 0, (run->bits & KEEP_ALIVE) != 0);
    if (run->error == 0 && (run->bits & CONNECT) != 0 && run->status >= 200 && run->status < 300) {
        cv_h1_response_tunnel(&run->response);
    }
    bool is_status = run->status >= 100 && run->status <= 999;
    MUST(is_status ? run->error != CV_H1_WSTATUS : run->error == CV_H1_WSTATUS);
}

static bool
is_good_name(cv_span_t name)
{
    bool good = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        good = good && cv_h1_is_token_byte(name.data[i]);
    }
    return good;
}

static bool
is_good_value(cv_span_t value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The next field of the input; false when there is none. */
static bool
take_field(fuzz_input_t *input, field_t *field)
{
    uint8_t kind = fuzz_byte(input);
    if (input->left == 0 || kind == END_OF_FIELDS) {
        return false;
    }
    if (kind == 0) {
        fuzz_input_t name = fuzz_take(input, fuzz_byte(input) % 64);
        field->name = (cv_span_t){(const char *)name.at, name.left};
    } else {
        const char *name = NAMES[(kind - 1) % (sizeof(NAMES) / sizeof(NAMES[0]))];
        field->name = (cv_span_t){name, strlen(name)};
    }
    fuzz_input_t value = fuzz_take(input, fuzz_byte(input));
    field->value = (cv_span_t){(const char *)value.at, value.left};
    return true;
}

/* What writing a field may come to: an error leaves no byte behind, and says the right thing. */
static void
check_written(const run_t *run, const field_t *field, int error, size_t before)
{
    MUST(error == 0 || run->out.len == before);
    MUST(error != 0 || (is_good_name(field->name) && is_good_value(field->value)));
    MUST(error != CV_H1_WNAME || !is_good_name(field->name));
    MUST(error != CV_H1_WVALUE || !is_good_value(field->value));
}

static void
write_fields(run_t *run, fuzz_input_t *input)
{
    field_t field;
    while (run->error == 0 && run->field_count < FIELDS_MAX && take_field(input, &field)) {
        size_t before = run->out.len;
        run->error = cv_h1_response_field(&run->response, &run->out, field.name.data, field.name.len,
                                          field.value.data, field.value.len);
        check_written(run, &field, run->error, before);
        run->fields[run->field_count++] = field;
    }
}

/* As conn/ ends an answer with a trailer section. */
static void
write_trailers(run_t *run, fuzz_input_t *input)
{
    field_t field;
    fuzz_memory_restore();
    while (run->trailer_count < FIELDS_MAX && take_field(input, &field)) {
        size_t before = run->out.len;
        int error = cv_h1_field_line(&run->out, field.name.data, field.name.len, field.value.data, field.value.len,
                                     true);
        check_written(run, &field, error, before);
        uint8_t id = cv_field_id(field.name.data, field.name.len);
        MUST(error < 0 || (id != CV_FIELD_CONTENT_LENGTH && id != CV_FIELD_TRANSFER_ENCODING));
        run->trailer_count += error == 0;
    }
    MUST(cv_buffer_append(&run->out, "\r\n", 2) == 0);
    run->response.trailers_open = false;
}

static const char *
date_text(const run_t *run, cv_http_date_t *date)
{
    char expected[64];
    struct tm parts;
    time_t second = (time_t)run->second;
    const char *text = cv_http_date_text(date, run->second);
    if (second <= 253402300799) {
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&second, &parts));
        MUST(strcmp(text, expected) == 0 && strlen(text) == CV_HTTP_DATE_LEN);
    }
    return text;
}

static void
end_head(run_t *run, size_t len, bool final)
{
    cv_http_date_t date;
    cv_http_date_init(&date);
    const char *text = (run->bits & DATE) != 0 ? date_text(run, &date) : NULL;
    if ((run->bits & TRAILERS) != 0) {
        cv_h1_response_trailers(&run->response);
    }
    size_t before = run->out.len;
    run->error = cv_h1_response_end_head(&run->response, &run->out, text, &run->defaults, len, final);
    MUST(run->out.len - before <= CV_H1_END_ROOM + cv_default_fields_len(&run->defaults));
    MUST(run->response.head_open == (run->error != 0));
    run->keeps = run->response.keep_alive;
}

/* One piece, as conn/ writes it. */
static void
write_piece(run_t *run, size_t len, bool final)
{
    size_t take, after_len, before = run->out.len;
    const char *after;
    int error = cv_h1_response_body(&run->response, &run->out, len, final, &take, &after, &after_len);
    run->error = error;
    MUST(take <= len);
    MUST(error == 0 || error == -ENOMEM || error == CV_H1_WLONG || error == CV_H1_WSHORT);
    MUST((error != CV_H1_WLONG && error != CV_H1_WSHORT) || !run->response.keep_alive);
    if (error == -ENOMEM) {
        run->out.len = before;
        return;
    }
    fuzz_memory_restore();
    MUST(cv_buffer_append(&run->out, pattern + run->taken, take) == 0);
    MUST(cv_buffer_append(&run->out, after, after_len) == 0);
    run->taken += take;
    run->given += len;
    run->is_final = final;
}

static void
write_body(run_t *run, fuzz_input_t *input)
{
    bool has_head = false;
    while (input->left > 0 && run->error == 0 && !run->is_final) {
        unsigned word = fuzz_word(input);
        size_t len = word & PIECE_MAX;
        bool final = (word >> 15) != 0;
        if (run->given + len > BODY_MAX) {
            return;
        }
        if (!has_head) {
            end_head(run, len, final);
            has_head = true;
        }
        if (run->error == 0) {
            write_piece(run, len, final);
        }
    }
    MUST(!run->response.trailers_open || (run->is_final && run->response.framing == CV_H1_CHUNKED));
    if (run->response.trailers_open) {
        write_trailers(run, input);
    }
}

static bool
is_same(const answer_field_t *read, const field_t *given)
{
    if (read->name.len != given->name.len || read->value.len != given->value.len) {
        return false;
    }
    for (size_t i = 0; i < read->name.len; i++) {
        if (read->name.data[i] != cv_ascii_lower(given->name.data[i])) {
            return false;
        }
    }
    return read->value.len == 0 || memcmp(read->value.data, given->value.data, read->value.len) == 0;
}

/* Every field of the application's is there in its place, but for those that frame the message; behind them come
 * ours, each once. */
static void
check_fields(const run_t *run, const answer_t *answer)
{
    size_t at = 0;
    unsigned seen[CV_FIELD_COUNT] = {0};
    for (size_t i = 0; i < run->field_count; i++) {
        if (at < answer->field_count && is_same(&answer->fields[at], &run->fields[i])) {
            at++;
            continue;
        }
        uint8_t id = cv_field_id(run->fields[i].name.data, run->fields[i].name.len);
        MUST(id == CV_FIELD_CONTENT_LENGTH || id == CV_FIELD_TRANSFER_ENCODING || id == CV_FIELD_CONNECTION);
    }
    for (; at < answer->field_count; at++) {
        uint8_t id = cv_field_id(answer->fields[at].name.data, answer->fields[at].name.len);
        MUST(id == CV_FIELD_CONTENT_LENGTH || id == CV_FIELD_TRANSFER_ENCODING || id == CV_FIELD_CONNECTION
             || id == CV_FIELD_DATE || id == CV_FIELD_SERVER);
        MUST(++seen[id] == 1);
    }
}

/* What a client makes of it, at the end of the connection or with another answer behind it. */
static void
read_back(run_t *run)
{
    static const char NEXT[] = "HTTP/1.1 204 No Content\r\n\r\n";
    static answer_t answer;
    answer_to_t to = {(run->bits & HEAD) != 0, (run->bits & CONNECT) != 0};
    size_t len = run->out.len;
    bool is_whole = run->is_final && run->error == 0;
    bool goes_on = run->response.keep_alive;
    MUST(!is_whole || !goes_on || cv_buffer_append(&run->out, NEXT, sizeof(NEXT) - 1) == 0);
    size_t used = answer_read(&answer, to, run->out.data, run->out.len, !goes_on, body, sizeof(body));
    MUST(answer.has_head && answer.status == run->status);
    MUST(used == len && (answer.is_complete || !is_whole));
    MUST(answer.body_len == run->taken && memcmp(body, pattern, run->taken) == 0);
    MUST(answer.codings == 0 || (run->bits & MINOR) != 0);
    MUST(answer.says_close == !run->keeps && (run->keeps || !goes_on));
    MUST(!answer.until_close || !goes_on);
    MUST(!is_whole || answer.trailer_count == run->trailer_count);
    check_fields(run, &answer);
}

static void
set_up(run_t *run)
{
    memset(run, 0, sizeof(*run));
    for (size_t i = 0; pattern[sizeof(pattern) - 1] == '\0' && i < sizeof(pattern); i++) {
        pattern[i] = (char)(i % 251 + 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static run_t run;
    fuzz_input_t input = {data, size};
    set_up(&run);
    long blocks = fuzz_memory_blocks();
    begin(&run, &input);
    write_fields(&run, &input);
    if (run.error == 0) {
        write_body(&run, &input);
        fuzz_memory_restore();
        if (run.out.len > 0 && !run.response.head_open) {
            read_back(&run);
        }
    }
    fuzz_memory_restore();
    MUST(run.error == 0 || cv_h1_write_error_text(run.error)[0] != '\0');
    MUST(cv_status_phrase(run.status).len < cv_status_line(run.status).len || cv_status_line(run.status).len == 0);
    cv_buffer_deinit(&run.out);
    cv_default_fields_deinit(&run.defaults);
    MUST(fuzz_memory_blocks() == blocks);
    return 0;
}
