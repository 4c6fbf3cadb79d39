// EnvironMaker: a request's head as a PEP 3333 environ. It copies a base dict (one a listener, made
// by the worker) and adds what the request says; keys are interned once.
// Owner: one engine object; thread: any that runs an application, many at once in free-threaded
// Python: nothing here changes after the last add_listener.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "python/ref.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {

struct ListenerEnviron {
    Ref base;
    bool unix_socket = false;
};

class EnvironMaker {
  public:
    // False with an exception set.
    bool init();
    bool add_listener(PyObject* base, bool unix_socket);
    // A new dict, or an empty Ref with an exception set.
    Ref make(const session::Exchange& exchange, std::string_view script_name,
             CallObjects& objects) const;
    int traverse(visitproc visit, void* arg) const;
    void clear();

  private:
    enum Key : uint8_t {
        kRequestMethod,
        kRawUri,
        kPathInfo,
        kQueryString,
        kServerProtocol,
        kScriptName,
        kRemoteAddr,
        kRemotePort,
        kServerName,
        kServerPort,
        kUrlScheme,
        kInput,
        kEarlyHints,
        kClientSocket,
        kRequestId,
        kTraceId,
        kTimes,
        kExtendTimeout,
        kKeyCount,
    };
    static constexpr size_t kMethods = 7;

    bool set(PyObject* environ, Key key, Ref value) const;
    // The dict that this slot's requests of that listener are copied from; borrowed.
    PyObject* base(size_t listener, CallObjects& objects) const;
    bool add_request_line(PyObject* environ, const session::Exchange& exchange,
                          std::string_view script_name) const;
    bool add_target(PyObject* environ, const session::Exchange& exchange,
                    std::string_view script_name) const;
    bool add_path(PyObject* environ, std::string_view path, bool plain,
                  std::string_view script_name) const;
    bool add_peer(PyObject* environ, const session::Exchange& exchange) const;
    bool add_fields(PyObject* environ, const session::Exchange& exchange) const;
    bool add_unknown_field(PyObject* environ, std::string_view name, Ref value) const;
    bool add_host_as_server(PyObject* environ, const session::Exchange& exchange) const;
    Ref method_text(std::string_view method) const;
    Ref protocol_text(const http::RequestHead& head) const;

    std::array<Ref, kKeyCount> keys_;
    std::array<Ref, static_cast<size_t>(http::KnownField::kCount)> field_keys_;
    std::array<Ref, kMethods> methods_;
    Ref http_1_1_;
    Ref http_1_0_;
    Ref http_;
    Ref https_;
    Ref empty_;
    std::vector<ListenerEnviron> listeners_;
};

}  // namespace mono::python
