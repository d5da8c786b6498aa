"""The machine's side of the console: REST at /api/v1, Open311 at /open311/v2, calendars at /calendar."""
