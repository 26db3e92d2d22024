"""Binary floating point in integers: what the processors' arithmetic has in common."""
