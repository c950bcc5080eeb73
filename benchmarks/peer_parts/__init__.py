"""What the benchmark of peers is made of: a file a peer."""
