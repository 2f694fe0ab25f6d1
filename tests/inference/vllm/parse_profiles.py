"""Runs in vLLM's environment: its parser reads each profile as `vllm serve` would; prints what it understood."""

import json
import sys

from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

for path in sys.argv[1:]:
    parser = FlexibleArgumentParser()
    make_arg_parser(parser.add_subparsers(required=True).add_parser("serve"))
    given = parser.parse_args(["serve", "/a/model", "--config", path, "--port", "8123"])
    validate_parsed_serve_args(given)
    print(json.dumps(vars(given), default=str))
