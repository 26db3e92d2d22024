"""Virtual machines and virtual CPUs, and one package per virtualization facility."""
