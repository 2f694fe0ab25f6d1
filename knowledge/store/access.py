"""Access sets: each distinct (tenant, allow, deny) has one small number, and a principal sees a list of numbers."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import AccessRule
from knowledge.schema import aclset, aclset_member
from signalbox.identity import Principal


class Groups:
    """Nested groups: who is in a group is in its parents too."""

    def __init__(self, parents: Mapping[str, Iterable[str]]) -> None:
        self._parents = {group: tuple(above) for group, above in parents.items()}

    def subjects(self, principal: Principal) -> frozenset[str]:
        """Every name by which a rule may mean this principal, inherited groups included; cycles do no harm."""
        groups = set(principal.groups)
        waiting = list(groups)
        while waiting:
            for parent in self._parents.get(waiting.pop(), ()):
                if parent not in groups:
                    groups.add(parent)
                    waiting.append(parent)
        return principal.subjects | {f"group:{group}" for group in groups}


def may_see(rule: AccessRule, subjects: frozenset[str]) -> bool:
    """The rule in one line: a subject is allowed and none is denied."""
    return bool(rule.allow & subjects) and not rule.deny & subjects


async def intern_rule(connection: AsyncConnection, tenant: str, rule: AccessRule) -> int:
    """The number of a rule, made when it is new."""
    canonical = json.dumps([tenant, sorted(rule.allow), sorted(rule.deny)])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    known = select(aclset.c.id).where(aclset.c.tenant == tenant, aclset.c.digest == digest)
    found = (await connection.execute(known)).scalar()
    if found is not None:
        return int(found)
    made = await connection.execute(insert(aclset).values(tenant=tenant, digest=digest).returning(aclset.c.id))
    number = int(made.scalar_one())
    members = [{"aclset": number, "effect": "allow", "subject": subject} for subject in sorted(rule.allow)]
    members += [{"aclset": number, "effect": "deny", "subject": subject} for subject in sorted(rule.deny)]
    if members:  # nobody is a member of the empty rule, so nobody sees it
        await connection.execute(insert(aclset_member), members)
    return number


async def visible_sets(connection: AsyncConnection, tenant: str, subjects: frozenset[str]) -> list[int]:
    """Numbers of the rules by which these subjects see something: allowed by one, denied by none."""
    names = sorted(subjects)
    denied = select(aclset_member.c.aclset).where(aclset_member.c.effect == "deny", aclset_member.c.subject.in_(names))
    allowed = (
        select(aclset.c.id)
        .join(aclset_member, aclset_member.c.aclset == aclset.c.id)
        .where(aclset.c.tenant == tenant, aclset_member.c.effect == "allow", aclset_member.c.subject.in_(names))
        .where(aclset.c.id.not_in(denied))
        .distinct()
    )
    return sorted((await connection.execute(allowed)).scalars())


async def rules_of(connection: AsyncConnection, numbers: Iterable[int]) -> dict[int, AccessRule]:
    """The rules behind numbers."""
    wanted = sorted(set(numbers))
    rows = await connection.execute(select(aclset_member).where(aclset_member.c.aclset.in_(wanted)))
    subjects: dict[int, dict[str, set[str]]] = {number: {"allow": set(), "deny": set()} for number in wanted}
    for row in rows:
        subjects[row.aclset][row.effect].add(row.subject)
    return {
        number: AccessRule(allow=frozenset(parts["allow"]), deny=frozenset(parts["deny"]))
        for number, parts in subjects.items()
    }
