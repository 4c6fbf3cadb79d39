"""What hooks and loggers see of requests and responses; the protocol itself is in C++."""
