"""The call: SIP in, media moved, menus followed, a journal left behind. Knows no database."""
