"""settings: command line, values of each kind, and their explanation. config has the settings."""
