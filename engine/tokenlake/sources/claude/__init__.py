"""Claude Code: which files its transcripts are, how their lines are parsed, and what each record means."""
