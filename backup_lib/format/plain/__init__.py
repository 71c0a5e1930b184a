"""Plain files that some other tool made: what they are, and whether they are whole.

One file for each format. A check reads every byte as a stream, with bounded memory, and returns one
sentence about what was found; it raises :class:`~restoreproof.errors.JudgedBad` on evidence of
damage and :class:`~restoreproof.errors.Inconclusive` where the format leaves nothing to judge by.
How much damage each format shows is measured in ``docs/PROOF.md``.
"""
