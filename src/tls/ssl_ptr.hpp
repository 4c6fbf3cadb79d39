// Owners of OpenSSL's objects, and its queue of errors as a sentence. Included by src/tls alone.
// The queue belongs to the calling thread: clear_errors() before a call, last_error() behind it.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

namespace mono::tls {

template <auto kFree>
struct Freer {
    template <class T>
    void operator()(T* object) const {
        kFree(object);
    }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using BioMethodPtr = std::unique_ptr<BIO_METHOD, Freer<BIO_meth_free>>;
using CtxPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

void clear_errors();
// The reason of the oldest error in the queue, in OpenSSL's words; "unknown error" for none.
std::string last_error();
// Reads PEM or DER from memory without a copy; the bytes outlive it.
BioPtr bio_over(std::string_view bytes);

}  // namespace mono::tls
