"""master: what the master process does beyond what gunicorn has a name for (arbiter)."""
