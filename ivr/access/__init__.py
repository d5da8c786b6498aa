"""Who may come in: extensions and their phones, the dial plan, limits and bans."""
