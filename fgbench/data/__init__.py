"""Files on disk: finding them, reading annotations, decoding pictures safely."""
