"""What the benchmark of the screen's speed is made of."""
