/* SPDX-License-Identifier: MIT */
#include <stdbool.h>

#include "cv_test.h"

#include "http/field_names.h"

#define ID(name) cv_field_id(name, sizeof(name) - 1)

TEST(names_are_known_in_any_case)
{
    CHECK_EQ(ID("host"), CV_FIELD_HOST);
    CHECK_EQ(ID("Host"), CV_FIELD_HOST);
    CHECK_EQ(ID("HOST"), CV_FIELD_HOST);
    CHECK_EQ(ID("Content-Length"), CV_FIELD_CONTENT_LENGTH);
    CHECK_EQ(ID("TRANSFER-encoding"), CV_FIELD_TRANSFER_ENCODING);
    CHECK_EQ(ID("sec-WebSocket-Extensions"), CV_FIELD_SEC_WEBSOCKET_EXTENSIONS);
}

TEST(every_name_has_its_own_id)
{
    int known = 0;
    for (unsigned id = 0; id < 256; id++) {
        cv_span_t name = cv_field_name((uint8_t)id);
        if (name.len == 0) {
            continue;
        }
        known++;
        CHECK(id > 0 && id < CV_FIELD_COUNT);
        CHECK_EQ(cv_field_id(name.data, name.len), id);
        char upper[64];
        CHECK(name.len < sizeof(upper));
        for (size_t i = 0; i < name.len; i++) {
            CHECK(name.data[i] == '-' || (name.data[i] >= 'a' && name.data[i] <= 'z')
                  || (name.data[i] >= '0' && name.data[i] <= '9'));
            upper[i] = (char)(name.data[i] >= 'a' && name.data[i] <= 'z' ? name.data[i] - 32 : name.data[i]);
        }
        CHECK_EQ(cv_field_id(upper, name.len), id);
    }
    CHECK(known >= 100);
}

TEST(the_ids_have_no_gap)
{
    unsigned last = 0;
    for (unsigned id = 1; id < CV_FIELD_COUNT; id++) {
        if (cv_field_name((uint8_t)id).len != 0) {
            CHECK_EQ(id, last + 1);
            last = id;
        }
    }
}

TEST(a_name_that_differs_in_one_byte_is_not_known)
{
    static const char OTHERS[] = {'_', '\r', '\0', '@', '[', '`', '{', (char)0xc8, '1'};
    for (unsigned id = 1; id < CV_FIELD_COUNT; id++) {
        cv_span_t name = cv_field_name((uint8_t)id);
        for (size_t at = 0; at < name.len; at++) {
            char changed[64];
            memcpy(changed, name.data, name.len);
            for (size_t other = 0; other < sizeof(OTHERS); other++) {
                changed[at] = OTHERS[other];
                bool is_same = cv_field_id(changed, name.len) == id;
                CHECK_EQ(is_same, OTHERS[other] == name.data[at]);
            }
        }
        CHECK(cv_field_id(name.data, name.len - (name.len > 0)) != id);
    }
}

TEST(unknown_names)
{
    CHECK_EQ(ID(""), CV_FIELD_UNKNOWN);
    CHECK_EQ(ID("x"), CV_FIELD_UNKNOWN);
    CHECK_EQ(ID("x-unknown"), CV_FIELD_UNKNOWN);
    CHECK_EQ(ID("content_length"), CV_FIELD_UNKNOWN);
    CHECK_EQ(ID("a-name-that-is-longer-than-any-name-in-the-table"), CV_FIELD_UNKNOWN);
}

int
main(void)
{
    RUN(names_are_known_in_any_case);
    RUN(every_name_has_its_own_id);
    RUN(the_ids_have_no_gap);
    RUN(a_name_that_differs_in_one_byte_is_not_known);
    RUN(unknown_names);
    return cv_test_end();
}
