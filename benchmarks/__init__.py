"""Ours beside a plain forward pass and beside the peers: cost, localisation, and what the parity tests use."""
