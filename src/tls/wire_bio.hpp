// Wire: where OpenSSL reads and writes instead of at a socket. It reads straight from the bytes
// that the caller holds, and appends to `out`. One session's; used where the session is.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/byte_queue.hpp"
#include "tls/ssl_ptr.hpp"

namespace mono::tls {

struct Wire {
    // OpenSSL gets nothing to read while so much waits to be sent: who asks again and again for
    // an answer, and reads none, gets no memory for it.
    static constexpr size_t kOutBytesMax = 256 * 1024;

    base::ByteQueue kept;  // arrived, before `in`
    std::string_view in;   // the caller's, during one call
    base::ByteQueue out;
    bool held_back = false;  // a read found `out` too full
};

BioMethodPtr make_wire_method();
// A BIO over `wire`, which outlives it.
BIO* make_wire_bio(const BIO_METHOD* method, Wire& wire);

}  // namespace mono::tls
