// AccessRecord: what one finished exchange tells the access log. Views are valid only during
// the call; filled by engine, read by access_format. Times are wall clock and microseconds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "http/message.hpp"

namespace mono::log {

struct AccessRecord {
    const char* buffer = nullptr;  // what the head's slices refer to; nullptr: no head
    const http::RequestHead* head = nullptr;
    std::string_view remote_addr;  // empty for unix peers
    uint16_t status = 0;
    uint64_t body_bytes = 0;           // of the response's body, as sent to the kernel
    std::string_view response_fields;  // "Name: value\r\n"... as the application gave them
    int64_t duration_us = 0;
    int64_t finished_unix_us = 0;  // wall clock at logging
    int32_t pid = 0;
    // Of the connection, by their environ keys: what TLS or a proxy has shown of the client.
    std::span<const std::pair<std::string, std::string>> variables;
    std::string_view request_id;
    std::string_view trace_id;  // empty: none
    // Legs of the request's way; -1: it did not go there.
    int64_t balancer_us = -1;
    int64_t read_us = -1;
    int64_t queue_us = -1;
    int64_t application_us = -1;
};

}  // namespace mono::log
