"""Where the pictures of a run come from: a class a kind of source, each of which lists items."""
