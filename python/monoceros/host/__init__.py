"""host: what this process asks of the kernel: control groups, forks, a life as a daemon."""
