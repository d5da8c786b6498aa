"""Recognition: audio in, words with times out; live captions and final transcripts."""
