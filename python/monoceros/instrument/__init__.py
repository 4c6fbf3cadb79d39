"""Loggers that also measure."""
