"""Running vLLM: its own environment, profiles with reasons, a launcher, and a tiny model for tests.

vLLM never lives in the application's environment: it pins torch and much else. `install.sh`-like steps are in the
Makefile (`make vllm`); `inference.vllm.launch` starts a profile there and watches over it.
"""
