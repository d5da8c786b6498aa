"""Recordings: written beside the call, stored, measured for the player, repaired after a crash."""
