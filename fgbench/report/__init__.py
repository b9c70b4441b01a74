"""Tables for people; reads result records and nothing else."""
