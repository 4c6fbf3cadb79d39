#include "tls/store.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>
#include <utility>

namespace mono::tls {
namespace {

using Word = std::atomic<uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == sizeof(uint64_t));
static_assert(std::is_trivially_copyable_v<TicketKeys>);

// The words of the mapping.
constexpr size_t kSequence = 0;  // odd: being written; 0: nothing yet
constexpr size_t kSize = 1;      // bytes of the image
constexpr size_t kImage = 2;

Word* words_of(const os::SharedMemory& memory) { return static_cast<Word*>(memory.data()); }

size_t image_bytes_max(const os::SharedMemory& memory) {
    return memory.bytes() - kImage * sizeof(Word);
}

// Every load that finds a word of a later writing also finds that writing's odd sequence.
bool read_image(const os::SharedMemory& memory, uint64_t sequence, std::string& image) {
    const Word* words = words_of(memory);
    const size_t size = words[kSize].load(std::memory_order_acquire);
    if (size > image_bytes_max(memory)) return false;
    image.resize(size);
    for (size_t at = 0; at < size; at += sizeof(Word)) {
        const uint64_t word = words[kImage + at / sizeof(Word)].load(std::memory_order_acquire);
        std::memcpy(image.data() + at, &word, std::min(sizeof word, size - at));
    }
    return words[kSequence].load(std::memory_order_acquire) == sequence;
}

class ImageWriter {
  public:
    explicit ImageWriter(std::string& out) : out_(out) {}
    void number(int64_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
    void text(std::string_view bytes) {
        number(static_cast<int64_t>(bytes.size()));
        out_.append(bytes);
    }

  private:
    std::string& out_;
};

class ImageReader {
  public:
    explicit ImageReader(std::string_view image) : rest_(image) {}
    int64_t number() {
        int64_t value = 0;
        const std::string_view bytes = take(sizeof value);
        if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string text() { return std::string(take(static_cast<uint64_t>(number()))); }
    bool done() const { return !broken_ && rest_.empty(); }
    bool broken() const { return broken_; }

  private:
    std::string_view take(uint64_t size) {
        if (size > rest_.size()) broken_ = true;
        if (broken_) return {};
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::string_view rest_;
    bool broken_ = false;
};

// And some.
size_t image_bytes_at_most(const ContextOptions& options) {
    size_t bytes = 4096 + sizeof options.tickets + options.ciphers.size() +
                   options.ciphersuites.size() + options.ca_pem.size() + options.crl_pem.size();
    for (const CertificatePem& pem : options.certificates)
        bytes += pem.name.size() + pem.chain.size() + pem.key.text().size() + pem.ocsp.size() + 64;
    for (const std::string& name : options.alpn) bytes += name.size() + 16;
    return bytes;
}

}  // namespace

std::string to_image(const ContextOptions& options) {
    std::string image;
    image.reserve(image_bytes_at_most(options));  // growing would leave keys in freed memory
    ImageWriter out(image);
    out.text({reinterpret_cast<const char*>(&options.tickets), sizeof options.tickets});
    out.number(static_cast<int64_t>(options.certificates.size()));
    for (const CertificatePem& pem : options.certificates) {
        out.text(pem.name);
        out.text(pem.chain);
        out.text(pem.key.text());
        out.text(pem.ocsp);
    }
    out.number(static_cast<int64_t>(options.alpn.size()));
    for (const std::string& name : options.alpn) out.text(name);
    out.number(static_cast<int64_t>(options.version_min));
    out.number(static_cast<int64_t>(options.version_max));
    out.number(static_cast<int64_t>(options.client_certificates));
    out.number(options.ticket_lifetime_s);
    for (const std::string* text :
         {&options.ciphers, &options.ciphersuites, &options.ca_pem, &options.crl_pem})
        out.text(*text);
    return image;
}

bool from_image(std::string_view image, ContextOptions& options) {
    ImageReader in(image);
    std::string tickets = in.text();
    if (tickets.size() != sizeof options.tickets) return false;
    std::memcpy(&options.tickets, tickets.data(), tickets.size());
    Secret::wipe(tickets);
    for (int64_t left = in.number(); left > 0 && !in.broken(); --left) {
        CertificatePem& pem = options.certificates.emplace_back();
        pem.name = in.text();
        pem.chain = in.text();
        pem.key = in.text();
        pem.ocsp = in.text();
    }
    for (int64_t left = in.number(); left > 0 && !in.broken(); --left)
        options.alpn.push_back(in.text());
    options.version_min = static_cast<Version>(in.number());
    options.version_max = static_cast<Version>(in.number());
    options.client_certificates = static_cast<ClientCertificates>(in.number());
    options.ticket_lifetime_s = in.number();
    for (std::string* text :
         {&options.ciphers, &options.ciphersuites, &options.ca_pem, &options.crl_pem})
        *text = in.text();
    return in.done();
}

Store::Store(size_t bytes_max)
    : memory_(std::make_shared<os::SharedMemory>(bytes_max, os::Dumped::kNo)) {}

base::Result<Published> Store::open(ContextOptions options, int64_t now_s) {
    if (options.tickets.count == 0 && !rotate(options.tickets))
        return base::Failure{"there are no random bytes for ticket keys"};
    return publish(std::move(options), now_s, {});
}

base::Result<Published> Store::update(ContextOptions options, int64_t now_s) {
    options.tickets = options_.tickets;
    options.key_log = options_.key_log;
    Published published;
    judge(options, now_s, published);
    return publish(std::move(options), now_s, std::move(published));
}

const CertificatePem* Store::served(std::string_view name) const {
    for (const CertificatePem& pem : options_.certificates)
        if (pem.name == name) return &pem;
    return nullptr;
}

// One bad pair of several holds only itself up, and one that was doubtful before is not news.
void Store::judge(ContextOptions& options, int64_t now_s, Published& into) const {
    for (CertificatePem& pem : options.certificates) {
        const CertificatePem* former = served(pem.name);
        if (former == nullptr) continue;
        const base::Result<Certificate> read = read_certificate(pem);
        std::string fault = read ? doubt(read.value(), now_s) : read.sentence();
        if (fault.empty() || (read && chain_pem(read.value()) == former->chain)) continue;
        into.refused.push_back(read ? pem.name + ": " + fault : std::move(fault));
        pem = *former;
    }
}

base::Result<Published> Store::publish(ContextOptions options, int64_t now_s, Published published) {
    const base::Result<std::shared_ptr<const Context>> made = Context::make(options);
    if (!made) return base::Failure{made.sentence()};
    published.first_days = INT64_MAX;
    for (CertificatePem& pem : options.certificates) {
        const base::Result<Certificate> read = read_certificate(pem);
        if (!read) return base::Failure{read.sentence()};
        const Certificate& certificate = read.value();
        const std::string doubtful = doubt(certificate, now_s);
        if (!doubtful.empty()) published.warnings.push_back(pem.name + ": " + doubtful);
        if (!pem.ocsp.empty() && certificate.ocsp_next_update <= now_s)
            published.warnings.push_back(pem.name + ": the OCSP response is out of date");
        if (days_left(certificate, now_s) < published.first_days) {
            published.first_days = days_left(certificate, now_s);
            published.first_name = pem.name;
        }
        pem.key = key_in_the_clear(certificate);
        Secret::wipe(pem.chain);  // keys may have been in it
        pem.chain = chain_pem(certificate);
        pem.password = Secret();
    }
    std::string image = to_image(options);
    const bool fits = image.size() <= image_bytes_max(*memory_);
    published.changed = to_image(options_) != image;
    if (fits && published.changed) {
        write(image);
        options_ = std::move(options);
    }
    Secret::wipe(image);
    if (!fits) return base::Failure{"certificates and revocation lists are too large together"};
    return published;
}

bool Store::rotate_tickets() {
    TicketKeys keys = options_.tickets;
    if (!rotate(keys)) return false;
    options_.tickets = keys;
    std::string image = to_image(options_);
    write(image);
    Secret::wipe(image);
    return true;
}

void Store::write(std::string_view image) {
    Word* words = words_of(*memory_);
    const uint64_t sequence = words[kSequence].load(std::memory_order_relaxed);
    words[kSequence].store(sequence + 1, std::memory_order_relaxed);
    words[kSize].store(image.size(), std::memory_order_release);
    for (size_t at = 0; at < image.size(); at += sizeof(Word)) {
        uint64_t word = 0;
        std::memcpy(&word, image.data() + at, std::min(sizeof word, image.size() - at));
        words[kImage + at / sizeof(Word)].store(word, std::memory_order_release);
    }
    words[kSequence].store(sequence + 2, std::memory_order_release);
}

const std::shared_ptr<const Context>& View::current() {
    const uint64_t sequence = words_of(*memory_)[kSequence].load(std::memory_order_acquire);
    if (sequence == seen_ || sequence % 2 != 0) return context_;
    std::string image;
    ContextOptions options;
    const bool whole = read_image(*memory_, sequence, image) && from_image(image, options);
    Secret::wipe(image);
    if (!whole) return context_;  // being written anew: the next connection looks again
    options.key_log = key_log_;
    base::Result<std::shared_ptr<const Context>> made = Context::make(options);
    if (made) context_ = std::move(made.value());
    seen_ = sequence;
    return context_;
}

}  // namespace mono::tls
