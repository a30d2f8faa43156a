"""Bytes on this disk: written whole, hashed, compressed, archived."""
