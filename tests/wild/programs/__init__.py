"""One concept a file: ``main()`` returns arrays and plain facts, by name, and runs word for word with both packages."""
