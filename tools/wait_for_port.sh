# To be sourced: wait_for_port PORT waits until somebody listens on that port of 127.0.0.1.
wait_for_port() {
    python3 -c 'import socket, sys, time
end = time.monotonic() + 60
while socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))):
    if time.monotonic() > end: sys.exit("nobody listens on port " + sys.argv[1])
    time.sleep(0.1)' "$1"
}
