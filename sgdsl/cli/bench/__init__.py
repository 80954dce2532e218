"""`sgdsl bench`: measures servers of OpenAI's API from outside, ours and others alike."""
