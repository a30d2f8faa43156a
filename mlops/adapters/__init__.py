"""What the vendors speak, translated: each adapter is the only importer of its vendor."""
