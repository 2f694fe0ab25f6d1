"""Several policies at once, one for each release that has turns: each call is judged by its own release's rules."""

from policies.engine import Policy, ToolRequest, Verdict


class PolicySwitch:
    """A `Policy` that hands each request to the policy of its release, else to the live one."""

    def __init__(self, release: str, policy: Policy) -> None:
        self._policies = {release: policy}
        self._live = release

    def install(self, release: str, policy: Policy) -> None:
        """From now on, requests of this release are judged by `policy`."""
        self._policies[release] = policy

    def go_live(self, release: str) -> None:
        """From now on, requests that name no release are judged by this release's policy."""
        self._policies[release]  # a release without a policy is a fault, here and now
        self._live = release

    @property
    def version(self) -> str:
        """The live rules and where they come from."""
        return self._policies[self._live].version

    def decide(self, request: ToolRequest) -> Verdict:
        """The verdict of the release's own rules; an unknown release is judged by the live ones."""
        policy = self._policies.get(request.release) or self._policies[self._live]
        return policy.decide(request).model_copy(update={"version": policy.version})
