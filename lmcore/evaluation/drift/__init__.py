"""Whether the text moved away from what the champion learnt."""
