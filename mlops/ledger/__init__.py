"""The ledger: every decision of the loop, append-only, each row with its cause."""
