"""The way to AWS and back: what `sam` leaves to do before, between and after its deploys."""
