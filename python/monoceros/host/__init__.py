"""host: what this process asks of the kernel: control groups, forks, signals, life as a daemon."""
