#include "tls/tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

namespace mono::tls {
namespace {

bool set_mac(EVP_MAC_CTX* mac, const TicketKey& key) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac.data()), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

}  // namespace

bool rotate(TicketKeys& keys) {
    TicketKey fresh;
    if (RAND_bytes(fresh.name.data(), fresh.name.size()) != 1) return false;
    if (RAND_priv_bytes(fresh.cipher.data(), fresh.cipher.size()) != 1) return false;
    if (RAND_priv_bytes(fresh.mac.data(), fresh.mac.size()) != 1) return false;
    std::copy_backward(keys.keys.begin(), keys.keys.end() - 1, keys.keys.end());
    keys.keys[0] = fresh;
    keys.count = std::min<uint32_t>(keys.count + 1, TicketKeys::kMax);
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return true;
}

int use_ticket_key(const TicketKeys& keys, unsigned char* name, unsigned char* iv,
                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool makes) {
    const EVP_CIPHER* aes = EVP_aes_256_cbc();
    if (makes) {
        const TicketKey& key = keys.keys[0];
        if (keys.count == 0 || RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1) return -1;
        std::memcpy(name, key.name.data(), key.name.size());
        if (EVP_EncryptInit_ex(cipher, aes, nullptr, key.cipher.data(), iv) != 1) return -1;
        return set_mac(mac, key) ? 1 : -1;
    }
    for (uint32_t i = 0; i < keys.count; ++i) {
        const TicketKey& key = keys.keys[i];
        if (std::memcmp(name, key.name.data(), key.name.size()) != 0) continue;
        if (EVP_DecryptInit_ex(cipher, aes, nullptr, key.cipher.data(), iv) != 1) return -1;
        if (!set_mac(mac, key)) return -1;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

}  // namespace mono::tls
