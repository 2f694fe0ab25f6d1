"""Who gets a key at the first start: the demo's users, and the operator of the installation."""

from signalbox.identity import Principal

OPERATOR = Principal(user="operator", groups=frozenset({"staff"}), scopes=frozenset({"admin", "approve"}))

DEMO_USERS = (
    Principal(user="ada", groups=frozenset({"staff", "operations"})),
    Principal(user="bruno", groups=frozenset({"staff", "people"})),
    Principal(user="clara", groups=frozenset({"staff", "finance", "managers"})),
)
