"""Names that the guard and the database's authoriser agree on, apart from the guard so that it need not be loaded."""

CTE_PREFIX = "signalbox_cte_"
_NAMED = "julianday date datetime time strftime unixepoch total ifnull iif instr ntile date_part"
_PLAIN = """
count sum avg min max round abs coalesce nullif upper lower trim ltrim rtrim length substr substring concat concat_ws
group_concat string_agg row_number rank dense_rank percent_rank cume_dist lag lead first_value last_value nth_value
current_date current_timestamp current_time ceil ceiling floor sign sqrt like glob if
"""
NAMED_FUNCTIONS = frozenset(_NAMED.split())
SQLITE_FUNCTIONS = NAMED_FUNCTIONS | frozenset(_PLAIN.split())
