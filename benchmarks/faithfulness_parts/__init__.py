"""Models with and without the knowledge, what they are asked, and what metrics make of it."""
