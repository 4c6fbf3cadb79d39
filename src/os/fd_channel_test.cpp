#include "os/fd_channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

namespace mono::os {
namespace {

struct Pair {
    Pair() {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        left.reset(fds[0]);
        right.reset(fds[1]);
    }
    Fd left, right;
    char buffer[4096];
};

iovec part_of(const std::string& text) { return {const_cast<char*>(text.data()), text.size()}; }

TEST(FdChannel, CarriesBytesAndDescriptors) {
    Pair pair;
    int pipe_fds[2];
    ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    Fd reader(pipe_fds[0]);
    Fd writer(pipe_fds[1]);
    const std::string one = "one";
    const std::string two = "two";
    const std::array parts = {part_of(one), part_of(two)};
    const std::array fds = {writer.get()};
    ASSERT_TRUE(send_packet(pair.left.get(), parts, fds));
    writer.reset();
    Packet packet = receive_packet(pair.right.get(), pair.buffer);
    EXPECT_EQ(std::string(pair.buffer, packet.bytes), "onetwo");
    ASSERT_TRUE(packet.fds[0]);
    EXPECT_FALSE(packet.fds[1]);
    EXPECT_EQ(write(packet.fds[0].get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(reader.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(FdChannel, NeverWaits) {
    Pair pair;
    EXPECT_EQ(receive_packet(pair.right.get(), pair.buffer).bytes, 0u);
    const std::string text(4000, 'x');
    const std::array parts = {part_of(text)};
    int sent = 0;
    while (send_packet(pair.left.get(), parts, {}) && sent < 100'000) ++sent;
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, 100'000);
    EXPECT_EQ(receive_packet(pair.right.get(), pair.buffer).bytes, text.size());
}

TEST(FdChannel, APacketThatDoesNotFitIsDroppedWithItsDescriptors) {
    Pair pair;
    const std::string text(5000, 'x');
    const std::array parts = {part_of(text)};
    const std::array fds = {0};
    ASSERT_TRUE(send_packet(pair.left.get(), parts, fds));
    EXPECT_EQ(receive_packet(pair.right.get(), pair.buffer).bytes, 0u);
}

TEST(FdChannel, WithoutReaderFails) {
    Pair pair;
    pair.right.reset();
    const std::string text = "x";
    const std::array parts = {part_of(text)};
    EXPECT_FALSE(send_packet(pair.left.get(), parts, {}));
}

}  // namespace
}  // namespace mono::os
