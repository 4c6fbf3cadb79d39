// What slow readers leave of their answers: past a bound it moves from memory into a file, a slice
// at a time, while the front goes on leaving. The standby does it, in a nested engine the turn. The
// lock is given up while the disk writes: nobody waits for it but who produces faster than that,
// and where there is no disk, than his reader reads.
#include <algorithm>

#include "engine/engine.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

constexpr uint64_t kSliceBytes = 256 * 1024;
constexpr int kSlicesInARow = 4;
constexpr uint64_t kSpillFileBytes = 64 << 20;  // then another: what was sent is given back
constexpr int64_t kSpillSayMs = 10'000;         // a line in the error log, no flood

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

// Runs when output was kept: if it is too much, it is stored soon.
void Engine::crowd(Link& link) {
    if (link.crowded || link.connection.out.memory_bytes() <= session::kOutputMemoryBytesMax)
        return;
    link.crowded = true;
    crowded_.push_back(link.key);
    if (options_.nested) {
        if (!in_turn_) wakeup_.ring();
    } else if (standby_flying_) {
        standby_kick_.ring();
    } else {
        hurry_standby();
    }
}

// True: there was something to store.
bool Engine::store_crowded(Lock& lock) {
    const bool any = !crowded_.empty();
    const int slices = options_.nested ? 1 : kSlicesInARow;
    for (int i = 0; i < slices && !crowded_.empty(); ++i) store_slice(lock);
    if (crowded_.empty()) slice_.reset();
    return any;
}

// One thread at a time: the standby, or the one that turns.
void Engine::store_slice(Lock& lock) {
    const uint64_t key = crowded_.front();
    crowded_.pop_front();
    Link* link = links_.find(key);
    if (link == nullptr) return;
    link->crowded = false;
    const uint64_t memory = link->connection.out.memory_bytes();
    if (memory <= session::kOutputMemoryBytesMax) return;
    std::shared_ptr<SpillFile>& file = link->output_spill;
    if (!file || file->size() >= kSpillFileBytes) file = spills_.open();
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
    look_at_clock();
    if (!stored) {
        spill->take_back(tail.length);
        say_unstored();
    }
    link = links_.find(key);
    if (link == nullptr) return;
    if (stored) {
        link->connection.out.store(tail, spill->fd(), *offset, spill, released_);
        crowd(*link);
    } else if (*offset == 0 && link->output_spill == spill) {
        link->output_spill.reset();
    }
    note_room();
    forget_released();
}

void Engine::say_unstored() {
    if (now_ms_ - unstored_said_ms_ < kSpillSayMs) return;
    unstored_said_ms_ = now_ms_;
    say(Severity::kError,
        "Cannot store what slow readers have not taken: no disk space or file descriptor is left "
        "in tmp_upload_dir. Applications wait for their readers meanwhile");
}

void Engine::note_room() {
    if (waiting_writers_ != 0) waits_->room.notify_all();
}

// The reader, and the disk, are slower than any bound allows: only now does the application wait.
// The standby goes on sending; send_timeout ends a reader that has stopped.
// Other threads may end the request meanwhile: nullptr.
Exchange* Engine::wait_for_room(Lock& lock, Handle handle) {
    Exchange* exchange = find(handle);
    const auto fits = [&exchange](const Room& room) {
        return exchange == nullptr || exchange->link == nullptr ||
               room.holds(exchange->link->connection.out);
    };
    if (fits(kFull) || !standby_.joinable()) return exchange;
    ++waiting_writers_;
    waits_->room.wait(lock, [&] {
        exchange = find(handle);
        return fits(kLow);
    });
    --waiting_writers_;
    return exchange;
}

}  // namespace mono::engine
