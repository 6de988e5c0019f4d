"""What is asked: the number that a map explains."""
