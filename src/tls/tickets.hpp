// Keys of session tickets (RFC 5077 section 4, RFC 8446 section 4.6.1). A resumed handshake asks
// for nothing but the ticket, so every worker that knows the keys can resume what another began.
// Values only; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tls/ssl_ptr.hpp"

namespace mono::tls {

struct TicketKey {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;  // AES-256-CBC
    std::array<unsigned char, 32> mac;     // HMAC-SHA-256
};

// The first makes tickets; the others only open what was made before the last rotations.
struct TicketKeys {
    static constexpr size_t kMax = 2;
    std::array<TicketKey, kMax> keys;
    uint32_t count = 0;
};

// A new first key; the oldest of more than kMax is forgotten. False: no random bytes.
[[nodiscard]] bool rotate(TicketKeys& keys);

// OpenSSL's callback for tickets, over `keys`: 0: the ticket is not ours; 2: open it and make a
// new one.
int use_ticket_key(const TicketKeys& keys, unsigned char* name, unsigned char* iv,
                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool makes);

}  // namespace mono::tls
