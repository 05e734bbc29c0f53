"""The two sides of pairs in a store: which of its fields, or of its keys' folders, is which."""

from __future__ import annotations

from dataclasses import dataclass

from voxloom.errors import ConfigError, PairingError
from voxloom.formats.store import Store
from voxloom.registry import did_you_mean
from voxloom.source import Concat, Source
from voxloom.sources.images import ReadPolicy
from voxloom.sources.pairing import Unmatched
from voxloom.sources.stored import MatchedImages, StoredImages, image_fields, only_image_field, stored_keys

__all__ = ["Sides"]

Entries = list[tuple[str, int]]


@dataclass(frozen=True)
class Sides:
    """Names of target and condition, to look up in a store.

    A side is the field of its name, or the field ``target`` or ``condition``, as a conversion of a
    `PairFolder` calls them. A store with one field of images may hold both sides as the folders of its
    keys: ``mri/1``, ``ct/1``.

    Attributes
    ----------
    target, condition
        As a `Layout` names them.
    policy
        What to do with colour, several pages, NaN and blank images.
    """

    target: str
    condition: str
    policy: ReadPolicy

    @property
    def _names(self) -> dict[str, str]:
        return {"target": self.target, "condition": self.condition}

    def pairs(self, store: Store, unmatched: Unmatched) -> MatchedImages:
        """Return the pairs of a store, keys are stems.

        Raises
        ------
        PairingError
            If the store has not two sides.
        ConfigError
            If it has several fields of images, but none for a side.
        """
        fields = {side: self._field(store, side) for side in self._names}
        entries = stored_keys(store)
        if None not in fields.values():
            given = {side: entries for side in fields}
        elif len(image_fields(store)) == 1 and set(groups := _by_folder(entries)) == set(
            self._names.values()
        ):
            fields = dict.fromkeys(fields, only_image_field(store))
            given = {side: _below(name, groups[name]) for side, name in self._names.items()}
        else:
            raise self._lacking(store, fields)
        sources = {
            side: StoredImages(store, str(fields[side]), self.policy, field=side, entries=given[side])
            for side in fields
        }
        return MatchedImages(sources, unmatched=unmatched)

    def images(self, store: Store, data_source: str) -> Source:
        """Return the images of one side or of both, keys ``side/stem``; or those of the one field there is.

        Raises
        ------
        ConfigError
            If the store has no field, or no key, for `data_source`.
        """
        fields = {name: self._field(store, side) for side, name in self._names.items()}
        if data_source == "both" and None not in fields.values():
            return Concat([self._of_field(store, str(field), name) for name, field in fields.items()])
        named = data_source if data_source in store.schema else None
        field = fields.get(data_source) or named or only_image_field(store, data_source)
        return self._of_field(store, field, data_source)

    def _of_field(self, store: Store, field: str, data_source: str) -> StoredImages:
        entries = stored_keys(store)
        groups, names = _by_folder(entries), list(self._names.values())
        if groups and set(groups) <= set(names):
            wanted = names if data_source == "both" or data_source not in names else [data_source]
            entries = [entry for name in wanted for entry in groups.get(name, [])]
            if not entries:
                raise ConfigError(
                    f"data_source {data_source!r}: {store.path} holds images of {', '.join(groups)} alone."
                )
        elif data_source in names:
            several = len(image_fields(store)) > 1
            entries = [(f"{data_source}/{k}" if several or "/" not in k else k, row) for k, row in entries]
        return StoredImages(store, field, self.policy, entries=entries)

    def _field(self, store: Store, side: str) -> str | None:
        for name in (self._names[side], side):
            if name in store.schema and store.schema[name].kind in ("image", "mask"):
                return name
        return None

    def _lacking(self, store: Store, fields: dict[str, str | None]) -> ConfigError | PairingError:
        found = image_fields(store)
        side = next(side for side, field in fields.items() if field is None)
        if len(found) > 1:
            name = self._names[side]
            return ConfigError(
                f"{side} {name!r}: {store.path} has no field of images of this name. Fields of images: "
                f"{', '.join(found)}.{did_you_mean(name, found)}"
            )
        held = ", ".join(f"{name!r} ({field.kind})" for name, field in store.schema.items())
        return PairingError(
            f"{store.path} holds no pairs: its fields are {held}. Expected two fields of images, one named "
            f"{self.target!r} or 'target' and one named {self.condition!r} or 'condition'. "
            "Convert the folder of the pairs, or name another data_base_dir."
        )


def _by_folder(entries: Entries) -> dict[str, Entries]:
    """Divide keys by their first folder; "" for those without."""
    groups: dict[str, Entries] = {}
    for key, row in entries:
        folder, found, _ = key.partition("/")
        groups.setdefault(folder if found else "", []).append((key, row))
    return groups


def _below(folder: str, entries: Entries) -> Entries:
    return [(key.removeprefix(f"{folder}/"), row) for key, row in entries]
