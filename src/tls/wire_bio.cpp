#include "tls/wire_bio.hpp"

#include <algorithm>
#include <cstring>

namespace mono::tls {
namespace {

int read_wire(BIO* bio, char* into, size_t size, size_t* read) {
    Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::string_view from = wire.kept.empty() ? wire.in : wire.kept.view();
    wire.held_back = wire.out.size() >= Wire::kOutBytesMax;
    if (from.empty() || wire.held_back) {
        *read = 0;
        BIO_set_retry_read(bio);
        return 0;
    }
    *read = std::min(size, from.size());
    std::memcpy(into, from.data(), *read);
    if (wire.kept.empty())
        wire.in.remove_prefix(*read);
    else
        wire.kept.take(*read);
    return 1;
}

int write_wire(BIO* bio, const char* bytes, size_t size, size_t* written) {
    static_cast<Wire*>(BIO_get_data(bio))->out.append({bytes, size});
    *written = size;
    return 1;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

}  // namespace

BioMethodPtr make_wire_method() {
    BioMethodPtr method(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire"));
    BIO_meth_set_read_ex(method.get(), read_wire);
    BIO_meth_set_write_ex(method.get(), write_wire);
    BIO_meth_set_ctrl(method.get(), control);
    return method;
}

BIO* make_wire_bio(const BIO_METHOD* method, Wire& wire) {
    BIO* bio = BIO_new(method);
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    return bio;
}

}  // namespace mono::tls
