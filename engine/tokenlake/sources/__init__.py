"""What an agent's logs mean: one file an agent."""
