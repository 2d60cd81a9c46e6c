"""Releases: what one run of one window decides. Pure; `sluice.flow` asks AWS and carries out.

terms       release, what was asked of it, expected nodes, patches, waves: the words that all floors share
"""
