"""Worldswitch: a hypervisor laboratory whose every world switch is visible."""

__version__ = "0.1.0"
