// The type-length-value part of a version 2 header, section 2.2. Pure; header.cpp calls it once
// the whole header is here.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "http/error.hpp"
#include "proxy/header.hpp"

namespace mono::proxy {

struct TlvFault {
    http::Error error = http::Error::kNone;
    size_t offset = 0;  // from the header's first byte
};

// `whole`: the header from its first byte to its last; the vectors begin at `begin`. Types that are
// not known are passed over, those that are may come once. `extras` stays nullptr without any.
TlvFault read_tlvs(std::string_view whole, size_t begin, std::unique_ptr<Extras>& extras);

}  // namespace mono::proxy
