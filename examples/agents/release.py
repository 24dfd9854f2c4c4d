"""The release: version, changelog and an annotated tag."""

import re

from desk import Desk, GiveUp

_VERSION = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"$', re.M)


def deploy_feature(desk: Desk) -> None:
    """Release the feature once: a retry finds the changelog's entry and only makes sure of the tag."""
    short_id = desk.ticket_id[-8:]
    if f"({short_id})" not in desk.read("CHANGELOG.md"):
        _release(desk, short_id)
    released = re.search(rf"^## (\S+) \({short_id}\)$", desk.read("CHANGELOG.md"), re.M)
    if released is None:
        raise GiveUp("The changelog names this ticket but no release of it.")
    tag = f"v{released[1]}-{short_id}"
    if desk.git("tag", "--list", "--merged", "HEAD", tag):
        return
    # A tag that is not part of this history was set by an attempt whose work was lost.
    desk.git("tag", "--annotate", "--force", "--message", f"{desk.title} ({desk.ticket_id})", tag)
    print(f"tagged {tag}")


def _release(desk: Desk, short_id: str) -> None:
    project = desk.read("pyproject.toml")
    found = _VERSION.search(project)
    if found is None:
        raise GiveUp("pyproject.toml has no version of the form 1.2.3.")
    version = f"{found[1]}.{int(found[2]) + 1}.0"
    desk.write("pyproject.toml", _VERSION.sub(f'version = "{version}"', project, count=1))
    entry = f"# Changelog\n\n## {version} ({short_id})\n\n- {desk.title}.\n"
    desk.write("CHANGELOG.md", desk.read("CHANGELOG.md").replace("# Changelog\n", entry, 1))
    desk.git("add", "--all")
    desk.git("commit", "--quiet", "--message", f"Release {version}: {desk.title}")
