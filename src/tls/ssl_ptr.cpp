#include "tls/ssl_ptr.hpp"

#include <openssl/err.h>

#include <cstring>

namespace mono::tls {

void clear_errors() { ERR_clear_error(); }

std::string last_error() {
    const unsigned long code = ERR_peek_error();
    if (code == 0) return "unknown error";
    if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
    const char* reason = ERR_reason_error_string(code);
    return reason == nullptr ? "error " + std::to_string(code) : std::string(reason);
}

BioPtr bio_over(std::string_view bytes) {
    return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

}  // namespace mono::tls
