"""One file a wire format: a body into an exchange and back. Knows no policy and no HTTP."""
