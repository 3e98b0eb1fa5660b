"""From sources to an image: signed as devices take it, the same wherever it is made, and its bill of material complete."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lightboot import chooser
from lightboot import state as states
from lightflash import board as boards
from lightflash.build import RECORD, build, read, write
from lightflash.compiled import FIRMWARE
from lightflash.errors import FlashError
from lightflash.image import contents, image
from lightflash.key import is_signed
from lightflash.release import Terms, release
from lightflash.sbom import listed_files
from lightwire import envelope, update

from tests.lightflash.building import DAY, DEPLOYMENT, KEY, T0, built, signed
from tests.lightflash.test_cli import flash

BOARDS = ["chip", "esp32", "esp32-c3", "esp32-s3", "rp2040-w", "rp2350-w", "unix"]


@pytest.mark.parametrize("name", BOARDS)
def test_the_image_holds_exactly_the_files_of_the_build(name: str) -> None:
    made = built(name)
    assert contents(made.outputs["image.bin"], boards.board(name)) == made.files
    assert "main.py" in made.files
    assert "app/a/lightnode/app.mpy" in made.files


@pytest.mark.parametrize("name", BOARDS)
def test_the_bill_of_material_is_what_is_in_the_image(name: str) -> None:
    made = built(name)
    in_image = contents(made.outputs["image.bin"], boards.board(name))
    assert listed_files(made.outputs["sbom.cdx.json"]) == {
        path: hashlib.sha256(data).hexdigest() for path, data in in_image.items()
    }


def test_the_bill_of_material_has_versions_licences_and_the_image() -> None:
    made = built("esp32-s3")
    document = json.loads(made.outputs["sbom.cdx.json"])
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    described = document["metadata"]["component"]
    assert described["version"] == made.record["version"]
    assert described["hashes"][0]["content"] == hashlib.sha256(made.outputs["image.bin"]).hexdigest()
    assert all(part["licenses"] for part in document["components"])
    refs = {part["bom-ref"] for part in document["components"]} | {described["bom-ref"]}
    assert {ref for row in document["dependencies"] for ref in (row["ref"], *row["dependsOn"])} <= refs
    tools = {tool["name"]: tool["version"] for tool in document["metadata"]["tools"]["components"]}
    assert tools.items() <= made.record["tools"].items()


def test_every_source_of_the_application_is_in_the_record() -> None:
    sources = built("unix").record["sources"]
    for package in ("lightboot", "lightnode", "lightwire"):
        for path in (FIRMWARE / package).rglob("*.py"):
            if not path.name.startswith("board_") or path.stem in boards.board("unix").modules:
                name = path.relative_to(FIRMWARE).as_posix()
                assert sources[name] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_gets_its_own_board_files_and_every_meter(name: str) -> None:
    files = {path.removeprefix("app/a/lightnode/") for path in built(name).files if path.startswith("app/a/lightnode/")}
    assert {path for path in files if path.startswith("board_")} == {f"{m}.mpy" for m in boards.board(name).modules}
    meters = {f"meters/{path.stem}.mpy" for path in (FIRMWARE / "lightnode" / "meters").glob("*.py")}
    assert len(meters) > 8 and {path for path in files if "/" in path} == meters


@pytest.mark.parametrize("name", BOARDS)
def test_no_module_of_a_board_imports_a_board_file_that_is_left_out(name: str) -> None:
    """board.py alone names them all, and imports the one of the platform that it runs on."""
    listed = boards.board(name).modules
    left_out = {path.stem for path in (FIRMWARE / "lightnode").glob("board_*.py")} - set(listed)
    for path in built(name).record["sources"]:
        if path != "lightnode/board.py":
            for node in ast.walk(ast.parse((FIRMWARE / path).read_text())):
                if isinstance(node, ast.ImportFrom):
                    named = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
                    assert not named & left_out, f"{path}:{node.lineno}"


def test_a_board_file_that_is_not_there_is_named() -> None:
    other = replace(boards.board("unix"), modules=("board_other",))
    with pytest.raises(FlashError, match=r"has no lightnode/board_other\.py"):
        build(FIRMWARE, other)


def test_a_signed_release_is_one_that_a_device_takes() -> None:
    made = signed("esp32-s3")
    sealed, listing = update.split(made.outputs["release.bin"])
    manifest = envelope.open_sealed(sealed, DEPLOYMENT, lambda d, s: is_signed(KEY.public, d, s))
    trust = update.Trust(b"esp32-s3".ljust(16, b"\0"), 1, 11, False, 0, 0)
    assert update.judge(manifest, listing, trust, T0) == update.NONE
    assert update.decode_listing(listing) == sorted(
        (path.removeprefix("app/a/"), len(data), hashlib.sha256(data).digest())
        for path, data in made.files.items()
        if path.startswith("app/a/")
    )


def test_a_signed_release_is_for_its_class_of_hardware_only() -> None:
    made = signed("esp32-c3")
    sealed, listing = update.split(made.outputs["release.bin"])
    trust = update.Trust(b"esp32-s3".ljust(16, b"\0"), 1, 11, False, 0, 0)
    assert update.judge(envelope.peek(sealed), listing, trust, T0) == update.HARDWARE


def test_an_unsigned_release_is_never_taken_as_an_update() -> None:
    sealed, listing = update.split(built("esp32-s3").outputs["release.bin"])
    for known in (0, 1):
        trust = update.Trust(b"esp32-s3".ljust(16, b"\0"), 1, known, True, 0, 0)
        assert update.judge(envelope.peek(sealed), listing, trust, T0) != update.NONE
    assert not is_signed(KEY.public, envelope.digest(envelope.split(sealed)[0], bytes(16)), envelope.split(sealed)[1])


@pytest.mark.parametrize("make", [built, signed])
def test_the_boot_chooser_starts_what_was_built(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = make("unix")
    for path, data in made.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    said: list[str] = []
    root = str(tmp_path / "app")
    assert chooser.choose(root, said.append) == root + "/a"
    assert said == []
    state, is_kept_twice = states.read(root)
    assert is_kept_twice
    assert state is not None
    assert (state.active, state.trial, state.sequence) == (1, 0, made.record["sequence"])


def test_two_checkouts_give_the_same_bytes(tmp_path: Path) -> None:
    """In folders of different depth, with another umask, time zone, language, hash seed and account of the time."""
    key = tmp_path / "key"
    assert flash("key", str(key), "--make").returncode == 0
    trees = [tmp_path / "one", tmp_path / "quite" / "another" / "place of sources"]
    for k, tree in enumerate(trees):
        for name in ("lightboot", "lightnode", "lightwire", "lightflash", "device"):
            shutil.copytree(FIRMWARE / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in sorted(tree.rglob("*"), reverse=bool(k)):
            os.utime(path, (k * 10**8 + 10**9, k * 10**8 + 10**9))
        os.chmod(tree / "lightnode" / "app.py", 0o755 if k else 0o600)
    environments = [
        {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "COLUMNS": "7",
         "SOURCE_DATE_EPOCH": "5", "MICROPYPATH": "/", "PYTHONOPTIMIZE": "1", "HOME": "/nowhere"},
    ]  # fmt: skip
    words = [
        "build",
        "--board",
        "esp32-s3",
        "--out",
        "out",
        "--sign",
        str(key),
        "--sequence",
        "7",
        "--created",
        "2026-12-01",
    ]
    words += ["--expires", "2027-06-01T12:00:00Z", "--deployment", "00" * 16]
    found = []
    for tree, environment, umask in zip(trees, environments, (0o022, 0o077), strict=True):
        command = [sys.executable, "-m", "lightflash", *words]
        env = {**environment, "PATH": os.environ["PATH"], "PYTHONPATH": str(tree)}
        subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True, umask=umask, timeout=120)
        out = tree / "out"
        found.append({p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert found[0].keys() == found[1].keys()
    for path, data in found[0].items():
        assert data == found[1][path], path
        for tree in trees:
            assert str(tree).encode() not in data
    assert len(found[0]) > 50


def test_one_changed_letter_changes_image_and_release(tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("__pycache__", "lightflash"))
    source = tmp_path / "firmware" / "lightnode" / "batch.py"
    source.write_text(source.read_text() + "\nCHANGED = 1\n")
    changed, as_it_was = build(tmp_path / "firmware", boards.board("unix")), built("unix")
    for name in ("image.bin", "release.bin", "sbom.cdx.json", "listing.txt"):
        assert changed.outputs[name] != as_it_was.outputs[name]
    assert changed.record["sources"]["lightnode/batch.py"] != as_it_was.record["sources"]["lightnode/batch.py"]


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("__pycache__", "lightflash"))
    (tmp_path / "firmware" / "lightnode" / "batch.py").write_text("def broken(:\n")
    with pytest.raises(FlashError) as refused:
        build(tmp_path / "firmware", boards.board("unix"))
    assert str(refused.value).startswith("build: lightnode/batch.py does not compile (")
    assert "\n" not in str(refused.value)


def test_sources_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=r"has no device/main\.py; name the firmware folder"):
        build(tmp_path, boards.board("unix"))


def test_files_that_do_not_fit_are_refused_with_their_sum() -> None:
    with pytest.raises(FlashError) as refused:
        image({"a": bytes(450_000)}, boards.board("rp2040-w"))
    assert "450000 bytes in 1 files do not fit the 966656 bytes of rp2040-w 2 times" in str(refused.value)


def test_room_is_kept_for_an_update_beside_what_runs() -> None:
    for name in BOARDS:
        board = boards.board(name)
        twice = {
            **built(name).files,
            **{"app/b" + p[5:]: d for p, d in built(name).files.items() if p.startswith("app/a/")},
        }
        assert board.slots == 1 or contents(image(twice, _with_one_slot(board)), board) == twice


def _with_one_slot(board: boards.Board) -> boards.Board:
    return replace(board, slots=1)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(0, T0, T0 + DAY, DEPLOYMENT), "sequence is 0"),
        (Terms(5, T0, T0 + DAY, DEPLOYMENT, floor=6), "floor 6 is above sequence 5"),
        (Terms(5, T0, T0, DEPLOYMENT), "it expires before it is created"),
        (Terms(5, T0, T0 + 401 * DAY, DEPLOYMENT), "valid for more than 400 days"),
        (Terms(5, T0, T0 + DAY, DEPLOYMENT, next_key=b"\5" * 33), "next_key"),
    ],
)
def test_what_every_device_would_refuse_is_not_signed(terms: Terms, said: str) -> None:
    with pytest.raises(FlashError) as refused:
        release({"lightnode/app.mpy": b"x"}, "unix", (0, 1, 0), terms, KEY)
    assert said in str(refused.value)


def test_a_build_is_read_back_whole(tmp_path: Path) -> None:
    write(built("unix"), tmp_path / "out")
    assert read(tmp_path / "out") == built("unix")


def test_a_second_build_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write(built("esp32-s3"), tmp_path / "out")
    write(built("unix"), tmp_path / "out")
    assert read(tmp_path / "out").record["board"] == "unix"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(FlashError, match="holds mine, which no earlier build made"):
        write(built("unix"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_file_that_was_put_into_an_earlier_build_is_not_lost(tmp_path: Path) -> None:
    write(built("unix"), tmp_path / "out")
    (tmp_path / "out" / "files" / "notes.txt").write_text("keep")
    with pytest.raises(FlashError, match="holds files/notes.txt, which no earlier build made"):
        write(built("unix"), tmp_path / "out")
    assert (tmp_path / "out" / "files" / "notes.txt").read_text() == "keep"


def test_a_link_is_no_folder_for_a_build(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FlashError, match="is no folder"):
        write(built("unix"), tmp_path / "link")
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.parametrize("name", ["image.bin", "files/main.py", "sbom.cdx.json", "release.bin"])
def test_one_changed_bit_of_a_build_is_found(tmp_path: Path, name: str) -> None:
    write(built("unix"), tmp_path / "out")
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FlashError) as refused:
        read(tmp_path / "out")
    assert f"{path} is not what was built" in str(refused.value)


def test_a_file_more_or_less_is_found(tmp_path: Path) -> None:
    write(built("unix"), tmp_path / "out")
    (tmp_path / "out" / "files" / "more.py").write_text("")
    with pytest.raises(FlashError, match=r"more\.py was not built"):
        read(tmp_path / "out")
    (tmp_path / "out" / "files" / "more.py").unlink()
    (tmp_path / "out" / "files" / "main.py").unlink()
    with pytest.raises(FlashError, match=r"main\.py cannot be read"):
        read(tmp_path / "out")


@pytest.mark.parametrize(
    "record",
    [
        b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"format": "lightnode-build/1"}',
        b'{"format": "lightnode-build/1", "outputs": {"../../x": {"bytes": 1, "sha256": ""}}}',
        b'{"format": "lightnode-build/1", "outputs": {"/etc/hostname": {"bytes": 1, "sha256": ""}}}',
        b'{"format": "lightnode-build/1", "outputs": {"a": 1}}',
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused(tmp_path: Path, record: bytes) -> None:
    (tmp_path / RECORD).write_bytes(record)
    with pytest.raises(FlashError, match="is no record of a build"):
        read(tmp_path)


def test_the_command_prints_the_record_and_no_secret(tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert flash("key", str(key), "--make").returncode == 0
    words = ["--sign", str(key), "--sequence", "12", "--created", "2026-12-01", "--expires", "2027-03-01"]
    done = flash(
        "build", "--board", "chip", "--out", str(tmp_path / "out"), *words, "--deployment", "ab" * 16, "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["board"], told["sequence"], told["signed"]) == ("chip", 12, True)
    secret = key.read_bytes()
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes() and secret.hex().encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--board", "nothing"], 1, "nothing is none of chip"),
        (["--board", "chip", "--sequence", "3"], 1, "--sequence is of a signed release"),
        (["--board", "chip", "--sign", "absent.key"], 1, "a signed release needs --sequence"),
        (["--board", "chip", "--created", "tomorrow"], 2, "a day like 2027-01-31"),
        (["--board", "chip", "--deployment", "00"], 2, "32 hexadecimal digits belong here"),
        (["--board", "chip", "--sequence", "-1"], 2, ""),
        (["--board", "chip", "--sources", "."], 1, "name the firmware folder of a checkout"),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_nothing(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = flash("build", "--out", str(tmp_path / "out"), *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
