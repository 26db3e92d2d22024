"""s390x: guests under interpretive execution. ref: SIE state description."""
