"""What the detection benchmark is made of."""
