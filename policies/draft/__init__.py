"""A policy made from a name and documents, for a person to finish. Knows no screen, no encoder."""
