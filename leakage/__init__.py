"""How much still comes out: probes over HTTP, scores, intervals. Imports nothing of ours."""
