#include "tls/certificate.hpp"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "tls/peer.hpp"

namespace mono::tls {
namespace {

constexpr int64_t kSecondsADay = 86'400;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freer<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Freer<OCSP_BASICRESP_free>>;

// OpenSSL asks the terminal where it is given no function.
int give_password(char* into, int size, int /*encrypts*/, void* password) {
    const std::string& text = *static_cast<const std::string*>(password);
    if (text.empty() || text.size() > static_cast<size_t>(size)) return -1;
    std::memcpy(into, text.data(), text.size());
    return static_cast<int>(text.size());
}

int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
    return timegm(&parts);
}

std::string lower(std::string text) {
    for (char& byte : text)
        if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    return text;
}

std::string text_of(const ASN1_STRING* string) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<size_t>(ASN1_STRING_length(string))};
}

// The DNS names of subjectAltName; the common name where there is no such extension, because
// certificates made by hand are often so.
std::vector<std::string> names_of(X509* leaf) {
    std::vector<std::string> names;
    const NamesPtr all(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
        if (name->type == GEN_DNS) names.push_back(lower(text_of(name->d.dNSName)));
    }
    if (all != nullptr) return names;
    X509_NAME* subject = X509_get_subject_name(leaf);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return names;
    names.push_back(lower(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
    return names;
}

// Empty, or what is wrong.
std::string read_chain(const CertificatePem& pem, Certificate& into) {
    const BioPtr bio = bio_over(pem.chain);
    void* password = const_cast<std::string*>(&pem.password.text());
    into.leaf.reset(PEM_read_bio_X509_AUX(bio.get(), nullptr, give_password, password));
    if (into.leaf == nullptr) {
        const bool none = ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE;
        return pem.name + (none ? " holds no certificate in PEM" : ": " + last_error());
    }
    for (;;) {
        X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, give_password, password));
        if (next == nullptr) break;
        into.chain.push_back(std::move(next));
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    return at_end ? "" : pem.name + ": a certificate of the chain cannot be read: " + last_error();
}

std::string read_key(const CertificatePem& pem, Certificate& into) {
    const std::string& text = pem.key.empty() ? pem.chain : pem.key.text();
    const BioPtr bio = bio_over(text);
    void* password = const_cast<std::string*>(&pem.password.text());
    into.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, password));
    if (into.key != nullptr) return "";
    if (is_encrypted(text))
        return pem.name + (pem.password.empty() ? ": the key is encrypted, and there is no password"
                                                : ": the key's password is wrong");
    const bool none = text.find("PRIVATE KEY-----") == std::string::npos;
    return pem.name + (none ? ": there is no private key in PEM" : ": the key: " + last_error());
}

// Empty, or what is wrong with the response.
std::string read_ocsp(const CertificatePem& pem, Certificate& into) {
    if (pem.ocsp.empty()) return "";
    const auto* at = reinterpret_cast<const unsigned char*>(pem.ocsp.data());
    const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(pem.ocsp.size())));
    if (response == nullptr) return pem.name + ": the OCSP response is not one in DER";
    if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return pem.name + ": the OCSP response says that the responder could not answer";
    const BasicPtr basic(OCSP_response_get1_basic(response.get()));
    OCSP_SINGLERESP* single = basic ? OCSP_resp_get0(basic.get(), 0) : nullptr;
    if (single == nullptr) return pem.name + ": the OCSP response is empty";
    ASN1_GENERALIZEDTIME* next = nullptr;
    OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
    into.ocsp_next_update = next == nullptr ? INT64_MAX : seconds_of(next);
    into.ocsp = pem.ocsp;
    return "";
}

std::string date_of(int64_t seconds) {
    const time_t time = seconds;
    std::tm parts{};
    char text[32];
    gmtime_r(&time, &parts);
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace

base::Result<Certificate> read_certificate(const CertificatePem& pem) {
    clear_errors();
    Certificate certificate;
    certificate.name = pem.name;
    std::string fault = read_chain(pem, certificate);
    clear_errors();
    if (fault.empty()) fault = read_key(pem, certificate);
    if (fault.empty() && X509_check_private_key(certificate.leaf.get(), certificate.key.get()) != 1)
        fault = pem.name + ": the key does not belong to the certificate";
    clear_errors();
    if (fault.empty()) fault = read_ocsp(pem, certificate);
    clear_errors();
    if (!fault.empty()) return base::Failure{std::move(fault)};
    certificate.names = names_of(certificate.leaf.get());
    certificate.not_before = seconds_of(X509_get0_notBefore(certificate.leaf.get()));
    certificate.not_after = seconds_of(X509_get0_notAfter(certificate.leaf.get()));
    return certificate;
}

std::string doubt(const Certificate& certificate, int64_t now) {
    if (now < certificate.not_before)
        return "the certificate is not valid before " + date_of(certificate.not_before);
    if (now > certificate.not_after)
        return "the certificate has expired on " + date_of(certificate.not_after);
    X509* subject = certificate.leaf.get();
    for (const X509Ptr& issuer : certificate.chain) {
        if (X509_check_issued(issuer.get(), subject) != X509_V_OK)
            return "the chain is out of order: a certificate is not issued by the one behind it";
        subject = issuer.get();
        if (now > seconds_of(X509_get0_notAfter(subject)))
            return "a certificate of the chain has expired";
    }
    return "";
}

int64_t days_left(const Certificate& certificate, int64_t now) {
    const int64_t seconds = certificate.not_after - now;
    return seconds < 0 ? -((-seconds + kSecondsADay - 1) / kSecondsADay) : seconds / kSecondsADay;
}

bool is_encrypted(std::string_view key) {
    return key.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string_view::npos ||
           key.find("\nProc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

std::string chain_pem(const Certificate& certificate) {
    std::string pem = to_pem(certificate.leaf.get());
    for (const X509Ptr& issuer : certificate.chain) pem += to_pem(issuer.get());
    return pem;
}

Secret key_in_the_clear(const Certificate& certificate) {
    const BioPtr bio(BIO_new(BIO_s_secmem()));
    if (PEM_write_bio_PKCS8PrivateKey(bio.get(), certificate.key.get(), nullptr, nullptr, 0,
                                      nullptr, nullptr) != 1)
        return "";
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return std::string(bytes, static_cast<size_t>(size));
}

}  // namespace mono::tls
