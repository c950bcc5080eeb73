"""The leak matrix taken apart: its cells, and what is counted. Knows no gateway."""
