"""The command line: reads options, prints, and turns errors into one line."""
