"""The folder of releases: what is made, judged, promoted and rolled back; every read checks every hash."""

import difflib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from inference.registry.log import ReleaseLog, Stamp
from inference.registry.manifest import PARAMETERS, POLICY, Manifest, ReleaseName, sha256
from inference.registry.states import Entry, Event, Standing
from runs.events import BUILT_IN
from signalbox.errors import Conflict, NotFound, UserFault

MANIFEST = "manifest.yaml"
REPORT = "report.json"
_NAME = TypeAdapter(ReleaseName)


@dataclass(frozen=True)
class Release:
    """A release whose files are exactly those of its manifest."""

    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Its name."""
        return self.manifest.name

    @property
    def prompts(self) -> dict[str, str]:
        """Its prompts by role."""
        return prompts_of(self.files)


@dataclass(frozen=True)
class Draft:
    """What a new release is made of."""

    name: str
    files: Mapping[str, bytes]
    tools: Mapping[str, str]
    made_from: str
    version: str
    note: str = ""


class Registry:
    """Releases in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = ReleaseLog(folder / "log.jsonl")

    def stamp(self) -> Stamp | None:
        """Changes whenever anything was promoted or rolled back."""
        return self._log.stamp()

    def standing(self) -> Standing:
        """Which releases there are and how they stand."""
        return self._log.read()

    def create(self, draft: Draft) -> Manifest:
        """Write a new candidate, whole or not at all."""
        name = checked_name(draft.name)
        if name in self._log.read().states or (self._folder / name).exists():
            raise Conflict(f"There is a release {name!r} already.", hint="Give it another name.")
        hashes = {file: sha256(data) for file, data in draft.files.items()}
        manifest = Manifest(
            name=name,
            created_at=_now(),
            made_from=draft.made_from,
            signalbox=draft.version,
            note=draft.note,
            files=hashes,
            tools=dict(draft.tools),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self._folder))
        try:
            unfinished.chmod(0o755)
            for file, data in {**draft.files, MANIFEST: manifest.to_yaml()}.items():
                (unfinished / file).parent.mkdir(exist_ok=True)
                (unfinished / file).write_bytes(data)
            unfinished.rename(self._folder / name)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        self._append("created", name, manifest=sha256(manifest.to_yaml()))
        return manifest

    def read(self, name: str, standing: Standing | None = None) -> Release:
        """A release, every byte of it checked; raises `Conflict` that names the file which is not as it was."""
        standing = standing or self._log.read()
        standing.state(name)
        data = self._bytes(name, MANIFEST)
        if sha256(data) != standing.manifests[name]:
            raise _changed(name, MANIFEST)
        manifest = Manifest.from_yaml(data, f"{name}/{MANIFEST}")
        files: dict[str, bytes] = {}
        for file, expected in manifest.files.items():
            files[file] = self._bytes(name, file)
            if sha256(files[file]) != expected:
                raise _changed(name, file)
        if manifest.name != name or not {PARAMETERS, POLICY} <= files.keys():
            raise UserFault(f"The release {name!r} is not whole: it lacks its name, {PARAMETERS} or {POLICY}.")
        return Release(manifest, files)

    def judge(self, name: str, report: bytes, *, passed: bool) -> Standing:
        """Keep the gate's report beside the manifest, and its verdict in the log."""
        self.read(name)
        (self._folder / name / REPORT).write_bytes(report)
        return self._append("validated" if passed else "refused", name, report=sha256(report))

    def promote(self, name: str, *, share: float | None = None) -> Standing:
        """Let a validated release answer: all conversations, or `share` of them."""
        standing = self._log.read()
        self.read(name, standing)
        if name in standing.reports and sha256(self._bytes(name, REPORT)) != standing.reports[name]:
            raise _changed(name, REPORT)
        if share is not None:
            return self._append("canary", name, share=share)
        return self._append("promoted", name)

    def rollback(self) -> tuple[str, Standing]:
        """Take back the canary, else what is live; what was live before it answers from the next turn on."""
        standing = self._log.read()
        current = standing.canary or standing.live
        if current is None:
            raise Conflict("No release is live: there is nothing to roll back.")
        if standing.canary is None and standing.earlier:
            self.read(standing.earlier[-1], standing)
        return current, self._append("rolled_back", current)

    def report(self, name: str) -> bytes | None:
        """The gate's latest report on a release, as it was stored."""
        path = self._folder / checked_name(name) / REPORT
        return path.read_bytes() if path.is_file() else None

    def diff(self, one: str, other: str) -> dict[str, str]:
        """What differs, per file as a unified diff; the tools' pins under `tools`."""
        first, second = self.read(one), self.read(other)
        texts = {
            name: (first.files.get(name, b""), second.files.get(name, b"")) for name in {*first.files, *second.files}
        }
        texts["tools"] = (_tools(first.manifest), _tools(second.manifest))
        found = {name: _unified(name, one, other, pair) for name, pair in sorted(texts.items())}
        return {name: lines for name, lines in found.items() if lines}

    def _append(self, event: Event, name: str, *, manifest: str = "", report: str = "", share: float = 0) -> Standing:
        at = _now().isoformat()
        return self._log.append(Entry(at=at, event=event, release=name, manifest=manifest, report=report, share=share))

    def _bytes(self, name: str, file: str) -> bytes:
        try:
            return (self._folder / name / file).read_bytes()
        except OSError as error:
            raise Conflict(
                f"{file} of the release {name!r} cannot be read: {error.strerror}.",
                hint="Restore it from version control.",
            ) from error


def prompts_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The prompts among the files of a release, by role; raises `UserFault` for one that is no text."""
    try:
        return {
            name.removeprefix("prompts/").removesuffix(".md"): data.decode().strip()
            for name, data in files.items()
            if name.startswith("prompts/")
        }
    except UnicodeDecodeError as error:
        raise UserFault("A prompt of the release is not UTF-8 text.") from error


def checked_name(name: str) -> str:
    """A name that is fit for a release; raises `UserFault` for others."""
    try:
        if name == BUILT_IN:
            raise UserFault(f"{BUILT_IN!r} means the system without a release.", hint="Give it another name.")
        return _NAME.validate_python(name)
    except ValidationError as error:
        raise UserFault(f"{name!r} is no name for a release.", hint="Lower case, digits, dots and hyphens.") from error


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _changed(name: str, file: str) -> NotFound | Conflict:
    return Conflict(
        f"{file} of the release {name!r} is not as it was when the release was made or judged.",
        hint="Restore it from version control, or make a new release.",
    )


def _tools(manifest: Manifest) -> bytes:
    return "".join(f"{name} {pin}\n" for name, pin in sorted(manifest.tools.items())).encode()


def _unified(file: str, one: str, other: str, pair: Sequence[bytes]) -> str:
    before, after = (data.decode(errors="replace").splitlines() for data in pair)
    return "\n".join(difflib.unified_diff(before, after, f"{one}/{file}", f"{other}/{file}", lineterm=""))
