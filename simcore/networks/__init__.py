"""Small networks as landscapes: multilayer perceptrons, deep linear networks, a single sigmoid unit."""
