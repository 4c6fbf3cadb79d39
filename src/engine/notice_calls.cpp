#include "engine/notice_calls.hpp"

#include <utility>

#include "engine/core.hpp"

namespace mono::engine {

bool NoticeCalls::needs_attention() const { return core_.notices.needs_attention(); }

std::vector<JournalEntry> NoticeCalls::take_journal() {
    Lock lock(core_.mutex);
    return core_.notices.take_journal();
}

std::vector<Unrun> NoticeCalls::take_unrun() {
    Lock lock(core_.mutex);
    return core_.notices.take_unrun();
}

std::vector<void*> NoticeCalls::take_released() {
    Lock lock(core_.mutex);
    return core_.notices.take_released();
}

void NoticeCalls::log(Severity severity, std::string text, Place where) {
    Lock lock(core_.mutex);
    core_.notices.say(severity, std::move(text), where);
}

board::Totals NoticeCalls::totals() { return core_.recorder.totals(); }

uint64_t NoticeCalls::connections_accepted() {
    Lock lock(core_.mutex);
    return core_.links.accepted();
}

uint32_t NoticeCalls::connections() {
    Lock lock(core_.mutex);
    return core_.links.size();
}

void NoticeCalls::close_access_log() {
    Lock lock(core_.mutex);
    core_.access_log.close();
}

void NoticeCalls::reopen_access_log(int fd) {
    Lock lock(core_.mutex);
    core_.access_log.reopen(fd);
}

}  // namespace mono::engine
