// Store and View: one set of certificates, rules and ticket keys for every worker, through memory
// that was mapped before the fork. The master checks what its files hold and publishes it; a
// worker looks at a number when a connection begins, and makes a Context when it has changed.
//
// The store is the master's: one writer, one thread. A view is a worker's, under its engine's
// lock. Invariant: a reader never sees half of a set (a sequence lock whose words are atomic), and
// what is published has been made into a Context once, so that it can be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "os/shm.hpp"
#include "tls/context.hpp"

namespace mono::tls {

struct Published {
    bool changed = false;
    std::vector<std::string> warnings;  // doubtful, and served all the same
    std::vector<std::string> refused;   // what goes on as before, and why
    std::string first_name;             // of the certificate that expires first
    int64_t first_days = 0;             // days until then; negative: it has
};

class Store {
  public:
    static constexpr size_t kBytesMax = 4 * 1024 * 1024;

    explicit Store(size_t bytes_max = kBytesMax);
    bool ok() const { return memory_->data() != nullptr; }  // errno says why not

    // The first set. Ticket keys are made unless it has some. A Failure says what cannot be
    // served; what is merely doubtful is a warning.
    base::Result<Published> open(ContextOptions options, int64_t now_s);
    // The files have been read again. A certificate that has changed and is in any way doubtful is
    // refused, and the one of that name goes on; a Failure refuses all of it.
    base::Result<Published> update(ContextOptions options, int64_t now_s);
    // False: no random bytes; the keys stay.
    [[nodiscard]] bool rotate_tickets();

    const TicketKeys& tickets() const { return options_.tickets; }
    const std::shared_ptr<const os::SharedMemory>& memory() const { return memory_; }
    const std::shared_ptr<const os::Fd>& key_log() const { return options_.key_log; }

  private:
    void judge(ContextOptions& options, int64_t now_s, Published& into) const;
    const CertificatePem* served(std::string_view name) const;
    base::Result<Published> publish(ContextOptions options, int64_t now_s, Published published);
    void write(std::string_view image);

    std::shared_ptr<const os::SharedMemory> memory_;
    ContextOptions options_;  // as published: keys without passwords
};

class View {
  public:
    explicit View(const Store& store) : memory_(store.memory()), key_log_(store.key_log()) {}

    // For a new connection. nullptr: nothing has been published yet.
    const std::shared_ptr<const Context>& current();

  private:
    std::shared_ptr<const os::SharedMemory> memory_;
    std::shared_ptr<const os::Fd> key_log_;
    std::shared_ptr<const Context> context_;
    uint64_t seen_ = 0;
};

// A set as bytes, and back. False: the bytes are no set.
std::string to_image(const ContextOptions& options);
[[nodiscard]] bool from_image(std::string_view image, ContextOptions& options);

}  // namespace mono::tls
