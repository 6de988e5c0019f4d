"""What tests share: tiny networks, oracles, files to read. No test is imported by a test."""
