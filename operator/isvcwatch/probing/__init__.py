"""HTTP at fleet scale: who is due, how they are asked, and what came back."""
