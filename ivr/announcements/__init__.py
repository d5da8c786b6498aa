"""What our side says: prompts, checked and imported."""
