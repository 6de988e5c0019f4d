"""The command without a verb: explain pictures."""
