"""What is timed and what is measured; knows of the house its command line and its base URL."""
