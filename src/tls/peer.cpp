#include "tls/peer.hpp"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string_view>

namespace mono::tls {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

std::string taken(const BioPtr& bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<size_t>(size)};
}

std::string text_of(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
    return taken(bio);
}

std::string serial_of(const X509* certificate) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    i2a_ASN1_INTEGER(bio.get(), X509_get0_serialNumber(certificate));
    return taken(bio);
}

// What is no text, a name with a NUL or a line end in it above all, is left out: who compares
// strings must not be deceived.
bool is_printable(std::string_view text) {
    for (const char byte : text)
        if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F) return false;
    return true;
}

std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> names;
    const NamesPtr all(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
        GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
        const BioPtr bio(BIO_new(BIO_s_mem()));
        GENERAL_NAME_print(bio.get(), name);
        std::string text = taken(bio);
        if (is_printable(text)) names.push_back(std::move(text));
    }
    return names;
}

}  // namespace

PeerIdentity identify(X509* certificate, long result) {
    if (certificate == nullptr) return {"NONE", "", "", "", {}};
    PeerIdentity peer;
    peer.verify = result == X509_V_OK
                      ? "SUCCESS"
                      : std::string("FAILED:") + X509_verify_cert_error_string(result);
    peer.subject = text_of(X509_get_subject_name(certificate));
    peer.issuer = text_of(X509_get_issuer_name(certificate));
    peer.serial = serial_of(certificate);
    peer.names = names_of(certificate);
    return peer;
}

std::string to_pem(X509* certificate) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return taken(bio);
}

}  // namespace mono::tls
