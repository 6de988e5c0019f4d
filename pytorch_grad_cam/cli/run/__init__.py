"""The command ``run``: explain any number of pictures, batch by batch, and keep what was found in a folder."""
