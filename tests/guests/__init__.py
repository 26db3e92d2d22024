"""Guest programs in assembly, and what runs them in tests."""
