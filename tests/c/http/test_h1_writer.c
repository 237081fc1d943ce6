/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>

#include "cv_test.h"
#include "cv_test_memory.h"

#include "base/buffer.c"
#include "http/default_fields.c"
#include "http/h1_writer.c"

static const char DATE[] = "Sun, 06 Nov 1994 08:49:37 GMT";

/* One response, and what of it would be sent. */
typedef struct {
    cv_h1_response_t response;
    cv_buffer_t out;
} answer_t;

static cv_default_fields_t none = CV_DEFAULT_FIELDS_INIT;

static answer_t
begin_for(unsigned status, unsigned minor, bool is_head, bool keep_alive)
{
    answer_t answer = {.out = CV_BUFFER_INIT};
    if (cv_h1_response_begin(&answer.response, &answer.out, status, minor, is_head, keep_alive) != 0) {
        abort();
    }
    return answer;
}

static answer_t
begin(unsigned status)
{
    return begin_for(status, 1, false, true);
}

static int
field(answer_t *answer, const char *name, const char *value)
{
    return cv_h1_response_field(&answer->response, &answer->out, name, strlen(name), value, strlen(value));
}

static int
end_head(answer_t *answer, size_t body_len, bool final)
{
    return cv_h1_response_end_head(&answer->response, &answer->out, NULL, &none, body_len, final);
}

static int
add(cv_default_fields_t *fields, const char *name, const char *value)
{
    return cv_default_fields_add(fields, name, strlen(name), value, strlen(value));
}

/* Frames a piece of a body and appends it as the connection would. */
static int
body(answer_t *answer, const char *text, bool final)
{
    size_t take = 99, after_len = 99;
    const char *after = NULL;
    int rc = cv_h1_response_body(&answer->response, &answer->out, strlen(text), final, &take, &after, &after_len);
    if (cv_buffer_append(&answer->out, text, take) != 0 || cv_buffer_append(&answer->out, after, after_len) != 0) {
        abort();
    }
    return rc;
}

#define CHECK_SENT(answer, expected)                              \
    do {                                                          \
        CHECK_BYTES((answer).out.data, (answer).out.len, expected); \
        cv_buffer_deinit(&(answer).out);                          \
    } while (0)

TEST(an_answer_in_one_piece_is_counted)
{
    answer_t answer = begin(200);
    CHECK(answer.response.head_open);
    CHECK_EQ(field(&answer, "Content-Type", "text/plain"), 0);
    cv_default_fields_t fields = CV_DEFAULT_FIELDS_INIT;
    CHECK_EQ(add(&fields, "Server", "cuvee"), 0);
    CHECK_EQ(cv_h1_response_end_head(&answer.response, &answer.out, DATE, &fields, 5, true), 0);
    cv_default_fields_deinit(&fields);
    CHECK(!answer.response.head_open);
    CHECK_EQ(answer.response.framing, CV_H1_COUNTED);
    CHECK_EQ(body(&answer, "hello", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                       "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: cuvee\r\ncontent-length: 5\r\n\r\nhello");
}

TEST(an_empty_answer_has_a_length_too)
{
    answer_t answer = begin(404);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_EQ(body(&answer, "", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

TEST(an_answer_in_pieces_is_chunked)
{
    answer_t answer = begin(200);
    CHECK_EQ(end_head(&answer, 5, false), 0);
    CHECK_EQ(answer.response.framing, CV_H1_CHUNKED);
    CHECK_EQ(body(&answer, "hello", false), 0);
    CHECK_EQ(body(&answer, "", false), 0);
    CHECK_EQ(body(&answer, "0123456789abcdefg", false), 0);
    CHECK_EQ(body(&answer, "", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                       "5\r\nhello\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
}

TEST(the_last_piece_may_carry_bytes)
{
    answer_t answer = begin(200);
    CHECK_EQ(end_head(&answer, 1, false), 0);
    CHECK_EQ(body(&answer, "a", false), 0);
    CHECK_EQ(body(&answer, "b", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
}

TEST(the_largest_chunk_fits_its_line)
{
    answer_t answer = begin(200);
    CHECK_EQ(end_head(&answer, 1, false), 0);
    answer.out.len = 0;
    size_t take, after_len;
    const char *after;
    CHECK_EQ(cv_h1_response_body(&answer.response, &answer.out, SIZE_MAX, false, &take, &after, &after_len), 0);
    CHECK_EQ(take, SIZE_MAX);
    CHECK_SENT(answer, "ffffffffffffffff\r\n");
}

TEST(chunked_stays_when_the_app_asked_for_it)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "transfer-encoding", "Chunked"), 0);
    CHECK_EQ(end_head(&answer, 2, true), 0);
    CHECK_EQ(body(&answer, "hi", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
}

TEST(a_transfer_encoding_that_does_not_end_in_chunked_is_dropped)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "transfer-encoding", "chunked, gzip"), 0);
    CHECK_EQ(end_head(&answer, 2, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
}

TEST(a_length_of_the_app_wins_over_chunked)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "transfer-encoding", "chunked"), 0);
    CHECK_EQ(field(&answer, "Content-Length", "4"), 0);
    CHECK_EQ(end_head(&answer, 2, false), 0);
    CHECK_EQ(body(&answer, "hi", false), 0);
    CHECK_EQ(body(&answer, "ho", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhiho");
}

TEST(body_bytes_that_go_out_are_counted)
{
    answer_t chunked = begin(200);
    CHECK_EQ(end_head(&chunked, 5, false), 0);
    CHECK_EQ(body(&chunked, "hello", false), 0);
    CHECK_EQ(body(&chunked, "", true), 0);
    CHECK_EQ(chunked.response.body_len, 5);
    answer_t cut = begin(200);
    CHECK_EQ(field(&cut, "content-length", "3"), 0);
    CHECK_EQ(end_head(&cut, 5, true), 0);
    CHECK_EQ(body(&cut, "hello", true), CV_H1_WLONG);
    CHECK_EQ(cut.response.body_len, 3);
    answer_t none = begin(204);
    CHECK_EQ(end_head(&none, 5, true), 0);
    CHECK_EQ(body(&none, "hello", true), 0);
    CHECK_EQ(none.response.body_len, 0);
    cv_buffer_deinit(&chunked.out);
    cv_buffer_deinit(&cut.out);
    cv_buffer_deinit(&none.out);
}

TEST(more_body_than_said_is_cut)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "content-length", "3"), 0);
    CHECK_EQ(end_head(&answer, 5, false), 0);
    CHECK_EQ(body(&answer, "hello", false), CV_H1_WLONG);
    CHECK(!answer.response.keep_alive);
    CHECK_EQ(body(&answer, "!", true), CV_H1_WLONG);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhel");
}

TEST(less_body_than_said_ends_the_connection)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "content-length", "9"), 0);
    CHECK_EQ(end_head(&answer, 5, false), 0);
    CHECK_EQ(body(&answer, "hello", false), 0);
    CHECK(answer.response.keep_alive);
    CHECK_EQ(body(&answer, "!", true), CV_H1_WSHORT);
    CHECK(!answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello!");
}

TEST(lengths_that_are_none)
{
    static const char *const LENGTHS[] = {"", " ", "-1", "+1", "1 2", "1,1", "0x1",
                                          "9223372036854775808", "1e3", "\xb2"};
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        answer_t answer = begin(200);
        CHECK_EQ(field(&answer, "content-length", LENGTHS[i]), CV_H1_WCONTENT_LENGTH);
        cv_buffer_deinit(&answer.out);
    }
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "content-length", " \t9223372036854775807 "), 0);
    CHECK_EQ((int64_t)answer.response.length_left, INT64_MAX);
    cv_buffer_deinit(&answer.out);
}

TEST(a_repeated_length_is_written_once)
{
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "content-length", "5"), 0);
    CHECK_EQ(field(&answer, "content-length", "5"), 0);
    CHECK_EQ(field(&answer, "content-length", "6"), CV_H1_WCONTENT_LENGTH);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n");
}

TEST(head_says_what_get_would_say)
{
    answer_t answer = begin_for(200, 1, true, true);
    CHECK_EQ(end_head(&answer, 5, true), 0);
    CHECK_EQ(answer.response.framing, CV_H1_BODILESS);
    CHECK_EQ(body(&answer, "hello", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");

    answer = begin_for(200, 1, true, true);
    CHECK_EQ(field(&answer, "content-length", "1000"), 0);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_EQ(body(&answer, "", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");

    answer = begin_for(200, 1, true, true); /* how long it would be is not known */
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\n\r\n");

    answer = begin_for(200, 1, true, true);
    CHECK_EQ(end_head(&answer, 5, false), 0);
    CHECK_EQ(body(&answer, "hello", false), 0);
    CHECK_EQ(body(&answer, "", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\n\r\n");

    answer = begin_for(304, 1, true, true);
    CHECK_EQ(end_head(&answer, 5, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 304 Not Modified\r\n\r\n");
}

TEST(answers_without_a_body_drop_it)
{
    answer_t answer = begin(204);
    CHECK_EQ(field(&answer, "content-length", "5"), 0);
    CHECK_EQ(end_head(&answer, 5, true), 0);
    CHECK_EQ(body(&answer, "hello", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 204 No Content\r\n\r\n");

    answer = begin(304);
    CHECK_EQ(field(&answer, "content-length", "5"), 0);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_EQ(body(&answer, "", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
}

TEST(a_205_says_that_it_is_empty)
{
    static const bool IS_HEAD[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        answer_t answer = begin_for(205, 1, IS_HEAD[i], true);
        CHECK_EQ(field(&answer, "content-length", "5"), 0);
        CHECK_EQ(end_head(&answer, 5, false), 0);
        CHECK_EQ(body(&answer, "hello", false), 0);
        CHECK_EQ(body(&answer, "", true), 0);
        CHECK(answer.response.keep_alive);
        CHECK_SENT(answer, "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n");
    }
}

TEST(a_tunnel_has_no_length)
{
    answer_t answer = begin(200);
    cv_h1_response_tunnel(&answer.response);
    CHECK_EQ(field(&answer, "content-length", "5"), 0);
    CHECK_EQ(field(&answer, "transfer-encoding", "chunked"), 0);
    CHECK_EQ(end_head(&answer, 3, false), 0);
    CHECK_EQ(body(&answer, "abc", false), 0);
    CHECK_EQ(body(&answer, "defg", true), 0);
    CHECK(!answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcdefg");

    answer = begin(205);
    cv_h1_response_tunnel(&answer.response);
    CHECK_EQ(end_head(&answer, 3, true), 0);
    CHECK_EQ(body(&answer, "abc", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 205 Reset Content\r\nconnection: close\r\n\r\n");
}

TEST(an_interim_status_as_an_answer_closes)
{
    answer_t answer = begin(103);
    CHECK_EQ(end_head(&answer, 5, true), 0);
    CHECK_EQ(body(&answer, "hello", true), 0);
    CHECK(!answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 103 Early Hints\r\nconnection: close\r\n\r\n");

    answer = begin(101);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK(!answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 101 Switching Protocols\r\nconnection: close\r\n\r\n");

    answer = begin(101);
    CHECK_EQ(field(&answer, "connection", "upgrade"), 0);
    answer.response.keep_alive = true; /* who answers a handshake knows what follows */
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n");
}

TEST(http_1_0_gets_no_chunks)
{
    answer_t answer = begin_for(200, 0, false, true);
    CHECK_EQ(field(&answer, "transfer-encoding", "chunked"), 0);
    CHECK_EQ(end_head(&answer, 5, false), 0);
    CHECK_EQ(answer.response.framing, CV_H1_CLOSED);
    CHECK(!answer.response.keep_alive);
    CHECK_EQ(body(&answer, "hello", false), 0);
    CHECK_EQ(body(&answer, "!", true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello!");

    answer = begin_for(200, 0, false, true);
    CHECK_EQ(field(&answer, "transfer-encoding", "chunked"), 0);
    CHECK_EQ(end_head(&answer, 5, true), 0);
    CHECK_EQ(body(&answer, "hello", true), 0);
    CHECK(answer.response.keep_alive);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello");

    answer = begin_for(200, 0, false, false);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST(connection_is_ours_unless_it_says_more)
{
    static const struct {
        const char *value, *sent;
        bool keep_alive;
    } CASES[] = {
        {"close", "connection: close\r\n", false},
        {"keep-alive", "", true},
        {"Keep-Alive, CLOSE", "connection: close\r\n", false},
        {"upgrade", "connection: upgrade\r\n", true},
        {" , ,", "", true},
        {"", "", true},
        {"Upgrade, close", "connection: Upgrade, close\r\n", false},
        {"x-close", "connection: x-close\r\n", true},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        answer_t answer = begin(204);
        CHECK_EQ(field(&answer, "Connection", CASES[i].value), 0);
        CHECK_EQ(end_head(&answer, 0, true), 0);
        CHECK_EQ(answer.response.keep_alive, CASES[i].keep_alive);
        char expected[100];
        snprintf(expected, sizeof(expected), "HTTP/1.1 204 No Content\r\n%s\r\n", CASES[i].sent);
        CHECK_SENT(answer, expected);
    }
    answer_t answer = begin(204); /* close in a field of its own, and another option in a second one */
    CHECK_EQ(field(&answer, "Connection", "close"), 0);
    CHECK_EQ(field(&answer, "Connection", "x"), 0);
    CHECK_EQ(end_head(&answer, 0, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 204 No Content\r\nconnection: x\r\nconnection: close\r\n\r\n");
}

TEST(date_and_server_of_the_app_are_kept)
{
    answer_t answer = begin(204);
    CHECK_EQ(field(&answer, "Date", "now"), 0);
    CHECK_EQ(field(&answer, "Server", "mine"), 0);
    cv_default_fields_t fields = CV_DEFAULT_FIELDS_INIT;
    CHECK_EQ(add(&fields, "server", "cuvee"), 0);
    CHECK_EQ(cv_h1_response_end_head(&answer.response, &answer.out, DATE, &fields, 0, true), 0);
    cv_default_fields_deinit(&fields);
    CHECK_SENT(answer, "HTTP/1.1 204 No Content\r\ndate: now\r\nserver: mine\r\n\r\n");

    answer = begin(204);
    CHECK_EQ(cv_h1_response_end_head(&answer.response, &answer.out, "", &none, 0, true), 0);
    CHECK_SENT(answer, "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(default_fields_follow_date_and_server_in_their_order)
{
    cv_default_fields_t fields = CV_DEFAULT_FIELDS_INIT;
    CHECK_EQ(add(&fields, "X-First", "1"), 0);
    CHECK_EQ(add(&fields, "Server", "a"), 0);
    CHECK_EQ(add(&fields, "x-empty", ""), 0);
    answer_t answer = begin(204);
    CHECK_EQ(field(&answer, "X-First", "the application's"), 0);
    CHECK_EQ(cv_h1_response_end_head(&answer.response, &answer.out, DATE, &fields, 0, true), 0);
    cv_default_fields_deinit(&fields);
    CHECK_EQ(cv_default_fields_len(&fields), 0);
    CHECK_SENT(answer, "HTTP/1.1 204 No Content\r\nx-first: the application's\r\n"
                       "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: a\r\nx-first: 1\r\nx-empty: \r\n\r\n");
}

TEST(default_fields_that_are_none_change_nothing)
{
    static const char *const ours[] = {"Connection", "content-length", "Transfer-Encoding", "no token", ""};
    cv_default_fields_t fields = CV_DEFAULT_FIELDS_INIT;
    CHECK_EQ(add(&fields, "x", "y"), 0);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        CHECK_EQ(add(&fields, ours[i], "1"), CV_H1_WNAME);
    }
    CHECK_EQ(add(&fields, "x", "a\r\nb: c"), CV_H1_WVALUE);
    CHECK_BYTES(fields.others.data, fields.others.len, "x: y\r\n");
    cv_default_fields_deinit(&fields);
    cv_test_memory_left = 0;
    CHECK_EQ(add(&fields, "x", "y"), -ENOMEM);
    cv_test_memory_left = -1;
    CHECK_EQ(cv_default_fields_len(&fields), 0);
}

TEST(a_status_without_a_phrase_keeps_its_space)
{
    answer_t answer = begin(299);
    CHECK_SENT(answer, "HTTP/1.1 299 \r\n");
    answer = begin(999);
    CHECK_SENT(answer, "HTTP/1.1 999 \r\n");
    answer = begin(100);
    CHECK_SENT(answer, "HTTP/1.1 100 Continue\r\n");
}

TEST(a_status_of_other_than_three_digits_is_refused)
{
    static const unsigned CODES[] = {0, 1, 99, 1000, 65736, 4294967295u};
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        cv_h1_response_t response;
        cv_buffer_t out = CV_BUFFER_INIT;
        CHECK_EQ(cv_h1_response_begin(&response, &out, CODES[i], 1, false, true), CV_H1_WSTATUS);
        CHECK_EQ(out.len, 0);
    }
}

TEST(names_are_tokens)
{
    static const char MARKS[] = "!#$%&'*+-.^_`|~";
    for (int byte = 0; byte < 256; byte++) {
        answer_t answer = begin(200);
        size_t before = answer.out.len;
        char name[] = {'X', (char)byte, 'Y'};
        bool refused = byte == 0 || byte >= 0x7f || (!isalnum(byte) && strchr(MARKS, byte) == NULL);
        int rc = cv_h1_response_field(&answer.response, &answer.out, name, sizeof(name), "v", 1);
        CHECK_EQ(rc, refused ? CV_H1_WNAME : 0);
        CHECK_EQ(answer.out.len, refused ? before : before + 3 + 2 + 1 + 2);
        if (!refused) {
            char lower = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
            char expected[] = {'x', lower, 'y', ':', ' ', 'v', '\r', '\n'};
            CHECK(memcmp(answer.out.data + before, expected, sizeof(expected)) == 0);
        }
        cv_buffer_deinit(&answer.out);
    }
    answer_t answer = begin(200);
    CHECK_EQ(field(&answer, "", "v"), CV_H1_WNAME);
    cv_buffer_deinit(&answer.out);
}

TEST(values_are_checked_in_every_place)
{
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 19; at++) {
            char value[19];
            memset(value, 'v', sizeof(value));
            value[at] = (char)byte;
            answer_t answer = begin(200);
            size_t before = answer.out.len;
            bool refused = (byte < 0x20 && byte != '\t') || byte == 0x7f;
            int rc = cv_h1_response_field(&answer.response, &answer.out, "x", 1, value, sizeof(value));
            CHECK_EQ(rc, refused ? CV_H1_WVALUE : 0);
            CHECK_EQ(answer.out.len, refused ? before : before + 1 + 2 + 19 + 2);
            cv_buffer_deinit(&answer.out);
        }
    }
}

TEST(a_value_may_be_empty_or_nowhere)
{
    answer_t answer = begin(200);
    CHECK_EQ(cv_h1_response_field(&answer.response, &answer.out, "x", 1, NULL, 0), 0);
    CHECK_SENT(answer, "HTTP/1.1 200 OK\r\nx: \r\n");
}

TEST(a_field_too_long_to_add_up_is_refused)
{
    answer_t answer = begin(200);
    CHECK_EQ(cv_h1_response_field(&answer.response, &answer.out, "x", SIZE_MAX, "v", 1), CV_H1_WVALUE);
    CHECK_EQ(cv_h1_response_field(&answer.response, &answer.out, "x", 1, "v", SIZE_MAX), CV_H1_WVALUE);
    cv_buffer_deinit(&answer.out);
}

TEST(a_long_server_name_fits)
{
    static char server[4000];
    memset(server, 's', sizeof(server));
    answer_t answer = begin(200);
    cv_default_fields_t fields = CV_DEFAULT_FIELDS_INIT;
    CHECK_EQ(cv_default_fields_add(&fields, "server", 6, server, sizeof(server)), 0);
    size_t before = answer.out.len;
    CHECK_EQ(cv_h1_response_end_head(&answer.response, &answer.out, DATE, &fields, SIZE_MAX, true), 0);
    CHECK_EQ(answer.out.len - before, 37 + 10 + 4000 + 16 + 20 + 2 + 2);
    cv_default_fields_deinit(&fields);
    cv_buffer_deinit(&answer.out);
}

TEST(without_memory_nothing_is_half_written)
{
    cv_h1_response_t response;
    cv_buffer_t out = CV_BUFFER_INIT;
    cv_test_memory_left = 0;
    CHECK_EQ(cv_h1_response_begin(&response, &out, 200, 1, false, true), -ENOMEM);
    CHECK_EQ(cv_h1_response_begin(&response, &out, 299, 1, false, true), -ENOMEM);
    CHECK_EQ(cv_h1_response_field(&response, &out, "x", 1, "v", 1), -ENOMEM);
    CHECK_EQ(cv_h1_response_end_head(&response, &out, NULL, &none, 0, false), -ENOMEM);
    CHECK(response.head_open);
    response.framing = CV_H1_CHUNKED;
    size_t take = 99, after_len = 99;
    const char *after;
    CHECK_EQ(cv_h1_response_body(&response, &out, 5, true, &take, &after, &after_len), -ENOMEM);
    CHECK_EQ(take, 0);
    CHECK_EQ(after_len, 0);
    CHECK_EQ(out.len, 0);
    cv_test_memory_left = -1;
}

TEST(every_error_has_a_text)
{
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WNAME), "Invalid HTTP header name.") == 0);
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WVALUE), "Invalid HTTP header value.") == 0);
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WLONG), "Response content longer than Content-Length") == 0);
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WSHORT), "Response content shorter than Content-Length") == 0);
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WSTATUS), "Invalid HTTP status code.") == 0);
    CHECK(strcmp(cv_h1_write_error_text(CV_H1_WCONTENT_LENGTH), "Invalid Content-Length header.") == 0);
    CHECK(strcmp(cv_h1_write_error_text(-ENOMEM), "Out of memory.") == 0);
}

int
main(void)
{
    RUN(an_answer_in_one_piece_is_counted);
    RUN(an_empty_answer_has_a_length_too);
    RUN(an_answer_in_pieces_is_chunked);
    RUN(the_last_piece_may_carry_bytes);
    RUN(the_largest_chunk_fits_its_line);
    RUN(chunked_stays_when_the_app_asked_for_it);
    RUN(a_transfer_encoding_that_does_not_end_in_chunked_is_dropped);
    RUN(a_length_of_the_app_wins_over_chunked);
    RUN(body_bytes_that_go_out_are_counted);
    RUN(more_body_than_said_is_cut);
    RUN(less_body_than_said_ends_the_connection);
    RUN(lengths_that_are_none);
    RUN(a_repeated_length_is_written_once);
    RUN(head_says_what_get_would_say);
    RUN(answers_without_a_body_drop_it);
    RUN(a_205_says_that_it_is_empty);
    RUN(a_tunnel_has_no_length);
    RUN(an_interim_status_as_an_answer_closes);
    RUN(http_1_0_gets_no_chunks);
    RUN(connection_is_ours_unless_it_says_more);
    RUN(date_and_server_of_the_app_are_kept);
    RUN(default_fields_follow_date_and_server_in_their_order);
    RUN(default_fields_that_are_none_change_nothing);
    RUN(a_status_without_a_phrase_keeps_its_space);
    RUN(a_status_of_other_than_three_digits_is_refused);
    RUN(names_are_tokens);
    RUN(values_are_checked_in_every_place);
    RUN(a_value_may_be_empty_or_nowhere);
    RUN(a_field_too_long_to_add_up_is_refused);
    RUN(a_long_server_name_fits);
    RUN(without_memory_nothing_is_half_written);
    RUN(every_error_has_a_text);
    return cv_test_end();
}
