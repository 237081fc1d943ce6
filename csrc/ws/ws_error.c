/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser.h"

#include <errno.h>

unsigned
cv_ws_error_code(int error)
{
    switch (error) {
    case CV_WS_EUNMASKED:
    case CV_WS_ERESERVED_BITS:
    case CV_WS_EOPCODE:
    case CV_WS_ECONTROL_LONG:
    case CV_WS_ECONTROL_PART:
    case CV_WS_ELENGTH:
    case CV_WS_ECONTINUATION:
    case CV_WS_EINTERRUPTED:
    case CV_WS_ECLOSE:
        return CV_WS_PROTOCOL_ERROR;
    case CV_WS_EUTF8:
    case CV_WS_EDEFLATE:
        return CV_WS_INVALID_DATA;
    case CV_WS_ESIZE:
        return CV_WS_TOO_BIG;
    default:
        return CV_WS_INTERNAL_ERROR;
    }
}

const char *
cv_ws_error_rule(int error)
{
    switch (error) {
    case CV_WS_EUNMASKED:
        return "frame not masked";
    case CV_WS_ERESERVED_BITS:
        return "reserved bit set";
    case CV_WS_EOPCODE:
        return "reserved opcode";
    case CV_WS_ECONTROL_LONG:
        return "control frame longer than 125 bytes";
    case CV_WS_ECONTROL_PART:
        return "fragmented control frame";
    case CV_WS_ELENGTH:
        return "payload length not in its shortest form, or too large";
    case CV_WS_ECONTINUATION:
        return "continuation of no message";
    case CV_WS_EINTERRUPTED:
        return "new message inside a fragmented one";
    case CV_WS_ECLOSE:
        return "malformed close frame";
    case CV_WS_EUTF8:
        return "text that is not UTF-8";
    case CV_WS_EDEFLATE:
        return "compressed message that does not inflate";
    case CV_WS_ESIZE:
        return "message larger than --ws-max-size";
    case -ENOMEM:
        return "out of memory";
    default:
        return "message not taken";
    }
}
