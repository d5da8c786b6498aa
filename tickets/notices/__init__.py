"""What the hotline tells people and other systems: notices, and signed webhooks of other systems."""
