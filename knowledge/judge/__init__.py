"""Does this passage answer this question? A small cross-encoder that reads both together.

Exports: `CrossEncoder` (int8 on onnxruntime, from the embedder's package and the weights beside this file),
`PassageJudge` (the protocol).
"""

from knowledge.judge.cross_encoder import CrossEncoder, PassageJudge

__all__ = ["CrossEncoder", "PassageJudge"]
