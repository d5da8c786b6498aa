"""The 20 ms engine: RTP, G.711, digits, playback. The only RTP sockets of the product are here."""
