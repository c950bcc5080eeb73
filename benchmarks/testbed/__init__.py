"""The arms of the testbed under every attack: a configuration of `lethe leakage run`."""
