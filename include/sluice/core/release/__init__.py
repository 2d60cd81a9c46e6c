"""Releases: what one run of one window decides. Pure; `sluice.flow` asks AWS and carries out.

Each module is one question of a release: which nodes, which patches, whether they may, what came of it. `terms` has the
words that all floors share.
"""
