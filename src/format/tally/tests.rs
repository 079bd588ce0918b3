//! What is written is read back, and what is not ours is refused with its place.
