"""True forgetting, for comparison: fictitious people and the models that know them."""
