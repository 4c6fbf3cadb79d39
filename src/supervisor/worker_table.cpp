#include "supervisor/worker_table.hpp"

#include <algorithm>

namespace mono::supervisor {
namespace {

template <class Predicate>
uint32_t count(const std::vector<Worker>& workers, Predicate predicate) {
    return static_cast<uint32_t>(std::count_if(workers.begin(), workers.end(), predicate));
}

}  // namespace

Worker* WorkerTable::add(uint32_t generation) {
    // The lowest free slot, so that few pages of the scoreboard are ever touched.
    auto free_slot = std::find(used_.begin(), used_.end(), 0);
    if (free_slot == used_.end()) return nullptr;
    *free_slot = 1;
    Worker worker;
    worker.slot = first_ + static_cast<uint32_t>(free_slot - used_.begin());
    worker.age = ++last_age_;
    worker.generation = generation;
    workers_.push_back(worker);
    return &workers_.back();
}

void WorkerTable::remove(uint32_t slot) {
    std::erase_if(workers_, [slot](const Worker& worker) { return worker.slot == slot; });
    used_[slot - first_] = 0;
}

Worker* WorkerTable::by_pid(int pid) {
    for (Worker& worker : workers_) {
        if (worker.pid == pid && pid > 0) return &worker;
    }
    return nullptr;
}

Worker* WorkerTable::by_slot(uint32_t slot) {
    for (Worker& worker : workers_) {
        if (worker.slot == slot) return &worker;
    }
    return nullptr;
}

uint32_t WorkerTable::active() const {
    return count(workers_, [](const Worker& worker) { return worker.active(); });
}

uint32_t WorkerTable::fresh(uint32_t generation) const {
    return count(workers_, [generation](const Worker& worker) {
        return worker.active() && worker.fresh(generation);
    });
}

bool WorkerTable::any(uint32_t generation) const {
    return std::ranges::any_of(
        workers_, [generation](const Worker& worker) { return worker.generation == generation; });
}

uint32_t WorkerTable::serving() const {
    return count(workers_, [](const Worker& worker) { return worker.state == State::kServing; });
}

uint32_t WorkerTable::serving(uint32_t generation) const {
    return count(workers_, [generation](const Worker& worker) {
        return worker.state == State::kServing && worker.generation == generation;
    });
}

uint32_t WorkerTable::ending() const {
    return count(workers_,
                 [](const Worker& worker) { return worker.ending() && worker.aborted(); });
}

}  // namespace mono::supervisor
