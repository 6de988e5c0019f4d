"""Work on many pictures that survives interruptions: batches, a journal, and what a run draws."""
