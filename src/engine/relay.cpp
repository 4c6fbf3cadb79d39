#include "engine/relay.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "os/fd_channel.hpp"

namespace mono::engine {
namespace {

constexpr uint32_t kMagic = 0x4d4f4e31;  // of this layout; both ends are the same build

struct PacketHead {
    uint32_t magic;
    uint32_t head_bytes;
    uint32_t body_bytes;
    uint32_t pipelined_bytes;
    uint64_t body_file_bytes;
    int64_t balancer_us;
    int64_t accepted_us;
    int64_t started_us;
    int64_t ready_us;
    uint16_t listener;
    uint16_t port;
    uint8_t trusted;
    uint8_t host_bytes;
    uint8_t id_bytes;
    char host[46];
    char id[http::kRequestIdBytesMax];
};

iovec part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

}  // namespace

Handover Relay::send(const session::Exchange& exchange, const Link& link) const {
    const session::PeerInfo& peer = link.connection.peer();
    std::string_view pipelined = link.connection.pipelined();
    // A field that was unfolded in place is not what the peer sent.
    std::string_view head = exchange.bytes.view().substr(0, exchange.head.length);
    std::string_view body = exchange.body_view();
    size_t total = sizeof(PacketHead) + head.size() + body.size() + pipelined.size();
    if (!open() || exchange.streamed || total > kPacketBytesMax ||
        peer.host.size() > sizeof PacketHead::host)
        return Handover::kUnfit;
    PacketHead packet{};
    packet.magic = kMagic;
    packet.head_bytes = static_cast<uint32_t>(head.size());
    packet.body_bytes = static_cast<uint32_t>(body.size());
    packet.pipelined_bytes = static_cast<uint32_t>(pipelined.size());
    packet.balancer_us = exchange.balancer_us;
    packet.accepted_us = exchange.accepted_us;
    packet.started_us = exchange.started_us;
    packet.ready_us = exchange.ready_us;
    packet.id_bytes = static_cast<uint8_t>(exchange.request_id().copy(packet.id, sizeof packet.id));
    packet.listener = peer.listener;
    packet.port = peer.port;
    packet.trusted = peer.trusted ? 1 : 0;
    packet.host_bytes = static_cast<uint8_t>(peer.host.size());
    std::memcpy(packet.host, peer.host.data(), peer.host.size());
    std::array fds = {link.transport.fd(), exchange.body.spill_fd()};
    if (exchange.body.spilled() && fds[1] < 0) return Handover::kUnfit;
    if (fds[1] >= 0) packet.body_file_bytes = exchange.body.size();
    const std::array parts = {iovec{&packet, sizeof packet}, part(head), part(body),
                              part(pipelined)};
    // Counted first: whoever finds the packet finds it counted.
    parcels_->fetch_add(1);
    if (os::send_packet(ends_.sender, parts, std::span(fds).first(fds[1] >= 0 ? 2 : 1)))
        return Handover::kDone;
    parcels_->fetch_sub(1);
    return Handover::kFull;
}

std::optional<Parcel> Relay::receive() {
    if (!buffer_) buffer_.reset(new char[kPacketBytesMax]);
    int32_t counted = parcels_->load();
    os::Packet packet = os::receive_packet(ends_.receiver, {buffer_.get(), kPacketBytesMax});
    if (packet.bytes == 0) {
        // Counted by somebody who was killed; unless the count has moved since.
        if (counted > 0) parcels_->compare_exchange_strong(counted, 0);
        return std::nullopt;
    }
    parcels_->fetch_sub(1);
    PacketHead head;
    if (packet.bytes < sizeof head || !packet.fds[0]) return std::nullopt;
    std::memcpy(&head, buffer_.get(), sizeof head);
    std::string_view id(buffer_.get() + offsetof(PacketHead, id),
                        std::min<size_t>(head.id_bytes, sizeof head.id));
    std::string_view rest(buffer_.get() + sizeof head, packet.bytes - sizeof head);
    size_t announced = size_t{head.head_bytes} + head.body_bytes + head.pipelined_bytes;
    if (head.magic != kMagic || announced != rest.size() || head.host_bytes > sizeof head.host)
        return std::nullopt;
    Parcel parcel;
    parcel.client = std::move(packet.fds[0]);
    parcel.body_file = std::move(packet.fds[1]);
    parcel.body_file_bytes = head.body_file_bytes;
    parcel.peer.host.assign(head.host, head.host_bytes);
    parcel.peer.port = head.port;
    parcel.peer.listener = head.listener;
    parcel.peer.trusted = head.trusted != 0;
    parcel.head = rest.substr(0, head.head_bytes);
    parcel.body = rest.substr(head.head_bytes, head.body_bytes);
    parcel.pipelined = rest.substr(head.head_bytes + head.body_bytes);
    parcel.id = id;
    parcel.balancer_us = head.balancer_us;
    parcel.accepted_us = head.accepted_us;
    parcel.started_us = head.started_us;
    parcel.ready_us = head.ready_us;
    return parcel;
}

}  // namespace mono::engine
