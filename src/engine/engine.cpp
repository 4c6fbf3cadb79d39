#include "engine/engine.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core.hpp"

namespace mono::engine {

namespace {

constexpr int kRoundsMax = 4;  // then the loop's other callbacks get their turn

}  // namespace

Engine::Engine(Options options) : Engine(std::make_unique<Core>(std::move(options))) {}

Engine::Engine(std::unique_ptr<Core> core)
    : AnswerCalls(*core),
      BodyCalls(*core),
      SocketCalls(*core),
      DeadlineCalls(*core, core->options.limits.request_ms_max != 0),
      NoticeCalls(*core),
      core_(std::move(core)) {}

Engine::~Engine() = default;

bool Engine::ok() const { return core_->ok(); }

bool Engine::listen(int fd) {
    Lock lock(core_->mutex);
    return core_->listeners.add(fd);
}

session::Exchange* Engine::try_take() {
    Lock lock(core_->mutex);
    return core_->rounds.look_due() ? nullptr : core_->rounds.pop_ready();
}

session::Exchange* Engine::take(int timeout_ms, uint64_t wakes) {
    Lock lock(core_->mutex);
    session::Exchange* exchange = core_->rounds.wait_for_request(lock, timeout_ms, wakes);
    core_->rounds.pass_lead();
    return exchange;
}

void Engine::drain(bool for_good, int64_t hold_ms) {
    Lock lock(core_->mutex);
    core_->drainer.begin(for_good);
    core_->drain.hold(core_->now.ms + hold_ms);
    lock.unlock();
    wake();
}

DrainStage Engine::drain_stage() {
    Lock lock(core_->mutex);
    if (core_->drain.out_of_time()) return DrainStage::kOutOfTime;
    return core_->drain.farewell_said() ? DrainStage::kFarewell : DrainStage::kEarly;
}

bool Engine::drained() {
    Lock lock(core_->mutex);
    return core_->drainer.drained();
}

void Engine::turn(Turn& turn, uint32_t room) {
    Lock lock(core_->mutex);
    if (core_->process.foreign) return;
    std::array<os::Ready, 128> ready;
    core_->bell.begin_turn();
    core_->acceptor.watch();
    int count = 0;
    int round = 0;
    do {
        count = std::max(core_->poller.wait(ready, 0), 0);
        core_->rounds.process({ready.data(), static_cast<size_t>(count)});
    } while (count == static_cast<int>(ready.size()) && ++round < kRoundsMax);
    for (session::Exchange* exchange;
         room != 0 && (exchange = core_->rounds.pop_ready()) != nullptr; --room)
        turn.ready.push_back(exchange);
    core_->outgoing.store_crowded(lock);
    core_->io_thread.trim(lock);
    core_->links.poll_all();  // their clients may leave meanwhile
    core_->acceptor.watch();
    turn.events.swap(core_->turns.events());
    core_->bell.end_turn();
    turn.again = round == kRoundsMax || core_->outgoing.crowded();
    core_->access_log.flush(core_->now.ms);
}

uint64_t Engine::wakes() const { return core_->rounds.wakes(); }

int Engine::fileno() const { return core_->poller.fd(); }

void Engine::insure() { core_->insurance.install(); }

void Engine::pay_insurance(bool late) { core_->insurance.pay(late); }

bool Engine::foreign() const { return core_->process.foreign; }

void Engine::wake() { core_->wakeup.ring(); }

int Engine::wakeup_writer() const { return core_->wakeup.writer(); }

bool Engine::warm_up(std::string_view path) {
    Lock lock(core_->mutex);
    return core_->warmup.begin(path);
}

int Engine::warmup_status() {
    Lock lock(core_->mutex);
    return core_->warmup.status();
}

const Options& Engine::options() const { return core_->options; }

}  // namespace mono::engine
