"""The front door: HTTP in, HTTP out, one request's story. Knows no weights and no measures."""
