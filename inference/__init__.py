"""Model calls: one interface, whichever engine answers.

Exports: `inference.contracts` (purposes and the `Models` protocol), the vLLM client and its routing, the embedded
engine (`inference.embedded`), and the launcher and profiles of vLLM (`inference.vllm`).
"""
