"""The command ``evaluate``: which method is best on pictures of one's own, and whether any is good."""
