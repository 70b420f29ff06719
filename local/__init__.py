"""Runs template.yaml on one machine; nothing here is ever deployed."""
