"""Composition root of Signalbox: settings, wiring and the command line, and the few types every layer shares.

Shared, and importing nothing of ours: `signalbox.errors`, `signalbox.identity`, `signalbox.database`,
`signalbox.telemetry`. Everything else here sits above all other packages and is imported by none of them.
"""

__version__ = "0.1.0"
