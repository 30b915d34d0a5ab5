"""Runs are found in the folders and behind the links of an output directory."""

from pathlib import Path

from dlexp.runs.directory import find_runs


def make(path: str) -> Path:
    """Make what counts as a run."""
    (Path(path) / "checkpoints").mkdir(parents=True)
    (Path(path) / "config.yaml").write_text("")
    return Path(path)


def test_runs_behind_links_are_found_once() -> None:
    own, moved = make("outputs/z/own"), [make(f"disk/{name}") for name in ("study/one", "course/ex01/two", "three")]
    for link, target in (("study", "study"), ("course", "course"), ("x/three", "three"), ("again", "study")):
        (Path("outputs") / link).parent.mkdir(exist_ok=True)
        (Path("outputs") / link).symlink_to(Path("disk").absolute() / target)
    Path("outputs/a").symlink_to("z")
    found = [run.path for run in find_runs(Path("outputs"))]
    assert sorted(path.resolve() for path in found) == sorted(path.resolve() for path in (own, *moved))
    assert own in found, "by its own path, not by the link to it"
    Path("linked").symlink_to("outputs")
    assert len(find_runs(Path("linked"))) == 4
    (own / "elsewhere").symlink_to(Path("disk").absolute())
    assert len(find_runs(own)) == 1, "a run brings no others"


def test_links_in_circles_and_to_everything_end() -> None:
    own = make("outputs/study/own")
    for name, target in (("loop", "."), ("up", ".."), ("root", "/"), ("itself", "itself"), ("nothing", "nowhere")):
        Path("outputs", name).symlink_to(target)
    assert [run.path for run in find_runs(Path("outputs")) if run.path.is_relative_to("outputs/study")] == [own]
