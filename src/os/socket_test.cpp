#include "os/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <vector>

namespace mono::os {
namespace {

bool wait_for(int fd, short events) {
    pollfd waited{fd, events, 0};
    return poll(&waited, 1, 10'000) == 1;
}

struct TcpPair {
    explicit TcpPair(int family = AF_INET) {
        listener.reset(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_storage address{};
        address.ss_family = static_cast<sa_family_t>(family);
        socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        if (family == AF_INET)
            reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
            reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
        auto* plain = reinterpret_cast<sockaddr*>(&address);
        available = bind(listener.get(), plain, length) == 0 && ::listen(listener.get(), 8) == 0;
        if (!available) return;
        getsockname(listener.get(), plain, &length);
        theirs.reset(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(connect(theirs.get(), plain, length), 0);
        length = sizeof address;
        getsockname(theirs.get(), plain, &length);
        port = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                       : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
        EXPECT_TRUE(wait_for(listener.get(), POLLIN));
        accepted = accept_stream(listener.get());
    }
    bool available = false;
    Fd listener;
    Fd theirs;
    uint16_t port = 0;
    Accepted accepted;
    int ours() const { return accepted.fd.get(); }
};

TEST(Socket, ListensOnAChosenOrAnyPort) {
    uint16_t port = 0;
    Fd any = listen_loopback(port);
    ASSERT_TRUE(any);
    ASSERT_NE(port, 0);
    EXPECT_EQ(accept_stream(any.get()).status, AcceptStatus::kAgain);  // it does not block
    uint16_t same = port;
    EXPECT_FALSE(listen_loopback(same));
    any.reset();
    EXPECT_TRUE(listen_loopback(same));
    EXPECT_EQ(same, port);
}

TEST(Socket, AcceptsAndNamesThePeer) {
    TcpPair pair;
    ASSERT_EQ(pair.accepted.status, AcceptStatus::kAccepted);
    EXPECT_EQ(pair.accepted.peer.host, "127.0.0.1");
    EXPECT_EQ(pair.accepted.peer.port, pair.port);
    EXPECT_NE(fcntl(pair.ours(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(pair.ours(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(accept_stream(pair.listener.get()).status, AcceptStatus::kAgain);
}

TEST(Socket, NamesAnIPv6Peer) {
    TcpPair pair(AF_INET6);
    if (!pair.available) GTEST_SKIP() << "no IPv6 loopback here";
    EXPECT_EQ(pair.accepted.peer.host, "::1");
    EXPECT_EQ(pair.accepted.peer.port, pair.port);
}

TEST(Socket, AUnixPeerHasNoAddress) {
    Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;  // autobind: an abstract name
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    socklen_t length = sizeof address;
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
    Fd client(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    Accepted accepted = accept_stream(listener.get());
    ASSERT_EQ(accepted.status, AcceptStatus::kAccepted);
    EXPECT_EQ(accepted.peer.host, "");
    EXPECT_EQ(accepted.peer.port, 0);
}

TEST(Socket, SaysWhatIsWrongWithAListener) {
    EXPECT_EQ(accept_stream(-1).status, AcceptStatus::kBroken);
    Fd plain(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(accept_stream(plain.get()).status, AcceptStatus::kBroken);  // not listening
    Fd file(open("/dev/null", O_RDONLY));
    EXPECT_EQ(accept_stream(file.get()).status, AcceptStatus::kBroken);
}

TEST(Socket, SaysWhenDescriptorsRunOut) {
    TcpPair pair;
    Fd second(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    socklen_t length = sizeof address;
    getsockname(pair.listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
    ASSERT_EQ(connect(second.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_TRUE(wait_for(pair.listener.get(), POLLIN));
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none{0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const AcceptStatus status = accept_stream(pair.listener.get()).status;
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(status, AcceptStatus::kNoDescriptors);
    EXPECT_EQ(accept_stream(pair.listener.get()).status, AcceptStatus::kAccepted);
}

TEST(Socket, ReceivesBytesThenNothingThenTheEnd) {
    TcpPair pair;
    char into[8];
    EXPECT_EQ(receive(pair.ours(), into).status, IoStatus::kAgain);
    ASSERT_EQ(send(pair.theirs.get(), "hello", 5, 0), 5);
    ASSERT_TRUE(wait_for(pair.ours(), POLLIN));
    const IoResult got = receive(pair.ours(), into);
    EXPECT_EQ(got.status, IoStatus::kDone);
    EXPECT_EQ(std::string(into, got.bytes), "hello");
    pair.theirs.reset();
    ASSERT_TRUE(wait_for(pair.ours(), POLLIN));
    EXPECT_EQ(receive(pair.ours(), into).status, IoStatus::kEof);
}

TEST(Socket, AResetIsBrokenInBothDirections) {
    TcpPair pair;
    reset_on_close(pair.theirs.get(), true);
    pair.theirs.reset();
    ASSERT_TRUE(wait_for(pair.ours(), POLLIN));
    char into[8];
    EXPECT_EQ(receive(pair.ours(), into).status, IoStatus::kBroken);
    EXPECT_EQ(send_bytes(pair.ours(), "x", 1).status, IoStatus::kBroken);  // and no SIGPIPE
    iovec vector{into, 1};
    EXPECT_EQ(send_vectors(pair.ours(), &vector, 1).status, IoStatus::kBroken);
}

TEST(Socket, SendsUntilTheKernelIsFull) {
    TcpPair pair;
    std::vector<char> block(1 << 20, 'x');
    iovec vectors[2] = {{block.data(), block.size()}, {block.data(), 10}};
    IoResult sent;
    uint64_t total = 0;
    do {
        sent = send_vectors(pair.ours(), vectors, 2);
        total += sent.bytes;
    } while (sent.status == IoStatus::kDone && total < (1ull << 30));
    EXPECT_EQ(sent.status, IoStatus::kAgain);
    EXPECT_EQ(sent.bytes, 0u);
    EXPECT_EQ(send_bytes(pair.ours(), "x", 1).status, IoStatus::kAgain);
}

TEST(Socket, SendsARangeOfAFileWithoutMovingItsOffset) {
    TcpPair pair;
    Fd file(memfd_create("test", 0));
    ASSERT_EQ(::write(file.get(), "0123456789", 10), 10);
    const off_t before = lseek(file.get(), 0, SEEK_CUR);
    const IoResult sent = send_file(pair.ours(), file.get(), 3, 4);
    EXPECT_EQ(sent.status, IoStatus::kDone);
    EXPECT_EQ(sent.bytes, 4u);
    EXPECT_EQ(lseek(file.get(), 0, SEEK_CUR), before);
    char into[8];
    ASSERT_EQ(recv(pair.theirs.get(), into, 4, MSG_WAITALL), 4);
    EXPECT_EQ(std::string(into, 4), "3456");
    // A file that has become shorter than it was announced.
    EXPECT_EQ(send_file(pair.ours(), file.get(), 10, 4).status, IoStatus::kEof);
    EXPECT_EQ(send_file(pair.ours(), -1, 0, 4).status, IoStatus::kBroken);
}

TEST(Socket, SendingAFileToNobodyRaisesNoSignal) {
    TcpPair pair;
    Fd file(memfd_create("test", 0));
    ASSERT_EQ(ftruncate(file.get(), 1 << 20), 0);
    reset_on_close(pair.theirs.get(), true);
    pair.theirs.reset();
    ASSERT_TRUE(wait_for(pair.ours(), POLLIN));
    char into[1];
    EXPECT_EQ(receive(pair.ours(), into).status, IoStatus::kBroken);
    // sendfile(2) knows no MSG_NOSIGNAL: the process ignores SIGPIPE, as Python does.
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(send_file(pair.ours(), file.get(), 0, 1 << 20).status, IoStatus::kBroken);
    std::signal(SIGPIPE, before);
}

TEST(Socket, ShutdownIsAFinWithAnOpenOtherDirection) {
    TcpPair pair;
    shutdown_write(pair.ours());
    char into[8];
    EXPECT_EQ(recv(pair.theirs.get(), into, sizeof into, 0), 0);
    ASSERT_EQ(send(pair.theirs.get(), "late", 4, 0), 4);
    ASSERT_TRUE(wait_for(pair.ours(), POLLIN));
    EXPECT_EQ(receive(pair.ours(), into).bytes, 4u);
}

}  // namespace
}  // namespace mono::os
