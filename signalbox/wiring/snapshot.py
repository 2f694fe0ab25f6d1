"""Makes a release of what is in force, and lets it go live; both look at the installation that they are called in."""

from dataclasses import dataclass
from pathlib import Path

from inference.registry.manifest import POLICY, Manifest
from inference.registry.registry import Draft, Registry
from inference.registry.states import Standing
from runs.events import BUILT_IN
from signalbox import __version__
from signalbox.errors import Conflict, UserFault
from signalbox.settings import Settings
from signalbox.wiring.paths import Paths
from signalbox.wiring.releases import checked_files, files_in_force, tool_faults
from toolbus.catalogue import Catalogue


@dataclass(frozen=True)
class Changes:
    """How a new release differs from what is in force."""

    prompts: Path | None = None
    policy: Path | None = None
    from_settings: bool = False
    note: str = ""


def create(settings: Settings, name: str, changes: Changes) -> Manifest:
    """A candidate; raises `UserFault` where its files could not be used."""
    from signalbox.wiring.foundations import policy_file

    registry = Registry(settings.releases.folder)
    live = None if changes.from_settings else registry.standing().live
    if live is None:
        files = files_in_force(settings, policy_file(settings).read_bytes())
    else:
        files = dict(registry.read(live).files)
    files |= _changed_files(changes)
    checked_files(settings, name, files)
    draft = Draft(name, files, admitted_pins(settings), live or BUILT_IN, __version__, changes.note)
    return registry.create(draft)


def promote(settings: Settings, name: str, share: float | None) -> Standing:
    """Let it answer; raises `Conflict` where the tools are no longer those that it was validated with."""
    registry = Registry(settings.releases.folder)
    manifest = registry.read(name).manifest
    if faults := tool_faults(manifest, admitted_pins(settings)):
        raise Conflict(
            f"The tools are not those of the release {name!r}: {'; '.join(faults)}.",
            hint="Make a new release with the tools as they are, and validate it.",
        )
    return registry.promote(name, share=share)


def admitted_pins(settings: Settings) -> dict[str, str]:
    """The pins of the tools that are admitted in this installation."""
    path = Paths(settings.data_dir).tools_lock
    if not path.is_file():
        raise UserFault(
            "It is not known which tools are admitted here.", hint="Start `signalbox up` once: it takes note of them."
        )
    return Catalogue(path, settings.toolbus).pins()


def _changed_files(changes: Changes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        if changes.policy is not None:
            files[POLICY] = changes.policy.read_bytes()
        if changes.prompts is not None:
            found = sorted(changes.prompts.glob("*.md"))
            if not found:
                raise UserFault(f"There is no <role>.md in {str(changes.prompts)!r}.")
            files |= {f"prompts/{path.name}": path.read_bytes() for path in found}
    except OSError as error:
        raise UserFault(f"{str(error.filename)!r} cannot be read: {error.strerror}.") from error
    return files
