"""The pages that people decide on: what they show, and how it is written as HTML."""
