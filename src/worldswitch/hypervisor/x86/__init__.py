"""What hypervisors for x86 share, whichever virtualization facility they use."""
