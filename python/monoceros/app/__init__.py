"""Applications: what loads the configuration and the code to serve, and starts the arbiter."""
