"""How much still comes out: probes over HTTP, scores, intervals. Knows nothing of ours."""
