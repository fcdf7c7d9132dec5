"""A plant's past, lived again through the services on a simulated clock, and what that would have come to."""
