"""Prompt injection: text that gives the model orders, in a question or hidden in a document."""
