// An application forks while the engine serves: what the child's copy of it may do, and that the
// parent's goes on. tests/integration/test_forks.py has it with Python around.
#include <sys/wait.h>

#include "engine/support_test.hpp"
#include "os/child_test.hpp"

namespace mono::engine {
namespace {

using os::child;

// A child that lives until the object's end.
class Lodger {
  public:
    Lodger() : pid_(fork()) {
        if (pid_ != 0) return;
        alarm(60);
        pause();
        _exit(0);
    }
    ~Lodger() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Lodger(const Lodger&) = delete;
    Lodger& operator=(const Lodger&) = delete;

  private:
    pid_t pid_;
};

TEST(Fork, AChildTouchesNoConnection) {
    Server server;
    Client clients[] = {server.client(), server.client()};
    for (Client& client : clients) client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(child([&] {
                  set_head(*exchange);
                  if (!server->foreign()) return 1;
                  if (server->write(*exchange, {"theirs", nullptr}, 6, true) != WriteStatus::kGone)
                      return 2;
                  server->finish(*exchange);
                  server->abandon(*exchange);
                  if (server->take(0, server->wakes()) != nullptr) return 3;
                  Turn turn;
                  server->turn(turn);
                  if (!turn.ready.empty() || server->connections() != 0) return 4;
                  server->wake();
                  server->drain(true);
                  return server->share_socket(*exchange) < 0 ? 0 : 5;
              }),
              0);
    respond(server.engine(), *exchange, "ours");
    session::Exchange* second = server.take();
    ASSERT_NE(second, nullptr);
    respond(server.engine(), *second, "ours");
    for (Client& client : clients) EXPECT_EQ(client.response(), "ours");
}

TEST(Fork, TheParentsWatchesAreItsOwn) {
    Server server(nested(false));
    Loop loop(server.engine());
    Client client = server.client();
    client.get("/before");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "here");
    EXPECT_EQ(client.response(), "here");
    EXPECT_EQ(child([&] {
                  Turn turn;
                  for (int i = 0; i < 3; ++i) server->turn(turn);
                  server.destroy();
                  return 0;
              }),
              0);
    client.get("/after");
    Client fresh = server.client();
    fresh.get("/fresh");
    for (int i = 0; i < 2; ++i) {
        exchange = loop.next();
        ASSERT_NE(exchange, nullptr);
        respond(server.engine(), *exchange, "here");
    }
    EXPECT_EQ(client.response(), "here");
    EXPECT_EQ(fresh.response(), "here");
}

TEST(Fork, AChildThatLivesKeepsNoConnectionOpen) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    os::Fd shared(server->share_socket(*exchange));
    Lodger lodger;
    respond(server.engine(), *exchange, "bye");
    EXPECT_TRUE(client.read_all().ends_with("bye"));
    EXPECT_EQ(client.end(), Client::End::kFin) << "even of a duplicate that the child has";
}

TEST(Fork, WhoHoldsTheLockIsWaitedFor) {
    Server server;
    std::atomic<bool> quit{false};
    std::thread busy([&] {
        while (!quit) server->connections();
    });
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(child([&] { return static_cast<int>(server->connections()); }), 0);
    quit = true;
    busy.join();
}

}  // namespace
}  // namespace mono::engine
