// What monoceros._secure hands to monoceros._core, in a capsule: OpenSSL and nghttp2 are loaded
// only with it (docs/adr/0025). Both modules are of one build.
#pragma once

#include <functional>
#include <memory>

#include "http2/session.hpp"
#include "python/ref.hpp"
#include "tls/session.hpp"

namespace mono::python {

struct SecureParts {
    static constexpr const char* kCapsule = "monoceros._secure.parts";

    http2::MakeSession* http2;
    // A session for each new connection, by what a TlsStore holds at that moment; nullptr while it
    // holds nothing. Empty with TypeError set: the object is no TlsStore.
    std::function<std::unique_ptr<tls::Session>()> (*tls)(PyObject* store);
};

}  // namespace mono::python
