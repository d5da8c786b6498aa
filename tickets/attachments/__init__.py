"""Photos and files of a ticket: what they are, where they lie, who brought them."""
