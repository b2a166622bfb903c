"""Random functions: their laws, draws, domains and starting points."""
