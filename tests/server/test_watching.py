# SPDX-License-Identifier: MIT
"""What a reload watches: names, trees, and how changes are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import pytest

from cuvee.config import Config
from cuvee.supervisor.changes import SETTLE_SECONDS, Changes
from cuvee.supervisor.watch_stat import StatWatcher
from cuvee.supervisor.watched import Watched

uvicorn = pytest.importorskip("uvicorn")


def ignore(_: Set[str]) -> None:
    """Be told of nothing."""


def watched(root: Path, *includes: str, excludes: Any = (), directories: Any = ()) -> Watched:
    return Watched([root], includes, excludes, directories)


@pytest.fixture
def stat_watcher(tmp_path: Path) -> Callable[..., StatWatcher]:
    def make(*extra: str, root: Path = tmp_path) -> StatWatcher:
        watcher = StatWatcher(ignore, watched(root), extra)
        watcher._prepare()
        return watcher

    return make


# ---- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "includes", "excludes", "is_wanted"),
    [
        ("main.py", (), (), True),
        ("deep/down/main.py", (), (), True),
        ("main.pyc", (), (), False),
        ("main.txt", (), (), False),
        (".hidden.py", (), (), False),
        ("~main.py", (), (), False),
        ("page.html", ("*.html",), (), True),
        ("page.html", ("*.html",), ("page.*",), False),
        ("main.py", (), ("*.py",), False),
        ("main.py", (), ("main.py",), False),
        (".env", ("*.env",), (), False),
        (".env", (".env",), (), True),
        (".env", (".*",), (), True),
        ("main.py", ("*.html",), (), True),
    ],
)
def test_names(
    path: str, includes: tuple[str, ...], excludes: tuple[str, ...], is_wanted: bool
) -> None:
    config = Config("main:app", reload=True, reload_includes=includes, reload_excludes=excludes)
    names = Watched([], config.reload_includes, config.reload_excludes, [])
    assert names.wants("/project/" + path) is is_wanted


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reload_dirs": "app"},
        {"reload_dirs": ["app", "other"]},
        {"reload_dirs": [Path("app")]},
        {"reload_dirs": ["app", "app/inner"]},
        {"reload_dirs": ["nowhere"]},
        {"reload_dirs": ["app", "nowhere"]},
        {"reload_dirs": ["app/main.py"]},
        {"reload_includes": ["app"]},
        {"reload_includes": ["*.html", "o*"]},
        {"reload_includes": ["*.py"], "reload_excludes": ["*.py"]},
        {"reload_dirs": ["app", "other"], "reload_excludes": ["app"]},
        {"reload_dirs": ["app/inner"], "reload_excludes": ["app"]},
        {"reload_dirs": ["app"], "reload_excludes": ["app"]},
        {"reload_excludes": ["app/*", ".*"]},
        {"reload_includes": [".*"]},
    ],
)
def test_directories_are_those_of_uvicorn(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("app/inner", "other", ".git"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "app/main.py").touch()
    ours = Config("main:app", reload=True, log_config=None, **options)
    theirs = uvicorn.Config("main:app", reload=True, log_config=None, **options)
    for name in ("reload_dirs", "reload_dirs_excludes", "reload_includes", "reload_excludes"):
        assert set(getattr(ours, name)) == set(getattr(theirs, name)), name
    assert ours.should_reload is theirs.should_reload is True


def test_a_hidden_directory_is_watched_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".settings").mkdir()
    config = Config("main:app", reload=True, reload_dirs=[".", ".settings"])
    assert set(config.reload_dirs) == {tmp_path, tmp_path / ".settings"}


def test_options_without_reload_warn(caplog: pytest.LogCaptureFixture) -> None:
    config = Config("main:app", reload_dirs=["tests"], log_config=None)
    assert "Current configuration will not reload" in caplog.text
    assert not config.should_reload
    assert config.reload_dirs == []


@pytest.mark.parametrize("name", ["node_modules", "__pycache__", ".git", "site-packages"])
def test_trees_that_nobody_edits_are_left_out(name: str, tmp_path: Path) -> None:
    tree = watched(tmp_path)
    assert tree.reaches(str(tmp_path / "package/main.py"))
    assert not tree.reaches(str(tmp_path / name / "main.py"))
    assert not tree.reaches(str(tmp_path / name / "deep/main.py"))
    assert not tree.reaches("/elsewhere/main.py")


def test_virtual_environments_are_left_out_whatever_their_name(tmp_path: Path) -> None:
    (tmp_path / "environment/lib").mkdir(parents=True)
    (tmp_path / "environment/pyvenv.cfg").touch()
    tree = watched(tmp_path)
    assert not tree.reaches(str(tmp_path / "environment/lib/main.py"))
    (tmp_path / "environment/lib/main.py").touch()
    (tmp_path / "main.py").touch()
    assert list(tree.files(str(tmp_path))) == [str(tmp_path / "main.py")]


def test_excluded_directories_are_left_out(tmp_path: Path) -> None:
    tree = watched(tmp_path, directories=[tmp_path / "tests"])
    assert not tree.reaches(str(tmp_path / "tests/deep/test_main.py"))


# ---- the watcher that looks at files ----------------------------------------------------------


def test_what_is_written_added_and_removed(
    tmp_path: Path, stat_watcher: Callable[..., StatWatcher]
) -> None:
    main, other = tmp_path / "main.py", tmp_path / "package/other.py"
    main.write_text("a")
    watcher = stat_watcher()
    assert watcher.look_again() == set()
    main.write_text("ab")
    assert watcher.look_again() == {str(main)}
    other.parent.mkdir()
    other.write_text("a")
    (tmp_path / "notes.txt").write_text("a")
    assert watcher.look_again() == {str(other)}
    other.unlink()
    other.parent.rmdir()
    assert watcher.look_again() == {str(other)}
    assert watcher.look_again() == set()


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time(
    tmp_path: Path, stat_watcher: Callable[..., StatWatcher]
) -> None:
    main, draft = tmp_path / "main.py", tmp_path / "draft"
    main.write_text("a")
    watcher = stat_watcher()
    draft.write_text("b")
    found = main.stat()
    os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
    draft.replace(main)
    assert watcher.look_again() == {str(main)}


def test_the_root_may_go_and_come_back(
    tmp_path: Path, stat_watcher: Callable[..., StatWatcher]
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "main.py").touch()
    watcher = stat_watcher(root=root)
    root.rename(tmp_path / "away")
    assert watcher.look_again() == {str(root / "main.py")}
    assert watcher.look_again() == set()
    (tmp_path / "away").rename(root)
    assert watcher.look_again() == {str(root / "main.py")}


def test_links(tmp_path: Path, stat_watcher: Callable[..., StatWatcher]) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "project"
    elsewhere.mkdir()
    root.mkdir()
    (elsewhere / "linked.py").write_text("a")
    (root / "file.py").symlink_to(elsewhere / "linked.py")
    (root / "folder").symlink_to(elsewhere)
    (root / "loop").symlink_to(root)
    (root / "dangling.py").symlink_to(tmp_path / "nothing")
    watcher = stat_watcher(root=root)
    assert watcher.look_again() == set()
    (elsewhere / "linked.py").write_text("ab")
    assert watcher.look_again() == {str(root / "file.py"), str(root / "folder/linked.py")}


def test_a_directory_that_cannot_be_read_is_tried_again(
    tmp_path: Path, stat_watcher: Callable[..., StatWatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "main.py").touch()
    main = str(tmp_path / "main.py")
    scandir = os.scandir

    def locked(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    watcher = stat_watcher()
    (tmp_path / "locked/other.py").touch()
    with monkeypatch.context() as patch:
        patch.setattr("cuvee.supervisor.watch_stat.os.scandir", locked)
        (tmp_path / "main.py").write_text("a")
        assert watcher.look_again() == {main}
    assert watcher.look_again() == {str(tmp_path / "locked/other.py")}


def test_extra_files(tmp_path: Path, stat_watcher: Callable[..., StatWatcher]) -> None:
    root, settings = tmp_path / "project", tmp_path / "settings"
    root.mkdir()
    settings.mkdir()
    watcher = stat_watcher(str(settings / "*.ini"), str(settings / ".env"), root=root)
    (settings / "new.ini").write_text("a")
    (settings / ".env").write_text("a")
    (settings / "other.txt").write_text("a")
    assert watcher.look_again() == {str(settings / "new.ini"), str(settings / ".env")}


def test_directories_that_rest_are_not_read_again(
    tmp_path: Path, stat_watcher: Callable[..., StatWatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text("a")
    os.utime(tmp_path, (0, 0))
    watcher = stat_watcher()

    def fail(path: str) -> None:
        raise AssertionError(path)

    with monkeypatch.context() as patch:
        patch.setattr("cuvee.supervisor.watch_stat.os.scandir", fail)
        (tmp_path / "main.py").write_text("ab")
        assert watcher.look_again() == {str(tmp_path / "main.py")}


# ---- bursts -----------------------------------------------------------------------------------


def test_a_burst_is_one_reload() -> None:
    changes = Changes(0.25)
    assert changes.due() is None
    changes.report({"a"})
    assert changes.gather(10.0) == {"a"}
    assert changes.due() == 10.0 + SETTLE_SECONDS
    changes.report({"b"})
    changes.gather(10.04)
    assert changes.due() == 10.04 + SETTLE_SECONDS
    assert changes.paths == {"a", "b"}


def test_changes_without_end_do_not_put_a_reload_off() -> None:
    changes = Changes(0.25)
    for step in range(10):
        changes.report({"a"})
        changes.gather(10.0 + step * 0.04)
    assert changes.due() == 10.25


def test_two_reloads_are_not_nearer_than_the_delay() -> None:
    changes = Changes(2.0)
    changes.report({"a"})
    changes.gather(10.0)
    changes.settle(10.1)
    assert changes.due() is None
    changes.report({"a"})
    changes.gather(10.2)
    assert changes.due() == 12.1


def test_no_delay() -> None:
    changes = Changes(0)
    changes.report({"a"})
    changes.gather(10.0)
    assert changes.due() == 10.0
