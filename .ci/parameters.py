"""An extension of griffe: names that share a line of a docstring ("threads, progress") keep their own default and type.

griffe gives all of them those of the first name.
"""

from __future__ import annotations

from typing import Any

import griffe


class OwnDefaults(griffe.Extension):
    """Gives each parameter in a docstring the default, and where the docstring has none the type, of its own name."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Mend every docstring of a package that was read."""
        self._mend(pkg)

    def _mend(self, parent: griffe.Module | griffe.Class) -> None:
        for member in parent.members.values():
            if member.is_alias:
                continue
            if isinstance(member, (griffe.Class, griffe.Function)) and member.docstring:
                declared = {one.name: one for one in member.parameters}
                types = [one.annotation for one in declared.values()]
                for section in member.docstring.parsed:
                    for one in section.value if isinstance(section, griffe.DocstringSectionParameters) else ():
                        if one.name in declared:
                            one.value = declared[one.name].default
                            if any(one.annotation is of for of in types):
                                one.annotation = declared[one.name].annotation
            if isinstance(member, (griffe.Module, griffe.Class)):
                self._mend(member)
