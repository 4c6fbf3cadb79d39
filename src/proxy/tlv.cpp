#include "proxy/tlv.hpp"

#include "proxy/crc32c.hpp"

namespace mono::proxy {
namespace {

constexpr size_t kPrefixBytes = 3;     // type, length
constexpr size_t kTlsPrefixBytes = 5;  // client, verify
constexpr size_t kTypes = 256;

enum Type : uint8_t {
    kAlpn = 0x01,
    kAuthority = 0x02,
    kChecksum = 0x03,
    kNoop = 0x04,
    kUniqueId = 0x05,
    kTls = 0x20,
    kTlsVersion = 0x21,
    kTlsCommonName = 0x22,
    kTlsCipher = 0x23,
    kTlsSignature = 0x24,
    kTlsKey = 0x25,
    kTlsGroup = 0x26,
    kTlsCertificate = 0x28,
    kNetns = 0x30,
    kGoogle = 0xE0,
    kAws = 0xEA,
    kAzure = 0xEE,
};
constexpr char kAwsVpcEndpoint = 0x01;
constexpr char kAzurePrivateLink = 0x01;

enum TlsBit : uint8_t { kConnected = 0x01, kCertificate = 0x02, kCertificateKnown = 0x04 };

struct Tlv {
    uint8_t type;
    std::string_view value;
    size_t offset;  // of the value
};

uint64_t big_endian(std::string_view bytes) {
    uint64_t number = 0;
    for (const char byte : bytes) number = number << 8 | static_cast<uint8_t>(byte);
    return number;
}

uint32_t little_endian(std::string_view bytes) {
    uint32_t number = 0;
    for (size_t at = bytes.size(); at-- > 0;)
        number = number << 8 | static_cast<uint8_t>(bytes[at]);
    return number;
}

// Calls visit(Tlv) -> TlvFault for each vector between begin and end of `whole`; stops at the first
// fault.
template <class Visit>
TlvFault for_each_tlv(std::string_view whole, size_t begin, size_t end, Visit visit) {
    bool seen[kTypes] = {};
    while (begin < end) {
        if (end - begin < kPrefixBytes) return {http::Error::kProxyTlv, begin};
        const auto type = static_cast<uint8_t>(whole[begin]);
        const auto size = static_cast<size_t>(big_endian(whole.substr(begin + 1, 2)));
        if (size > end - begin - kPrefixBytes) return {http::Error::kProxyTlv, begin};
        const Tlv tlv{type, whole.substr(begin + kPrefixBytes, size), begin + kPrefixBytes};
        // Of two, a proxy in front may have meant the other one.
        if (seen[type] && type != kNoop) return {http::Error::kProxyTlv, begin};
        seen[type] = true;
        const TlvFault fault = visit(tlv);
        if (fault.error != http::Error::kNone) return fault;
        begin += kPrefixBytes + size;
    }
    return {};
}

// The checksum is that of the header with zeros in its place.
TlvFault check_sum(std::string_view whole, const Tlv& tlv) {
    constexpr std::string_view kZeros{"\0\0\0\0", 4};
    if (tlv.value.size() != kZeros.size()) return {http::Error::kProxyTlv, tlv.offset};
    uint32_t state = crc32c_step(kCrc32cBegin, whole.substr(0, tlv.offset));
    state = crc32c_step(state, kZeros);
    state = crc32c_step(state, whole.substr(tlv.offset + kZeros.size()));
    if (crc32c_end(state) == big_endian(tlv.value)) return {};
    return {http::Error::kProxyChecksum, tlv.offset};
}

TlvFault take_tls_part(const Tlv& tlv, Tls& tls) {
    switch (tlv.type) {
        case kTlsVersion:
            tls.version = tlv.value;
            break;
        case kTlsCommonName:
            tls.common_name = tlv.value;
            break;
        case kTlsCipher:
            tls.cipher = tlv.value;
            break;
        case kTlsSignature:
            tls.signature_algorithm = tlv.value;
            break;
        case kTlsKey:
            tls.key_algorithm = tlv.value;
            break;
        case kTlsGroup:
            tls.group = tlv.value;
            break;
        case kTlsCertificate:
            tls.certificate_der = tlv.value;
            break;
        default:
            break;  // of a later version of the protocol
    }
    return {};
}

TlvFault read_tls(std::string_view whole, const Tlv& tlv, Extras& extras) {
    if (tlv.value.size() < kTlsPrefixBytes) return {http::Error::kProxyTlv, tlv.offset};
    extras.tls = std::make_unique<Tls>();
    Tls& tls = *extras.tls;
    const auto bits = static_cast<uint8_t>(tlv.value[0]);
    tls.connected = (bits & kConnected) != 0;
    tls.certificate = (bits & kCertificate) != 0;
    tls.certificate_known = (bits & kCertificateKnown) != 0;
    tls.verify = static_cast<uint32_t>(big_endian(tlv.value.substr(1, 4)));
    return for_each_tlv(whole, tlv.offset + kTlsPrefixBytes, tlv.offset + tlv.value.size(),
                        [&tls](const Tlv& part) { return take_tls_part(part, tls); });
}

// Types of vendors: what has another shape than theirs is somebody else's, and passed over.
void take_vendor(const Tlv& tlv, Extras& extras) {
    if (tlv.type == kAws && tlv.value.size() > 1 && tlv.value[0] == kAwsVpcEndpoint)
        extras.vpc_endpoint = tlv.value.substr(1);
    if (tlv.type == kAzure && tlv.value.size() == 5 && tlv.value[0] == kAzurePrivateLink) {
        extras.has_private_link = true;
        extras.private_link = little_endian(tlv.value.substr(1));
    }
    if (tlv.type == kGoogle && tlv.value.size() == 8) {
        extras.has_service_connection = true;
        extras.service_connection = big_endian(tlv.value);
    }
}

TlvFault take(std::string_view whole, const Tlv& tlv, Extras& extras) {
    switch (tlv.type) {
        case kAlpn:
            extras.alpn = tlv.value;
            return {};
        case kAuthority:
            extras.authority = tlv.value;
            return {};
        case kChecksum:
            return check_sum(whole, tlv);
        case kUniqueId:
            if (tlv.value.size() > kUniqueIdBytesMax) return {http::Error::kProxyTlv, tlv.offset};
            extras.unique_id = tlv.value;
            return {};
        case kNetns:
            extras.netns = tlv.value;
            return {};
        case kTls:
            return read_tls(whole, tlv, extras);
        default:
            take_vendor(tlv, extras);
            return {};
    }
}

}  // namespace

TlvFault read_tlvs(std::string_view whole, size_t begin, std::unique_ptr<Extras>& extras) {
    if (begin == whole.size()) return {};
    extras = std::make_unique<Extras>();
    return for_each_tlv(whole, begin, whole.size(),
                        [whole, &extras](const Tlv& tlv) { return take(whole, tlv, *extras); });
}

}  // namespace mono::proxy
