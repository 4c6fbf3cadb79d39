#include "python/body_reader.hpp"

#include <algorithm>
#include <string>

#include "python/engine_parts.hpp"

namespace mono::python {
namespace {

constexpr int kWaitMs = 1'000;  // then Python's signals get a look

}  // namespace

BodyReader::BodyReader(const Options& options, engine::Handle request)
    : engine_object_(Ref::borrow(options.engine_object)),
      engine_(*engine_parts(options.engine_object)->engine),
      disconnected_(options.disconnected),
      wait_(Ref::borrow(options.wait)),
      handle_(Ref::borrow(options.handle)),
      request_(request) {}

bool BodyReader::raise_broken(engine::BodyState state, http::Error fault) const {
    std::string text;
    if (state == engine::BodyState::kOver) {
        PyErr_SetString(PyExc_ValueError, "wsgi.input was read after the end of its request");
        return false;
    }
    if (state == engine::BodyState::kRefused) {
        text = "the request's body was refused: " + std::string(http::describe(fault).detail);
    } else {
        text =
            "the client left after " + std::to_string(received_) + " bytes of its request's body";
    }
    PyErr_SetString(disconnected_, text.c_str());
    return false;
}

void BodyReader::add(base::Buffer& taken) {
    received_ += taken.size();
    if (present() == 0) {
        arrived_ = std::move(taken);
    } else {
        // What was consumed is dropped first: a line or a block seldom ends where a piece does.
        base::Buffer joined;
        joined.reserve(present() + taken.size());
        joined.append(arrived_.view().substr(offset_));
        joined.append(taken.view());
        arrived_ = std::move(joined);
    }
    offset_ = 0;
}

bool BodyReader::wait() {
    bool there;
    {
        WithoutGil without;
        there = engine_.wait_body(request_, kWaitMs);
    }
    if (there) return true;
    if (PyErr_CheckSignals() < 0) return false;
    if (!wait_) return true;
    Ref waited(PyObject_CallOneArg(wait_.get(), handle_.get()));
    return static_cast<bool>(waited);
}

bool BodyReader::fill() {
    const uint64_t before = received_;
    while (!ended_ && received_ == before) {
        if (!wait()) return false;
        base::Buffer taken;
        http::Error fault = http::Error::kNone;
        const engine::BodyState state = engine_.take_arrived(request_, taken, fault);
        if (!taken.empty()) add(taken);
        ended_ = state == engine::BodyState::kComplete;
        if (ended_ || state == engine::BodyState::kMore || received_ != before) continue;
        // The interruption that ended it says more than that it is over.
        if (PyErr_CheckSignals() < 0) return false;
        return raise_broken(state, fault);
    }
    return true;
}

PyObject* BodyReader::take(size_t count) {
    PyObject* bytes =
        PyBytes_FromStringAndSize(arrived_.data() + offset_, static_cast<Py_ssize_t>(count));
    offset_ += count;
    if (present() == 0) {
        arrived_.release();
        offset_ = 0;
    }
    return bytes;
}

PyObject* BodyReader::read(int64_t size) {
    const size_t wanted = size < 0 ? SIZE_MAX : static_cast<size_t>(size);
    while (present() < wanted && !ended_) {
        if (!fill()) return nullptr;
    }
    return take(std::min(wanted, present()));
}

PyObject* BodyReader::read_line(int64_t size) {
    const size_t wanted = size < 0 ? SIZE_MAX : static_cast<size_t>(size);
    size_t looked = 0;
    uint64_t begin = received_ - present();
    while (true) {
        // Another thread may have read meanwhile.
        if (begin != received_ - present()) looked = 0;
        begin = received_ - present();
        std::string_view line = arrived_.view().substr(offset_, wanted);
        const size_t at = line.find('\n', looked);
        if (at != std::string_view::npos) return take(at + 1);
        if (ended_ || line.size() == wanted) return take(line.size());
        looked = line.size();
        if (!fill()) return nullptr;
    }
}

}  // namespace mono::python
