#include "engine/outgoing.hpp"

#include <algorithm>

#include "engine/core.hpp"
#include "os/socket.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;

namespace {

constexpr uint32_t kBoxedFrom =
    2;  // waiting requests: fewer are not worth the I/O thread's attention
constexpr uint64_t kSliceBytes = 256 * 1024;
constexpr int kSlicesInARow = 4;
constexpr uint64_t kSpillFileBytes = 64 << 20;  // then another: what was sent is given back

// Of one connection's output.
struct Room {
    uint64_t memory_bytes_max;
    uint64_t bytes_max;
    bool holds(const base::Chain& out) const {
        return out.memory_bytes() <= memory_bytes_max && out.bytes() <= bytes_max;
    }
};
constexpr Room kFull{session::kOutputWaitBytes, session::kOutputSpillBytesMax};
constexpr Room kLow{session::kOutputMemoryBytesMax, session::kOutputSpillBytesMax / 2};

}  // namespace

void Outgoing::hold(Link& link) {
    if (link.blocked) return;
    if (link.connection.out.bytes() >= kHeldBytesMax) {
        core_.loop.push(link);
        return;
    }
    if (link.held) return;
    link.held = true;
    held_.push_back(&link);
    core_.io_thread.hurry();
}

void Outgoing::unhold(Link& link) {
    if (!link.held) return;
    link.held = false;
    std::erase(held_, &link);
}

void Outgoing::flush_held() {
    while (!held_.empty()) core_.loop.push(*held_.back());
}

void Outgoing::flush_outbox() {
    for (uint32_t i = 0; i < core_.outbox.count(); ++i) {
        Link& link = core_.outbox.link(i);
        std::string_view answer = core_.outbox.take(i);
        if (answer.empty()) continue;
        os::IoResult sent = link.transport.send(answer.data(), answer.size());
        if (sent.status == os::IoStatus::kBroken || sent.status == os::IoStatus::kEof) {
            core_.links.close(link);
            continue;
        }
        link.connection.out.append_copy(answer.substr(sent.bytes));
        core_.loop.drive(link, Next::kRead);
    }
    core_.outbox.clear();
}

void Outgoing::forget_released() {
    if (core_.released.empty()) return;
    for (const base::Released& done : core_.released) {
        if (done.fd >= 0) os::Fd closing(done.fd);
        if (done.owner != nullptr) core_.notices.release(done.owner);
    }
    core_.released.clear();
}

// Not when nobody waits for the application, and not behind a slow one: the I/O thread leads beside
// it.
bool Outgoing::may_box(const Exchange& exchange) const {
    uint32_t enough = core_.outbox.empty() ? kBoxedFrom : 1;
    return core_.ready.size() >= enough && core_.io_thread.runs() && !core_.io_thread.leads() &&
           !core_.drain.begun() && exchange.link != nullptr &&
           exchange.link->transport.bare_fd() >= 0 && exchange.link->connection.out.empty();
}

WriteStatus Outgoing::box(Link& link, const Wire& wire) {
    if (core_.outbox.empty()) boxed_ms_ = core_.now.ms;
    core_.outbox.put(link, wire.size());
    core_.io_thread.hurry();
    return WriteStatus::kDone;
}

// Runs when output was kept: if it is too much, it is stored soon.
void Outgoing::crowd(Link& link) {
    if (link.crowded || link.connection.out.memory_bytes() <= session::kOutputMemoryBytesMax)
        return;
    link.crowded = true;
    crowded_.push_back(link.key);
    if (core_.options.nested) {
        core_.bell.ring();
    } else if (core_.io_thread.leads()) {
        core_.io_thread.kick();
    } else {
        core_.io_thread.hurry();
    }
}

bool Outgoing::store_crowded(Lock& lock) {
    const bool any = !crowded_.empty();
    const int slices = core_.options.nested ? 1 : kSlicesInARow;
    for (int i = 0; i < slices && !crowded_.empty(); ++i) store_slice(lock);
    if (crowded_.empty()) slice_.reset();
    return any;
}

// One thread at a time: the I/O thread, or the one that turns.
void Outgoing::store_slice(Lock& lock) {
    const uint64_t key = crowded_.front();
    crowded_.pop_front();
    Link* link = core_.links.find(key);
    if (link == nullptr) return;
    link->crowded = false;
    const uint64_t memory = link->connection.out.memory_bytes();
    if (memory <= session::kOutputMemoryBytesMax) return;
    std::shared_ptr<SpillFile>& file = link->output_spill;
    if (!file || file->size() >= kSpillFileBytes) file = core_.links.output_spills().open();
    if (!file) return say_unstored();
    if (!slice_) slice_.reset(new char[kSliceBytes]);
    const base::Chain::Tail tail = link->connection.out.copy_tail(
        {slice_.get(), std::min(kSliceBytes, memory - session::kOutputMemoryBytesMax)});
    const std::shared_ptr<SpillFile> spill = file;  // the connection may end meanwhile
    const std::optional<uint64_t> offset = spill->reserve(tail.length);
    if (!offset) return say_unstored();
    lock.unlock();
    const bool stored = spill->write(*offset, {slice_.get(), tail.length});
    lock.lock();
    core_.now.look();
    if (!stored) {
        spill->take_back(tail.length);
        say_unstored();
    }
    link = core_.links.find(key);
    if (link == nullptr) return;
    if (stored) {
        link->connection.out.store(tail, spill->fd(), *offset, spill, core_.released);
        crowd(*link);
    } else if (*offset == 0 && link->output_spill == spill) {
        link->output_spill.reset();
    }
    core_.waiters.writers().wake_all();
    forget_released();
}

void Outgoing::say_unstored() {
    if (!unstored_.ask(core_.now.ms)) return;
    core_.notices.say(
        Severity::kError,
        "Cannot store what slow readers have not taken: no disk space or file descriptor is left "
        "in tmp_upload_dir. Applications wait for their readers meanwhile");
}

// The reader, and the disk, are slower than any bound allows: only now does the application wait.
// The I/O thread goes on sending; send_timeout ends a reader that has stopped.
// Other threads may end the request meanwhile: nullptr.
Exchange* Outgoing::wait_for_room(Lock& lock, Handle handle) {
    Exchange* exchange = core_.exchanges.find(handle);
    const auto fits = [&exchange](const Room& room) {
        return exchange == nullptr || exchange->link == nullptr ||
               room.holds(exchange->link->connection.out);
    };
    if (fits(kFull) || !core_.io_thread.runs()) return exchange;
    core_.waiters.writers().wait_until(lock, [&] {
        exchange = core_.exchanges.find(handle);
        return fits(kLow);
    });
    return exchange;
}

bool Outgoing::pending() const { return !held_.empty() || !core_.outbox.empty(); }

}  // namespace mono::engine
