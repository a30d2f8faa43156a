"""What the vendors speak, translated: each adapter is the only importer of its vendor."""

import os

from mlops import telemetry

# Before any of them is imported: some decide then what they report.
telemetry.turn_off(os.environ)
